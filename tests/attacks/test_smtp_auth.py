"""Odd, broken and endless logins."""

from __future__ import annotations

from typing import cast

from twisted.logger import ILogObserver, LogEvent, eventAsText, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from smsgw.interfaces import Reply
from smsgw.protocols.smtp.factory import SubmissionSettings
from tests.protocols.smtp.support import ENVELOPE, PLAIN, Client, connect, encoded


def greeted(settings: SubmissionSettings | None = None) -> Client:
    """A client after EHLO."""
    client = connect(settings)
    client.say(b"EHLO x")
    return client


class OddAuthTests(SynchronousTestCase):
    def test_no_mechanism(self) -> None:
        """AUTH needs the name of an offered mechanism."""
        for line, code in (
            (b"AUTH", 501),
            (b"AUTH ", 501),
            (b"AUTH  ", 501),
            (b"AUTH CRAM-MD5", 504),
            (b"AUTH XOAUTH2 dXNlcg==", 504),
            (b"AUTH PLAINX", 504),
            (b"AUTH PL\xc3\x84IN", 501),
        ):
            client = greeted()
            self.assertEqual(client.code(line), code, line)
            self.assertEqual(client.code(PLAIN), 235)

    def test_unreadable_plain(self) -> None:
        """A malformed PLAIN response is refused 501 without a call of the delegate, in both forms."""
        for response in (
            b"!!!!",
            b"AAA",
            b"AA==AA==",
            b"\xff\xfe",
            b"a b",
            encoded(b"no nul"),
            encoded(b"one\0nul"),
            encoded(b"a\0b\0c\0d"),
            encoded(b"\0" * 9000),
            encoded(b"\0" + b"x" * 300 + b"\0p"),
            encoded(b"\0\xff\0p"),
        ):
            client = greeted()
            self.assertEqual(client.code(b"AUTH PLAIN " + response), 501)
            self.assertEqual(client.say(b"AUTH PLAIN"), b"334 Ok\r\n")
            self.assertEqual(client.code(response), 501)
            self.assertEqual(client.delegate.calls, [])
            self.assertEqual(client.code(PLAIN), 235)

    def test_empty_response(self) -> None:
        """An empty response, as a line of its own or as an equals sign, is malformed for PLAIN."""
        client = greeted()
        self.assertEqual(client.code(b"AUTH PLAIN ="), 501)
        client.say(b"AUTH PLAIN")
        self.assertEqual(client.code(b""), 501)
        self.assertEqual(client.delegate.calls, [])

    def test_unreadable_login(self) -> None:
        """A malformed LOGIN response ends the exchange."""
        for responses in ((b"*",), (b"!",), (encoded(b"3"), b"*"), (encoded(b"3"), b"!!"), (encoded(b"a\0b"), b"AAAA")):
            client = greeted()
            client.say(b"AUTH LOGIN")
            self.assertEqual([client.code(response) for response in responses][-1], 501)
            self.assertEqual(client.code(b"NOOP"), 250)
            self.assertEqual(client.delegate.calls, [])

    def test_cancelled(self) -> None:
        """An asterisk cancels the login."""
        client = greeted()
        client.say(b"AUTH PLAIN")
        self.assertEqual(client.say(b"*"), b"501 5.7.0 Authentication cancelled\r\n")
        self.assertEqual(client.code(PLAIN), 235)

    def test_authorization_identity(self) -> None:
        """Another authorization identity is refused like a wrong password; the login itself is accepted."""
        client = greeted()
        self.assertEqual(client.code(b"AUTH PLAIN " + encoded(b"admin\x003\0freetest")), 535)
        self.assertEqual(client.delegate.calls, [])
        self.assertEqual(client.code(b"AUTH PLAIN " + encoded(b"3\x003\0freetest")), 235)

    def test_empty_user(self) -> None:
        """An empty login goes to the delegate, because an API key has none; with a password it fails."""
        for response in (b"\0\0", b"\0\0password"):
            client = greeted()
            self.assertEqual(client.code(b"AUTH PLAIN " + encoded(response)), 535)
            self.assertEqual(client.delegate.calls, [("login", b"")])

    def test_long_response(self) -> None:
        """A response may be as long as RFC 4954 allows; a longer one is refused and its rest is not read as a
        command."""
        client = greeted()
        self.assertEqual(client.code(b"AUTH PLAIN " + b"A" * 12_000), 501)
        self.assertEqual(client.say(b"AUTH PLAIN " + b"A" * 12_288), b"500 5.5.2 Line too long\r\n")
        client.say(b"AUTH PLAIN")
        self.assertEqual(client.send(b"A" * 12_288), b"500 5.5.2 Line too long\r\n")
        self.assertEqual(client.codes(b"QUIT\r\nNOOP\r\n"), [250])
        self.assertEqual(client.code(PLAIN), 235)

    def test_broken_line_ends(self) -> None:
        """A bare LF, CR or NUL in a response ends the exchange."""
        for response in (b"AAAA\nBBBB", b"AAAA\rBBBB", b"AA\0A"):
            client = greeted()
            client.say(b"AUTH LOGIN")
            self.assertEqual(client.code(response), 500)
            self.assertEqual(client.code(encoded(b"freetest")), 500)
            self.assertEqual(client.code(PLAIN), 235)

    def test_command_as_response(self) -> None:
        """A command in place of a response is a malformed response and is not executed."""
        client = greeted()
        client.say(b"AUTH PLAIN")
        self.assertEqual(client.code(b"MAIL FROM:<a@b>"), 501)
        self.assertEqual(client.code(b"MAIL FROM:<a@b>"), 530)

    def test_second_login(self) -> None:
        """A second AUTH is refused, in a transaction too; login and transaction go on."""
        client = connect().log_in()
        self.assertEqual(client.say(PLAIN), b"503 5.5.1 Already authenticated\r\n")
        self.assertEqual(client.codes(ENVELOPE), [250, 250])
        self.assertEqual(client.code(b"AUTH LOGIN"), 503)
        self.assertEqual(client.codes(b"DATA\r\nx\r\n.\r\n"), [354, 250])

    def test_nothing_in_the_log(self) -> None:
        """No login, successful or not, puts the name or the password into the log, encoded or not."""
        events: list[LogEvent] = []
        observer = cast(ILogObserver, events.append)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        name, secret = b"seeded-name", b"seeded-secret"
        plain = encoded(b"\0" + name + b"\0" + secret)
        for lines in (
            [b"AUTH PLAIN " + plain],
            [b"AUTH PLAIN", plain],
            [b"AUTH PLAIN " + plain + b"!"],
            [b"AUTH PLAIN " + plain + b"\n"],
            [b"AUTH PLAIN " + secret],
            [b"AUTH " + plain],
            [b"AUTH LOGIN", encoded(name), encoded(secret)],
            [b"AUTH LOGIN", encoded(name), secret],
            [plain],
            [b"STARTTLS\r\nAUTH PLAIN " + plain],
            [b"AUTH PLAIN " + plain] * 4,
        ):
            client = greeted()
            for line in lines:
                client.send(line + b"\r\n")
        client = greeted()
        self.patch(client.delegate, "login", lambda *credentials: 1 // 0)
        client.say(b"AUTH PLAIN " + plain)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        logged = "\n".join(map(eventAsText, events))
        self.assertIn("STARTTLS", logged)
        for octets in (name, secret, plain, encoded(name), encoded(secret)):
            self.assertNotIn(octets.decode(), logged)


class TriesTests(SynchronousTestCase):
    WRONG = b"AUTH PLAIN " + encoded(b"\x003\0wrong")

    def test_three(self) -> None:
        """The third wrong password is answered and ends the session."""
        client = greeted()
        self.assertEqual([client.code(self.WRONG), client.code(self.WRONG)], [535, 535])
        self.assertEqual(
            client.say(self.WRONG), b"535 5.7.8 Authentication failed\r\n421 4.7.0 Too many failed logins\r\n"
        )
        self.assertTrue(client.wire.disconnecting)

    def test_pipelined(self) -> None:
        """Pipelined guesses get no more tries than single ones, and a right one after them is ignored."""
        client = greeted()
        client.send((self.WRONG + b"\r\n") * 10 + PLAIN + b"\r\n")
        self.assertEqual(len(client.delegate.calls), 3)
        self.assertIsNone(client.protocol.dialogue.session.account)

    def test_busy_is_no_try(self) -> None:
        """A temporary refusal does not count as a wrong password, but too many of them end the session."""
        client = greeted()
        client.delegate.hold.add("login")
        answers = []
        for _ in range(11):
            client.wire.clear()
            client.say(PLAIN)
            client.delegate.held.pop()[0].callback(Reply(454, "4.7.0 Busy"))
            answers.append(client.wire.value()[:3])
        self.assertEqual(answers, [b"454"] * 10 + [b"421"])

    def test_endless_malformed(self) -> None:
        """Too many malformed logins end the session."""
        client = greeted()
        self.assertEqual([client.code(b"AUTH PLAIN !") for _ in range(11)], [501] * 10 + [421])

    def test_half_a_login_waits_a_minute(self) -> None:
        """A client that does not answer a challenge is closed by the timer."""
        client = greeted()
        client.say(b"AUTH LOGIN")
        for _ in range(62):
            client.clock.advance(1)
        self.assertTrue(client.wire.disconnecting)
