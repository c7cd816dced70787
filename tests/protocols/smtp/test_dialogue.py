"""The session of the provider's document, and general SMTP behaviour."""

from __future__ import annotations

import os
import subprocess
import sys

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from smsgw.interfaces import IMailDelegate, Reply
from smsgw.protocols.smtp.factory import SubmissionFactory, SubmissionSettings
from tests.protocols.smtp.support import CONTEXT, ENVELOPE, LOGGED_IN, Recorder, connect, encoded, quicktel

LETTER = (
    b"From: SMSGW <default@mydomain.ru>\r\n"
    b"To: 89061234567@sms.qtelecom.ru\r\n"
    b"MIME-Version: 1.0\r\n"
    b"Content-Type: text/plain; charset=windows-1251\r\n"
    b"Content-Transfer-Encoding: quoted-printable\r\n"
    b"\r\n"
    b"Privet !\r\n"
)

DIALOGUE = [
    (b"EHLO mycomputer", b"250-SMTP Server\r\n250-8BITMIME\r\n250-STARTTLS\r\n250-AUTH LOGIN PLAIN\r\n250 Ok\r\n"),
    (b"AUTH PLAIN", b"334 Ok\r\n"),
    (b"ADMAZnJlZXRlc3Q=", b"235 Authentication successful.\r\n"),
    (b"MAIL FROM:<default@mydomain.ru>", b"250 Ok\r\n"),
    (b"RCPT TO:<89061234567@sms.qtelecom.ru>", b"250 Ok\r\n"),
    (b"DATA", b"354 End data with <CR><LF>.<CR><LF>\r\n"),
    (LETTER + b".", b"250 1 message accepted\r\n"),
    (b"STATUS 4418", b"250 4418 1 0 0 Message is accepted for delivery\r\n"),
    (b"RSET", b"250 Ok\r\n"),
    (b"QUIT", b"221 Bye\r\n"),
]

STANDARD = SubmissionSettings(tls="optional")


class DocumentedSessionTests(SynchronousTestCase):
    def test_line_by_line(self) -> None:
        """The session of the provider's document is answered octet for octet
        (000-2), (000-3), (000-5), (000-8), (000-28), (000-30), (000-32), (000-36), (000-39)."""
        client = connect()
        self.assertEqual(client.wire.value(), b"220 Message gateway\r\n")
        for line, answer in DIALOGUE:
            self.assertEqual(client.say(line), answer)
        self.assertTrue(client.wire.disconnecting)
        self.assertEqual(
            client.delegate.messages,
            [("default@mydomain.ru", ["89061234567@sms.qtelecom.ru"], LETTER)],
        )

    def test_any_cut(self) -> None:
        """Any cut of the session gives the same replies and the same message."""
        stream = b"".join(line + b"\r\n" for line, _ in DIALOGUE)
        expected = b"".join(answer for _, answer in DIALOGUE)
        for step in (1, 2, 3, 5, 7, 11, 64, len(stream)):
            client = connect()
            pieces = [stream[at : at + step] for at in range(0, len(stream), step)]
            self.assertEqual(client.send(*pieces), expected)
            self.assertEqual(client.delegate.bodies(), [LETTER])

    def test_every_two_cuts(self) -> None:
        """A session cut in two at any offset gets the same replies."""
        stream = b"".join(line + b"\r\n" for line, _ in DIALOGUE)
        expected = b"".join(answer for _, answer in DIALOGUE)
        for at in range(len(stream)):
            self.assertEqual(connect().send(stream[:at], stream[at:]), expected)

    def test_delegate_is_complete(self) -> None:
        """The delegate of these tests provides IMailDelegate."""
        self.assertTrue(verifyObject(IMailDelegate, Recorder()))


class EmbeddingTests(SynchronousTestCase):
    def test_no_reactor(self) -> None:
        """Importing the protocol installs no reactor and leaves Twisted's own SMTP alone."""
        code = (
            "import sys, smsgw.protocols.smtp.factory;"
            "sys.exit('twisted.internet.reactor' in sys.modules or 'twisted.mail' in sys.modules)"
        )
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        self.assertEqual(subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode, 0)


class GreetingTests(SynchronousTestCase):
    def test_helo(self) -> None:
        """HELO is answered with a single 250 (000-4)."""
        self.assertEqual(connect().say(b"HELO mycomputer"), b"250 SMTP Server\r\n")

    def test_without_a_context(self) -> None:
        """STARTTLS is not listed without TLS (000-12)."""
        answer = connect(tls=None).say(b"EHLO x")
        self.assertEqual(answer, b"250-SMTP Server\r\n250-8BITMIME\r\n250-AUTH LOGIN PLAIN\r\n250 Ok\r\n")

    def test_standard(self) -> None:
        """The standard dialect lists SIZE, and AUTH only inside TLS."""
        client = connect(STANDARD)
        self.assertEqual(
            client.say(b"ehlo x"),
            b"250-gw.example\r\n250-8BITMIME\r\n250-STARTTLS\r\n250-SIZE 131072\r\n"
            b"250-PIPELINING\r\n250 ENHANCEDSTATUSCODES\r\n",
        )
        self.assertEqual(client.code(b"STARTTLS"), 220)
        self.assertEqual(
            client.say(b"ehlo x"),
            b"250-gw.example\r\n250-8BITMIME\r\n250-AUTH LOGIN PLAIN\r\n250-SIZE 131072\r\n"
            b"250-PIPELINING\r\n250 ENHANCEDSTATUSCODES\r\n",
        )

    def test_i6_only_what_can_be_verified(self) -> None:
        """A listener cannot offer a mechanism that needs the password of the account in clear; it is answered 504."""
        for line in ("AUTH CRAM-MD5", "AUTH PLAIN CRAM-MD5", "auth login scram-sha-256"):
            with self.assertRaises(ValueError) as raised:
                connect(SubmissionSettings(ehlo=("{host}", line)))
            self.assertIn(line.split()[-1].upper(), str(raised.exception))
        client = connect(SubmissionSettings(ehlo=("{host}", "auth login", ""), auth_without_tls=True))
        client.say(b"EHLO x")
        self.assertEqual(client.code(b"AUTH CRAM-MD5"), 504)
        self.assertEqual(client.say(b"AUTH LOGIN"), b"334 VXNlcm5hbWU6\r\n")

    def test_standard_replies_have_codes(self) -> None:
        """If enhanced codes are announced, the protocol's positive replies have them too."""
        client = connect(STANDARD)
        self.assertEqual(client.say(b"NOOP"), b"250 2.0.0 Ok\r\n")
        self.assertEqual(client.say(b"STARTTLS"), b"220 2.0.0 Ready to start TLS\r\n")
        self.assertEqual(client.say(b"QUIT"), b"221 2.0.0 Bye\r\n")

    def test_ehlo_needs_a_name(self) -> None:
        """EHLO without exactly one printable name is refused."""
        client = connect()
        for line in (b"EHLO", b"EHLO ", b"EHLO a b", b"EHLO \xd0\xbf", b"HELO", b"EHLO " + b"x" * 256):
            self.assertEqual(client.code(line), 501)

    def test_second_ehlo_ends_the_transaction(self) -> None:
        """EHLO in a transaction drops the transaction, not the login."""
        client = connect().open_transaction()
        self.assertEqual(client.code(b"EHLO again"), 250)
        self.assertEqual(client.code(b"DATA"), 503)
        self.assertEqual(client.codes(ENVELOPE), [250, 250])

    def test_tls_without_a_context(self) -> None:
        """A factory that needs TLS and has no context raises ValueError."""
        for mode in ("demanded", "implicit"):
            with self.assertRaisesRegex(ValueError, "certificate"):
                SubmissionFactory(Recorder(), quicktel(tls=mode), Clock())

    def test_unknown_tls_mode(self) -> None:
        """An unknown TLS mode is refused."""
        with self.assertRaises(ValueError):
            quicktel(tls="sometimes")


class LoginTests(SynchronousTestCase):
    def test_initial_response(self) -> None:
        """AUTH PLAIN accepts its response in the same line, in any letter case (000-6), (000-14)."""
        client = connect()
        client.say(b"EHLO x")
        self.assertEqual(client.say(b"auth plain ADMAZnJlZXRlc3Q="), b"235 Authentication successful.\r\n")
        self.assertTrue(client.protocol.dialogue.session.authenticated)
        self.assertEqual(client.protocol.dialogue.session.account, "3")

    def test_login(self) -> None:
        """AUTH LOGIN asks for name and password (000-7)."""
        client = connect()
        client.say(b"EHLO x")
        self.assertEqual(client.say(b"AUTH LOGIN"), b"334 VXNlcm5hbWU6\r\n")
        self.assertEqual(client.say(encoded(b"3")), b"334 UGFzc3dvcmQ6\r\n")
        self.assertEqual(client.say(encoded(b"freetest")), b"235 Authentication successful.\r\n")

    def test_login_with_the_name_at_once(self) -> None:
        """AUTH LOGIN accepts the name in the same line."""
        client = connect()
        client.say(b"EHLO x")
        self.assertEqual(client.say(b"AUTH LOGIN " + encoded(b"3")), b"334 UGFzc3dvcmQ6\r\n")
        self.assertEqual(client.code(encoded(b"freetest")), 235)

    def test_wrong_password(self) -> None:
        """Wrong credentials are answered 535 and the session goes on (000-10)."""
        client = connect()
        client.say(b"EHLO x")
        self.assertEqual(client.say(b"AUTH PLAIN " + encoded(b"\x003\0wrong")), b"535 5.7.8 Authentication failed\r\n")
        self.assertEqual(client.code(b"MAIL FROM:<a@b>"), 530)
        self.assertEqual(client.code(b"AUTH PLAIN ADMAZnJlZXRlc3Q="), 235)

    def test_nothing_before_login(self) -> None:
        """Mail commands and STATUS are refused with 530 before authentication (000-11)."""
        client = connect()
        client.say(b"EHLO x")
        for line in (b"MAIL FROM:<a@b>", b"RCPT TO:<7@sms.qtelecom.ru>", b"DATA", b"STATUS 1"):
            self.assertEqual(client.say(line), b"530 5.7.0 Authentication required\r\n")
        self.assertEqual(client.delegate.calls, [])

    def test_nothing_before_ehlo(self) -> None:
        """Commands that need a login need EHLO first."""
        client = connect()
        for line in (b"MAIL FROM:<a@b>", b"AUTH PLAIN ADMAZnJlZXRlc3Q=", b"STATUS 1"):
            self.assertEqual(client.code(line), 503)

    def test_login_survives_messages(self) -> None:
        """One login serves many messages and the status of each (000-31), (000-38)."""
        client = connect().log_in()
        for number in range(1, 4):
            stream = ENVELOPE + b"DATA\r\n\r\nhi\r\n.\r\nSTATUS 4418\r\nRSET\r\nSTATUS 4418\r\n"
            self.assertEqual(client.codes(stream), [250, 250, 354, 250, 250, 250, 250])
            self.assertEqual(len(client.delegate.messages), number)


class TransactionTests(SynchronousTestCase):
    def test_dots(self) -> None:
        """Dots are unstuffed, single dots before text too (000-29)."""
        client = connect().begin_data()
        self.assertEqual(client.code(b"..\r\n...two\r\nin.the..middle\r\n.x\r\n."), 250)
        self.assertEqual(client.delegate.bodies(), [b".\r\n..two\r\nin.the..middle\r\nx\r\n"])

    def test_empty_message(self) -> None:
        """A dot right after DATA ends an empty message."""
        client = connect().begin_data()
        self.assertEqual(client.code(b"."), 250)
        self.assertEqual(client.delegate.bodies(), [b""])

    def test_eight_bits(self) -> None:
        """Octets above 127 in a message are unchanged."""
        body = bytes(range(128, 256)) + b"\r\n"
        client = connect().begin_data()
        client.send(body + b".\r\n")
        self.assertEqual(client.delegate.bodies(), [body])

    def test_several_recipients(self) -> None:
        """Refused recipients are left out; the transaction goes on with the others."""
        client = connect().log_in()
        stream = (
            b"MAIL FROM:<a@b.c> BODY=8BITMIME\r\nRCPT TO:<8(906)123-45-67@s.ru>\r\n"
            b"RCPT TO:<unknown@s.ru>\r\nRCPT TO:<list_staff@S.RU>\r\nDATA\r\n\r\nhi\r\n.\r\n"
        )
        self.assertEqual(client.codes(stream), [250, 250, 550, 250, 354, 250])
        self.assertEqual(client.delegate.messages[0][1], ["8(906)123-45-67@s.ru", "list_staff@S.RU"])

    def test_order(self) -> None:
        """Commands out of order are refused without effect."""
        client = connect().log_in()
        self.assertEqual(client.codes(b"RCPT TO:<7@s.ru>\r\nDATA\r\n"), [503, 503])
        self.assertEqual(client.codes(b"MAIL FROM:<a@b>\r\nMAIL FROM:<a@b>\r\nDATA\r\n"), [250, 503, 554])
        self.assertEqual(client.codes(b"RCPT TO:<7@s.ru>\r\nDATA\r\n\r\nx\r\n.\r\nDATA\r\n"), [250, 354, 250, 503])

    def test_refused_sender_opens_nothing(self) -> None:
        """After a refused MAIL there is no transaction."""
        client = connect().log_in()
        self.assertEqual(client.codes(b"MAIL FROM:<unknown@b>\r\nRCPT TO:<7@s.ru>\r\n"), [553, 503])

    def test_message_ends_the_transaction(self) -> None:
        """After the answer to a message a new MAIL is needed, whether the answer was positive or not."""
        client = connect().open_transaction()
        client.delegate.hold.add("message")
        client.send(b"DATA\r\nx\r\n.\r\n")
        client.delegate.held.pop()[0].callback(Reply(554, "5.6.0 No text"))
        self.assertEqual(client.codes(b"DATA\r\nMAIL FROM:<a@b>\r\n"), [503, 250])

    def test_unknown_status(self) -> None:
        """The delegate's refusal of an id reaches the client unchanged (000-37)."""
        self.assertEqual(connect().log_in().say(b"STATUS 99"), b"550 99 message not found\r\n")

    def test_client_without_status(self) -> None:
        """A mail client that does not use STATUS is served as by any mail server (000-40)."""
        client = connect()
        stream = LOGGED_IN + ENVELOPE + b"DATA\r\n"
        self.assertEqual(client.codes(stream), [250, 235, 250, 250, 354])
        self.assertEqual(client.codes(LETTER + b".\r\nNOOP\r\nQUIT\r\n"), [250, 250, 221])

    def test_size(self) -> None:
        """If SIZE is announced, a declared size is checked, and so is the size of the message."""
        settings = SubmissionSettings(tls="optional", auth_without_tls=True, mail_limit=100)
        client = connect(settings).log_in()
        self.assertEqual(client.codes(b"MAIL FROM:<a@b> SIZE=101\r\nMAIL FROM:<a@b> size=5\r\n"), [552, 250])
        client.send(b"RCPT TO:<7@s.ru>\r\nDATA\r\n")
        self.assertEqual(client.codes(b"\r\n" + b"x" * 98 + b"\r\n.\r\n"), [552])
        self.assertEqual(client.delegate.messages, [])
        self.assertEqual(client.codes(b"MAIL FROM:<a@b>\r\nRCPT TO:<7@s.ru>\r\nDATA\r\n"), [250, 250, 354])
        self.assertEqual(client.codes(b"\r\n" + b"x" * 96 + b"\r\n.\r\n"), [250])

    def test_too_many_recipients(self) -> None:
        """Recipients above the limit get a temporary refusal; those before it keep their message."""
        client = connect(quicktel(recipients=3)).log_in()
        stream = b"MAIL FROM:<a@b>\r\n" + b"RCPT TO:<7@s.ru>\r\n" * 5 + b"DATA\r\nx\r\n.\r\n"
        self.assertEqual(client.codes(stream), [250, 250, 250, 250, 452, 452, 354, 250])
        self.assertEqual(len(client.delegate.messages[0][1]), 3)

    def test_too_many_transactions(self) -> None:
        """A session ends after its maximum of transactions with 421."""
        client = connect(quicktel(messages=2)).log_in()
        one = ENVELOPE + b"DATA\r\nx\r\n.\r\n"
        self.assertEqual(client.codes(one + one + one)[-3:], [354, 250, 421])
        self.assertEqual(len(client.delegate.messages), 2)
        self.assertTrue(client.wire.disconnecting)


class DelegateTests(SynchronousTestCase):
    def test_failure(self) -> None:
        """If the delegate fails, the reply is temporary, the traceback is logged, and the session goes on."""
        client = connect().open_transaction()
        client.delegate.hold.add("message")
        client.send(b"DATA\r\nx\r\n.\r\n")
        client.wire.clear()
        client.delegate.held.pop()[0].errback(RuntimeError("disk"))
        self.assertEqual(client.wire.value(), b"451 4.3.0 Requested action aborted: local error in processing\r\n")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(client.codes(ENVELOPE), [250, 250])

    def test_exception(self) -> None:
        """A delegate that raises is treated like one whose Deferred fails."""
        client = connect().log_in()

        def status(session: object, argument: str) -> object:
            raise KeyError(argument)

        client.delegate.status = status  # type: ignore[assignment,method-assign]
        self.assertEqual(client.code(b"STATUS 1"), 451)
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)

    def test_no_reply(self) -> None:
        """A delegate's answer that is no Reply ends the session and is logged."""
        client = connect().log_in()
        client.delegate.hold.add("status")
        client.say(b"STATUS 1")
        client.delegate.held.pop()[0].callback(None)  # type: ignore[arg-type]
        self.assertTrue(client.wire.disconnected)
        self.assertEqual(len(self.flushLoggedErrors(AttributeError)), 1)

    def test_reply_that_hangs_up(self) -> None:
        """A reply may close the connection; 421 always does."""
        for reply in (Reply(554, "5.7.1 Go away", close=True), Reply(421, "4.3.0 Later")):
            client = connect().log_in()
            client.delegate.hold.add("status")
            client.say(b"STATUS 1")
            client.delegate.held.pop()[0].callback(reply)
            self.assertTrue(client.wire.value().endswith(f"{reply.code} {reply.text}\r\n".encode()))
            self.assertTrue(client.wire.disconnecting)

    def test_reply_is_one_line(self) -> None:
        """Any text of a delegate is sent as one line of ASCII."""
        client = connect().log_in()
        client.delegate.hold.add("status")
        client.wire.clear()
        client.say(b"STATUS 1")
        client.delegate.held.pop()[0].callback(Reply(250, "a\r\n250 b\0c\u0416"))
        self.assertEqual(client.wire.value(), b"250 a  250 b c?\r\n")

    def test_closed_once(self) -> None:
        """closed() is called once, with the delegate's data in the session."""
        client = connect().log_in()
        session = client.protocol.dialogue.session
        client.leave()
        self.assertEqual(client.delegate.gone, [session])
        self.assertEqual(session.account, "3")

    def test_failing_at_the_end(self) -> None:
        """An exception in closed() is logged and has no other effect."""
        client = connect()

        def closed(session: object) -> None:
            raise KeyError("x")

        client.delegate.closed = closed  # type: ignore[method-assign]
        client.leave()
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        self.assertEqual(client.factory.sessions, set())

    def test_session(self) -> None:
        """The session has the client's address, its EHLO name and the transaction."""
        client = connect().open_transaction()
        session = client.delegate.sessions[0]
        self.assertEqual((session.peer, session.tls, session.ehlo), ("192.0.2.7", False, "mycomputer"))
        assert session.envelope is not None
        self.assertEqual(session.envelope.sender, "default@mydomain.ru")
        self.assertEqual(session.envelope.recipients, ["89061234567@sms.qtelecom.ru"])

    def test_encryption_is_seen(self) -> None:
        """Inside implicit TLS session.tls is true."""
        client = connect(quicktel(tls="implicit"))
        self.assertIs(client.wire.context, CONTEXT)
        self.assertEqual((client.wire.encrypted_from, client.wire.value()), (0, b"220 Message gateway\r\n"))
        self.assertTrue(client.protocol.dialogue.session.tls)
        self.assertNotIn(b"STARTTLS", client.say(b"EHLO x"))
