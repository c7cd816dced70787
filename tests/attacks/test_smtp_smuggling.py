"""Messages hidden inside messages: line ends that one server reads as the end of data and another does not."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.protocols.smtp.support import ENVELOPE, Client, codes, connect, quicktel

HIDDEN = b"MAIL FROM:<evil@x>\r\nRCPT TO:<666@s.ru>\r\nDATA\r\nhidden\r\n.\r\n"
REFUSAL = b"550 5.5.2 A CR, LF or NUL of its own in the message\r\n"

NOT_AN_END = {
    "LF . LF": b"\n.\n",
    "LF . CRLF": b"\n.\r\n",
    "CR . CR": b"\r.\r",
    "CR . CRLF": b"\r.\r\n",
    "CRLF . CR": b"\r\n.\r",
    "CRLF . LF": b"\r\n.\n",
    "CR . LF": b"\r.\n",
    "LF . CR": b"\n.\r",
    "CRLF . NUL CRLF": b"\r\n.\0\r\n",
    "CRLF . CR CRLF": b"\r\n.\r\r\n",
    "LF CR . CRLF": b"\n\r.\r\n",
    "CRLF NUL . CRLF": b"\r\n\0.\r\n",
}


class SmugglingTests(SynchronousTestCase):
    def assert_refused(self, client: Client, answer: bytes) -> None:
        """Check that there is one refusal, the connection is closed, and no message was accepted."""
        self.assertEqual(answer, REFUSAL)
        self.assertTrue(client.wire.disconnecting)
        self.assertEqual(client.delegate.messages, [])

    def test_every_false_end(self) -> None:
        """No variant of a false end hides a message: the octets up to the true end are one message, which is
        refused."""
        for name, false_end in NOT_AN_END.items():
            for hidden in (HIDDEN, b""):
                with self.subTest(name):
                    client = connect().begin_data()
                    stream = b"\r\nhello" + false_end + hidden
                    self.assertEqual(client.send(stream[:-3] if hidden else stream), b"")
                    self.assert_refused(client, client.send(stream[-3:] if hidden else b"\r\n.\r\n"))

    def test_every_false_end_octet_by_octet(self) -> None:
        """The same when each octet arrives alone."""
        for name, false_end in NOT_AN_END.items():
            with self.subTest(name):
                client = connect().begin_data()
                stream = b"hello" + false_end + HIDDEN
                answer = client.send(*(stream[at : at + 1] for at in range(len(stream))))
                self.assert_refused(client, answer)

    def test_right_behind_data(self) -> None:
        """The same with a false end at the start of a message."""
        for false_end in (b".\n", b".\r", b".\0\r\n", b"\n.\r\n", b"\r.\r\n"):
            client = connect().begin_data()
            self.assert_refused(client, client.send(false_end + b"x\r\n.\r\n"))

    def test_one_bare_octet(self) -> None:
        """A single bare CR, bare LF or NUL anywhere in a message is refused."""
        for text in (b"a\rb", b"a\nb", b"\n", b"\r", b"a\r\r\nb", b"a\r\n\nb", b"a\n\r\nb", b"\0", b"a\0b"):
            client = connect().begin_data()
            self.assert_refused(client, client.send(b"X: y\r\n\r\n" + text + b"\r\n.\r\n"))

    def test_in_what_was_not_kept(self) -> None:
        """A bare LF early in a message that is far too big is found."""
        client = connect(quicktel(mail_limit=1000)).begin_data()
        client.send(b"a\nb\r\n")
        for _ in range(100):
            client.send(b"x" * 98 + b"\r\n")
        self.assert_refused(client, client.send(b".\r\n"))

    def test_nothing_behind_is_carried_out(self) -> None:
        """Octets after the refused message in the same segment are dropped."""
        client = connect().begin_data()
        self.assert_refused(client, client.send(b"a\nb\r\n.\r\n" + HIDDEN + b"QUIT\r\n"))

    def test_stuffed(self) -> None:
        """A stuffed dot line is text and does not end the message."""
        client = connect().begin_data()
        self.assertEqual(client.codes(b"a\r\n..\r\n" + HIDDEN.replace(b"\r\n.\r\n", b"\r\n..\r\n") + b".\r\n"), [250])
        self.assertEqual(client.delegate.bodies(), [b"a\r\n.\r\n" + HIDDEN])


class LongLineTests(SynchronousTestCase):
    def test_over_long_line_in_data(self) -> None:
        """A line that is too long is read as text up to the true end; nothing in it is read as a command."""
        for length in (8193, 70_000, 1_000_000):
            client = connect().begin_data()
            client.send(b"\r\n" + b"x" * length + b"\r\n")
            answer = client.send(HIDDEN.replace(b"DATA\r\n", b"") + b"NOOP\r\n")
            self.assertEqual(codes(answer)[0], 552)
            self.assertEqual(client.delegate.messages, [])
            self.assertFalse(client.wire.disconnecting)

    def test_session_goes_on(self) -> None:
        """After such a message the session goes on."""
        client = connect().begin_data()
        self.assertEqual(client.send(b"\r\n" + b"x" * 9000 + b"\r\n.\r\n"), b"552 5.3.4 Line too long\r\n")
        self.assertEqual(client.codes(b"DATA\r\n" + ENVELOPE + b"DATA\r\nok\r\n.\r\n"), [503, 250, 250, 354, 250])
        self.assertEqual(client.delegate.bodies(), [b"ok\r\n"])

    def test_commands_in_the_long_line(self) -> None:
        """Commands inside and after an over-long line that arrives in pieces are text."""
        client = connect().begin_data()
        pieces = [b"x" * 5000, b"y" * 5000, b"\r\nRSET\r\n", b"MAIL FROM:<evil@x>\r\n", b"QUIT\r\n"]
        self.assertEqual(client.send(*pieces), b"")
        self.assertEqual(client.codes(b".\r\n"), [552])
        self.assertEqual([call for call in client.delegate.calls if call[0] == "sender"][1:], [])

    def test_long_command_line(self) -> None:
        """The rest of a command line that is too long is never read as a command."""
        client = connect(quicktel(junk_after_login=1000)).log_in()
        self.assertEqual(client.send(b"NOOP " + b"x" * 2000), b"500 5.5.2 Line too long\r\n")
        self.assertEqual(client.send(b"MAIL FROM:<evil@x>", b"\rRSET", b"\n"), b"")
        self.assertEqual(client.codes(b"x\r\nNOOP\r\n"), [250])
        self.assertEqual(client.delegate.calls, [("login", b"3")])


class HeaderTests(SynchronousTestCase):
    def refused(self, text: bytes) -> int:
        """Return the code of the reply to a message after which the session goes on."""
        client = connect().begin_data()
        (code,) = client.codes(text + b"\r\nhi\r\n.\r\n")
        self.assertEqual(client.delegate.messages, [])
        self.assertEqual(client.codes(ENVELOPE), [250, 250])
        return code

    def test_bombs(self) -> None:
        """Header bombs are refused before they are parsed."""
        bombs = {
            "block": b"".join(b"X-%d: %b\r\n" % (number, b"y" * 1000) for number in range(70)),
            "fields": b"X: y\r\n" * 201,
            "line": b"X: " + b"y" * 8190 + b"\r\n",
            "folds": b"X: y\r\n" + b" z\r\n" * 1000,
            "folded field": b"X: y\r\n" + b" %b\r\n" % (b"z" * 900) * 10,
            "encoded words": b"Subject: " + b"=?utf-8?q?x?=\r\n " * 8000 + b"\r\n",
            "parameters": b"Content-Type: text/plain" + b";\r\n x*%d*=y" * 2000 + b"\r\n",
        }
        for name, text in bombs.items():
            with self.subTest(name):
                self.assertEqual(self.refused(text), 552)

    def test_loop(self) -> None:
        """A message with more than twenty Received fields is refused as a loop."""
        self.assertEqual(self.refused(b"Received: from a by b\r\n" * 21), 554)


class BlindTextTests(SynchronousTestCase):
    def test_text_after_refused_data(self) -> None:
        """A client that sends message text after a refused DATA is closed at its first line, because the text's author
        could put commands into it."""
        client = connect().log_in()
        stream = b"MAIL FROM:<a@b>\r\nRCPT TO:<unknown@s.ru>\r\nDATA\r\nSubject: x\r\n\r\n" + HIDDEN
        self.assertEqual(client.codes(stream), [250, 550, 554, 421])
        self.assertEqual(client.delegate.messages, [])
        self.assertTrue(client.wire.disconnecting)

    def test_command_after_refused_data(self) -> None:
        """A client that sends a command after a refused DATA is served."""
        client = connect().log_in()
        self.assertEqual(client.codes(b"DATA\r\nRSET\r\nHELO\r\nFROM: x\r\n"), [503, 250, 501, 500])
