"""Odd verbs, odd octets and floods of junk commands."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.protocols.smtp.support import ENVELOPE, connect, quicktel

PATIENT = quicktel(junk_before_login=1000, junk_after_login=1000)

UNKNOWN = [
    b"",
    b" ",
    b" NOOP",
    b"\tNOOP",
    b"NOOPS",
    b"NO",
    b"MAIL\tFROM:<a@b>",
    b"MAILFROM:<a@b>",
    b"X" * 1000,
    b"\xd0\xbf\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82",
    b"NOO\xcf\x81",
    b"\xff\xfe\xfd",
    b"_COMMAND",
    b"connectionLost x",
    b"__init__",
    b"{peer}",
    b"%s%s%n",
    b"235 Authentication successful.",
]


class OddVerbTests(SynchronousTestCase):
    def test_unknown(self) -> None:
        """An unknown verb, ASCII or not, is answered 500 without effect."""
        for client in (connect(PATIENT), connect(PATIENT).log_in()):
            for line in UNKNOWN:
                self.assertEqual(client.say(line), b"500 5.5.1 Command not recognized\r\n", line)
            self.assertEqual(client.code(b"NOOP"), 250)

    def test_control_octets(self) -> None:
        """A line with a bare LF, bare CR or NUL is refused."""
        client = connect(PATIENT).log_in()
        client.delegate.calls.clear()
        for line in (
            b"MAIL FROM:<a@b>\nRCPT TO:<7@s.ru>",
            b"MAIL FROM:<a@b>\rRCPT TO:<7@s.ru>",
            b"MAIL FROM:<a@b>\0",
            b"\nMAIL FROM:<a@b>",
            b"\rMAIL FROM:<a@b>",
            b"MAIL FROM:<a@b>\r",
            b"STATUS 4418\n",
            b"NOOP\n\n\n",
        ):
            self.assertEqual(client.codes(line + b"\r\n"), [500], line)
        self.assertEqual(client.delegate.calls, [])
        self.assertEqual(client.codes(ENVELOPE), [250, 250])

    def test_bare_lf_is_refused_at_once(self) -> None:
        """A client that ends lines with LF alone is refused at its first line."""
        self.assertEqual(
            connect().send(b"EHLO x\n"), b"500 5.5.2 Lines end with CR LF and hold no other CR, LF or NUL\r\n"
        )

    def test_odd_arguments(self) -> None:
        """An argument that is not printable ASCII is refused before it is parsed."""
        client = connect(PATIENT).log_in()
        client.delegate.calls.clear()
        for line in (
            "MAIL FROM:<ящик@b>".encode(),
            "RCPT TO:<７@s.ru>".encode(),
            "STATUS ٤٤١٨".encode(),
            b"STATUS 4418\x7f",
            b"STATUS \x0b4418",
            b"NOOP \x1b[2J",
            b"EHLO \xff",
        ):
            self.assertEqual(client.code(line), 501, line)
        self.assertEqual(client.delegate.calls, [])

    def test_status_argument(self) -> None:
        """STATUS takes one plain id; other arguments do not reach the delegate."""
        client = connect(PATIENT).log_in()
        client.delegate.calls.clear()
        for argument in (b"", b"1 2", b"1;2", b"'", b"1'or'1'='1", b"../x", b"*", b"%", b"-1.0", b"1" * 65, b"<1>"):
            self.assertEqual(client.code(b"STATUS " + argument), 501, argument)
        self.assertEqual(client.code(b"STATUS"), 501)
        self.assertEqual(client.delegate.calls, [])
        self.assertEqual(client.code(b"status 4418 "), 250)

    def test_not_for_us(self) -> None:
        """Verbs that ask for users or reverse the roles are not executed."""
        for client in (connect(), connect().log_in()):
            self.assertEqual(client.code(b"VRFY root"), 252)
            for line in (b"EXPN staff", b"TURN", b"ETRN example.com"):
                self.assertEqual(client.code(line), 502)
            self.assertEqual(client.code(b"HELP"), 214)

    def test_chunks_end_the_session(self) -> None:
        """BDAT is not implemented and ends the connection, because its octets would be read as commands."""
        client = connect().open_transaction()
        self.assertEqual(client.codes(b"BDAT 86 LAST\r\nRSET\r\nMAIL FROM:<evil@x>\r\n"), [502])
        self.assertTrue(client.wire.disconnecting)
        self.assertEqual(len(client.delegate.sessions), 1)

    def test_browser(self) -> None:
        """A browser that an attacker points at the port is closed at its first line, before text of the attacker."""
        for line in (b"GET / HTTP/1.1", b"POST / HTTP/1.1", b"PUT /x HTTP/1.1", b"CONNECT a:25 HTTP/1.1"):
            client = connect()
            self.assertEqual(client.codes(line + b"\r\nHost: x\r\n\r\nEHLO x\r\n"), [502])
            self.assertTrue(client.wire.disconnecting)

    def test_bare_verbs(self) -> None:
        """Verbs without an argument refuse one."""
        client = connect().open_transaction()
        for line in (b"DATA now", b"RSET x", b"QUIT please", b"DATA BODY=8BITMIME"):
            self.assertEqual(client.code(line), 501)
        self.assertEqual(client.codes(b"DATA \r\nx\r\n.\r\nquit\r\n"), [354, 250, 221])


class UselessTests(SynchronousTestCase):
    def test_junk_before_login(self) -> None:
        """An unauthenticated client may send ten junk commands of any kind."""
        for line, code in (
            (b"NOOP", 250),
            (b"RSET", 250),
            (b"VRFY x", 252),
            (b"HELP", 214),
            (b"XYZZY", 500),
            (b"\xff", 500),
            (b"EXPN x", 502),
            (b"MAIL FROM:<a@b>", 503),
            (b"NOOP\n", 500),
        ):
            client = connect()
            self.assertEqual(client.codes((line + b"\r\n") * 30), [code] * 10 + [421], line)
            self.assertTrue(client.wire.disconnecting)

    def test_greeting_again_and_again(self) -> None:
        """Endless EHLO ends the session."""
        self.assertEqual(connect().codes(b"EHLO x\r\n" * 30), [250] * 11 + [421])

    def test_junk_after_login(self) -> None:
        """An authenticated client may send twenty junk commands."""
        self.assertEqual(connect().log_in().codes(b"NOOP\r\n" * 30), [250] * 20 + [421])

    def test_useful_commands_reset_the_count(self) -> None:
        """A message or a status resets the count of junk commands."""
        client = connect().log_in()
        for useful in (ENVELOPE + b"DATA\r\nx\r\n.\r\n", b"STATUS 4418\r\n"):
            for _ in range(5):
                self.assertNotIn(421, client.codes(b"NOOP\r\n" * 15 + b"RSET\r\n" + useful))

    def test_refused_recipients_are_no_junk(self) -> None:
        """Refused recipients, each with a RSET, do not count as junk."""
        client = connect().log_in()
        for _ in range(50):
            self.assertEqual(client.codes(b"MAIL FROM:<a@b>\r\nRCPT TO:<unknown@s.ru>\r\nRSET\r\n"), [250, 550, 250])

    def test_recipients_without_end(self) -> None:
        """Recipients far above the limit end the session, and only those below it reached the delegate."""
        client = connect(quicktel(recipients=10)).log_in()
        replies = client.codes(b"MAIL FROM:<a@b>\r\n" + b"RCPT TO:<unknown@s.ru>\r\n" * 200)
        self.assertEqual(replies, [250] + [550] * 10 + [452] * 90 + [421])
        self.assertEqual(len([call for call in client.delegate.calls if call[0] == "recipient"]), 10)

    def test_refused_senders_without_end(self) -> None:
        """Endless refused senders end the session."""
        client = connect().log_in()
        self.assertEqual(client.codes(b"MAIL FROM:<unknown@b>\r\n" * 30), [553] * 20 + [421])

    def test_flood_of_garbage(self) -> None:
        """A megabyte of garbage closes an unauthenticated connection after eleven lines."""
        client = connect()
        self.assertEqual(client.codes(b"\xff\r\n" * 300_000), [500] * 10 + [421])
