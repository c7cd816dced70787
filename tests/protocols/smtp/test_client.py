"""The ESMTP client step by step, against a server played line by line in memory."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from smsgw.protocols.smtp.client import CLOSING, SmtpClient, SmtpClientSettings
from smsgw.protocols.smtp.failures import SmtpFailed, Step
from smsgw.protocols.smtp.serverreply import ServerReply
from tests.protocols.smtp.support import Wire

MAIL = b"Subject: x\r\n\r\n.dot\r\nhi\r\n"
CONTEXT = object()


class Played:
    """A session whose server is the test.

    :ivar client: the client. :ivar wire: its transport, which remembers whether TLS began.
    """

    def __init__(self, **settings: Any) -> None:
        self.clock = Clock()
        self.wire = Wire()
        self.wire.hostAddr = IPv4Address("TCP", "192.0.2.1", 1)
        self.client = SmtpClient(SmtpClientSettings(**{"timeout": 10.0, **settings}), self.clock)
        self.client.makeConnection(self.wire)

    def answer(self, *lines: bytes) -> bytes:
        """The server sends these lines in one segment; what the client writes then."""
        self.wire.clear()
        self.client.dataReceived(b"".join(line + b"\r\n" for line in lines))
        return bytes(self.wire.value())

    def lose(self, why: Exception | None = None) -> None:
        """The connection goes."""
        self.client.connectionLost(Failure(why or ConnectionDone()))


class ClientTests(SynchronousTestCase):
    """One session."""

    def ready(self) -> Played:
        """A session that can send."""
        played = Played()
        played.answer(b"220 hi")
        played.answer(b"250 hi")
        self.successResultOf(played.client.opened)
        return played

    def failed(self, waiting: Deferred[Any]) -> SmtpFailed:
        """Why this came to nothing."""
        failure = self.failureResultOf(waiting, SmtpFailed).value
        assert isinstance(failure, SmtpFailed)
        return failure

    def test_opening(self) -> None:
        """Greeting, EHLO; what the server offers is known then."""
        played = Played(name="gw.example")
        self.assertEqual(played.wire.value(), b"")
        self.assertEqual(played.answer(b"220-hello", b"220 there"), b"EHLO gw.example\r\n")
        self.assertNoResult(played.client.opened)
        self.assertEqual(played.answer(b"250-hi", b"250-size 1000", b"250-AUTH=LOGIN PLAIN", b"250 8BITMIME"), b"")
        self.successResultOf(played.client.opened)
        self.assertEqual(played.client.extensions, {"SIZE": "1000", "AUTH": "LOGIN PLAIN", "8BITMIME": ""})
        self.assertEqual(played.clock.getDelayedCalls(), [])

    def test_name(self) -> None:
        """Without a name EHLO has the address of our end (RFC 5321, 4.1.3)."""
        for address, name in (
            (IPv4Address("TCP", "192.0.2.1", 1), b"[192.0.2.1]"),
            (IPv6Address("TCP", "2001:db8::1", 1), b"[IPv6:2001:db8::1]"),
            (UNIXAddress(b"/run/x"), b"localhost"),
        ):
            played = Played()
            played.wire.hostAddr = address
            self.assertEqual(played.answer(b"220 hi"), b"EHLO %b\r\n" % name)

    def test_helo(self) -> None:
        """A server that knows no EHLO is greeted with HELO, unless something is wanted that only EHLO offers."""
        played = Played()
        played.answer(b"220 hi")
        self.assertEqual(played.answer(b"502 what?"), b"HELO [192.0.2.1]\r\n")
        played.answer(b"250 hi")
        self.successResultOf(played.client.opened)
        for wanted in ({"login": "a", "password": "b"}, {"starttls": CONTEXT}):
            played = Played(**wanted)
            played.answer(b"220 hi")
            self.assertEqual(played.answer(b"502 what?"), b"")
            self.assertEqual(self.failed(played.client.opened).step, Step.EHLO)

    def test_starttls(self) -> None:
        """TLS begins behind the server's go-ahead, and everything is asked anew inside."""
        played = Played(starttls=CONTEXT, login="us", password="them")
        played.answer(b"220 hi")
        self.assertEqual(played.answer(b"250-hi", b"250-AUTH PLAIN", b"250 STARTTLS"), b"STARTTLS\r\n")
        self.assertIsNone(played.wire.context)
        self.assertEqual(played.answer(b"220 go"), b"EHLO [192.0.2.1]\r\n")
        self.assertIs(played.wire.context, CONTEXT)
        self.assertEqual(played.wire.encrypted_from, len(played.wire.writes) - 1)
        self.assertEqual(played.answer(b"250-hi", b"250 AUTH LOGIN"), b"AUTH LOGIN\r\n")

    def test_stripped(self) -> None:
        """Where TLS is wanted nothing goes on without it: neither a login nor a mail is sent in clear."""
        for replies in (
            ((b"250-hi", b"250 AUTH PLAIN"),),
            ((b"250-hi", b"250-AUTH PLAIN", b"250 STARTTLS"), (b"454 not now",)),
            ((b"250-hi", b"250-AUTH PLAIN", b"250 STARTTLS"), (b"250 fine, without",)),
        ):
            played = Played(starttls=CONTEXT, login="us", password="them")
            played.answer(b"220 hi")
            written = b"".join(played.answer(*lines) for lines in replies)
            self.assertEqual(self.failed(played.client.opened).step, Step.STARTTLS)
            self.assertNotIn(b"AUTH", written)
            self.assertTrue(played.wire.disconnecting)
            self.assertIsNone(played.wire.context)
            self.failed(played.client.send("a@b", ["c@d"], MAIL))

    def test_injected(self) -> None:
        """Clear text behind the go-ahead is never taken for encrypted: the session ends before a handshake."""
        for injected in ((b"250 AUTH PLAIN",), (b"",), (b"250-half a reply",)):
            played = Played(starttls=CONTEXT, login="us", password="them")
            played.answer(b"220 hi")
            played.answer(b"250-hi", b"250 STARTTLS")
            self.assertEqual(played.answer(b"220 go", *injected), b"")
            self.assertIn("clear text", str(self.failed(played.client.opened)))
            self.assertIsNone(played.wire.context)
            self.assertTrue(played.wire.disconnecting)

    def test_plain(self) -> None:
        """AUTH PLAIN is preferred (RFC 4616)."""
        played = Played(login="us", password="thém")
        played.answer(b"220 hi")
        written = played.answer(b"250-hi", b"250 AUTH LOGIN PLAIN")
        self.assertEqual(written, b"AUTH PLAIN " + b64encode("\0us\0thém".encode()) + b"\r\n")
        played.answer(b"235 in")
        self.successResultOf(played.client.opened)

    def test_login(self) -> None:
        """AUTH LOGIN, when there is no other."""
        played = Played(login="us", password="them")
        played.answer(b"220 hi")
        self.assertEqual(played.answer(b"250-hi", b"250 AUTH CRAM-MD5 LOGIN"), b"AUTH LOGIN\r\n")
        self.assertEqual(played.answer(b"334 VXNlcm5hbWU6"), b64encode(b"us") + b"\r\n")
        self.assertEqual(played.answer(b"334 UGFzc3dvcmQ6"), b64encode(b"them") + b"\r\n")
        played.answer(b"235 in")
        self.successResultOf(played.client.opened)

    def test_no_login(self) -> None:
        """A refused login, or no mechanism that is known, is the end; the reply can be read."""
        for replies, code in (
            ((b"250-hi", b"250 AUTH PLAIN"), b"535 no"),
            ((b"250-hi", b"250 AUTH LOGIN"), b"504 no"),
            ((b"250-hi", b"250 AUTH PLAIN"), b"334 "),
        ):
            played = Played(login="us", password="them")
            played.answer(b"220 hi")
            played.answer(*replies)
            played.answer(code)
            failed = self.failed(played.client.opened)
            assert failed.reply is not None
            self.assertEqual((failed.step, failed.reply.code), (Step.AUTH, int(code[:3])))
        for offer in (b"250 hi", b"250-hi\r\n250 AUTH GSSAPI"):
            played = Played(login="us", password="them")
            played.answer(b"220 hi")
            self.assertEqual(played.answer(offer), b"")
            self.assertIsNone(self.failed(played.client.opened).reply)

    def test_refused_greeting(self) -> None:
        """A server that does not want us, or is no SMTP server."""
        for line in (b"554 go away", b"421 busy", b"SSH-2.0-x", b"HTTP/1.1 400 Bad", b"\0\0\0\x10", b"250 hi"):
            played = Played()
            played.answer(line)
            self.assertEqual(self.failed(played.client.opened).step, Step.GREETING, line)
            self.assertTrue(played.wire.disconnecting, line)

    def test_mail(self) -> None:
        """A mail with its dots stuffed; the reply to it is that of each recipient."""
        played = self.ready()
        sending = played.client.send("a@b", ["c@d", "e@f"], MAIL)
        self.assertEqual(played.wire.value()[-16:], b"MAIL FROM:<a@b>\r\n"[-16:])
        self.assertEqual(played.answer(b"250 ok"), b"RCPT TO:<c@d>\r\n")
        self.assertEqual(played.answer(b"250 ok"), b"RCPT TO:<e@f>\r\n")
        self.assertEqual(played.answer(b"550 unknown"), b"DATA\r\n")
        self.assertEqual(played.answer(b"354 go"), b"Subject: x\r\n\r\n..dot\r\nhi\r\n.\r\n")
        self.assertFalse(played.client.usable)
        played.answer(b"250-taken", b"250 as 7")
        taken, refused = self.successResultOf(sending)
        self.assertEqual(taken, ServerReply(250, ("taken", "as 7")))
        self.assertEqual((refused.code, taken.positive, refused.positive), (550, True, False))
        self.assertTrue(played.client.usable)

    def test_refused_mail(self) -> None:
        """A refusal of sender, recipient, DATA or the message is the reply; the session goes on behind RSET."""
        for before in range(4):
            for code in (450, 550):
                played = self.ready()
                sending = played.client.send("", ["c@d"], b".\r\n")
                for reply in (b"250 ok", b"250 ok", b"354 go")[:before]:
                    played.answer(reply)
                self.assertEqual(played.answer(b"%d no" % code), b"")
                (reply_,) = self.successResultOf(sending)
                self.assertEqual((reply_.code, reply_.transient), (code, code == 450))
                played.wire.clear()
                resetting = played.client.reset()
                self.assertEqual(played.wire.value(), b"RSET\r\n")
                played.answer(b"250 ok")
                self.assertIsNone(self.successResultOf(resetting))
                self.assertTrue(played.client.usable)

    def test_unreadable(self) -> None:
        """What SMTP cannot carry is refused before anything is written."""
        played = self.ready()
        played.wire.clear()
        for sender, recipients, message in (
            ("a@b", [], MAIL),
            ("a", ["c@d"], MAIL),
            ("a@b", ["c@d>\r\nRCPT TO:<e@f"], MAIL),
            ("a@b", ["c d@e"], MAIL),
            ("a@b", ["ж@d"], MAIL),
            ("a@b", ["c@d\n"], MAIL),
            ("a@b", ["c@d"], b"no end"),
            ("a@b", ["c@d"], b"a\nb\r\n"),
            ("a@b", ["c@d"], b"a\rb\r\n"),
            ("a@b", ["c@d"], b"a\r\n.\r\r\n"),
            ("a@b", ["c@d"], b"a\0\r\n"),
            ("a@b", ["c@d"], "ж\r\n".encode()),
            ("a@b", ["c@d"], b"x" * 999 + b"\r\n"),
        ):
            self.assertRaises(ValueError, played.client.send, sender, recipients, message)
        self.assertEqual(played.wire.value(), b"")
        played.client.send("a@b", ["c@d"], b"x" * 998 + b"\r\n")
        self.assertNotEqual(played.wire.value(), b"")

    def test_lost(self) -> None:
        """A session that ends before the message has sent nothing; behind it, the server may have taken the mail."""
        for before, sent in ((0, False), (1, False), (2, False), (3, True)):
            for ending in ("lost", "silence", "nonsense", "misfit"):
                played = self.ready()
                sending = played.client.send("a@b", ["c@d"], MAIL)
                for reply in (b"250 ok", b"250 ok", b"354 go")[:before]:
                    played.answer(reply)
                if ending == "lost":
                    played.lose(ConnectionLost())
                elif ending == "silence":
                    played.clock.advance(9.9)
                    self.assertNoResult(sending)
                    played.clock.advance(0.2)
                else:
                    misfit = b"334 go" if before == 2 else b"354 go"
                    self.assertEqual(played.answer(b"nonsense" if ending == "nonsense" else misfit), b"")
                failed = self.failed(sending)
                self.assertEqual(failed.sent, sent, (before, ending))
                self.assertFalse(played.client.usable)
        played = self.ready()
        sending = played.client.send("a@b", ["c@d"], MAIL)
        for reply in (b"250 ok", b"250 ok"):
            played.answer(reply)
        self.assertEqual(played.answer(b"250 taken without a look"), b"")
        self.assertFalse(self.failed(sending).sent)

    def test_dripping(self) -> None:
        """A reply octet by octet does not move the deadline of its step."""
        played = Played()
        for _ in range(10):
            played.client.dataReceived(b"2")
            played.clock.advance(1.1)
        self.assertIn("no reply in time", str(self.failed(played.client.opened)))

    def test_too_much(self) -> None:
        """A server that says more than it was asked is not believed any further."""
        played = self.ready()
        sending = played.client.send("a@b", ["c@d"], MAIL)
        self.assertEqual(played.answer(b"250 ok", b"250 ok"), b"")
        self.assertFalse(self.failed(sending).sent)
        played = self.ready()
        played.answer(b"250 and by the way")
        self.assertFalse(played.client.usable)
        self.assertTrue(played.wire.disconnecting)
        self.failed(played.client.reset())

    def test_taken_and_closed(self) -> None:
        """A mail that was taken is taken, even if the server takes leave in the same breath."""
        played = self.ready()
        sending = played.client.send("a@b", ["c@d"], MAIL)
        for reply in (b"250 ok", b"250 ok", b"354 go"):
            played.answer(reply)
        played.answer(b"250 taken", b"421 closing")
        self.assertEqual([one.code for one in self.successResultOf(sending)], [250])
        self.failed(played.client.reset())

    def test_421(self) -> None:
        """421 is a reply like any other, and the end of the session."""
        played = self.ready()
        sending = played.client.send("a@b", ["c@d"], MAIL)
        played.answer(b"421 busy")
        self.assertEqual([one.code for one in self.successResultOf(sending)], [421])
        self.assertFalse(played.client.usable)

    def test_one_at_a_time(self) -> None:
        """Two methods at once are a mistake of the program."""
        played = self.ready()
        sending = played.client.send("a@b", ["c@d"], MAIL)
        self.failureResultOf(played.client.reset(), RuntimeError)
        self.failed(sending)

    def test_quit(self) -> None:
        """QUIT is said; the end of the connection is waited for, but not for ever."""
        for ending in ("answered", "closed", "silence"):
            played = self.ready()
            played.wire.clear()
            leaving = played.client.quit()
            self.assertEqual(played.wire.value(), b"QUIT\r\n")
            if ending == "answered":
                played.answer(b"221 bye")
            elif ending == "silence":
                played.clock.advance(10)
            if ending != "closed":
                self.assertTrue(played.wire.disconnecting)
                self.assertNoResult(leaving)
                self.assertFalse(played.wire.disconnected)
                played.clock.advance(CLOSING)
                self.assertTrue(played.wire.disconnected)
            played.lose()
            self.assertIsNone(self.successResultOf(leaving))
            self.assertIsNone(self.successResultOf(played.client.quit()))
            self.assertEqual(played.clock.getDelayedCalls(), [])

    def test_cancelled(self) -> None:
        """A client that gives up waiting ends the session: a reply that comes late would be taken for the next one."""
        played = self.ready()
        sending = played.client.send("a@b", ["c@d"], MAIL)
        sending.cancel()
        self.failed(sending)
        self.assertTrue(played.wire.disconnecting)

    def test_secret(self) -> None:
        """The password is not shown."""
        self.assertNotIn("them", repr(SmtpClientSettings(login="us", password="them")))
