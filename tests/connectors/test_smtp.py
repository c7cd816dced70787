"""The connector to a mail relay, with smsgw's ESMTP server as the relay, over real sockets and TLS."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.protocol import Factory
from twisted.internet.ssl import Certificate, trustRootFromCertificates
from twisted.protocols.basic import LineReceiver
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from smsgw.config import ConfigErrors, Secret, parse
from smsgw.connectors import wholemessage
from smsgw.connectors.smtp import SmtpConnector, SmtpConnectorSettings
from smsgw.connectors.templates import TEMPLATE
from smsgw.interfaces import Awaited, IConnector, IMailDelegate, Reply
from smsgw.model.content import Content
from smsgw.model.lifecycle import State
from smsgw.model.message import Message, Part
from smsgw.model.outcome import Busy, Rejected
from smsgw.plugins import dialects
from smsgw.program import certificates
from smsgw.protocols.smtp import Envelope, Session, SubmissionFactory, SubmissionSettings
from tests.connectors import port
from tests.connectors.test_http import Sink
from tests.cuts import cut_into


@implementer(IMailDelegate)
class Relay:
    """The relay behind the server: its replies by step, and the accepted mails.

    :ivar replies: replies that replace the usual ones, or Deferreds of them. :ivar steps: all commands.
    """

    def __init__(self) -> None:
        self.replies: dict[str, Reply | Deferred[Reply]] = {}
        self.mails: list[tuple[Session, Envelope, EmailMessage]] = []
        self.steps: list[str] = []

    def login(self, session: Session, login: bytes, password: bytes) -> Deferred[Reply]:
        session.account = login.decode()
        return self._reply("login", Reply(235 if (login, password) == (b"us", b"them") else 535, "Hm"))

    def sender(self, session: Session, address: str, parameters: Mapping[str, str]) -> Deferred[Reply]:
        return self._reply("sender", Reply(250, "Ok"))

    def recipient(self, session: Session, address: str) -> Deferred[Reply]:
        return self._reply("recipient", Reply(250, "Ok"))

    def message(self, session: Session, envelope: Envelope, octets: bytes) -> Deferred[Reply]:
        mail = message_from_bytes(octets, policy=policy.SMTP)
        assert isinstance(mail, EmailMessage)
        self.mails.append((session, envelope, mail))
        return self._reply("message", Reply(250, "Taken"))

    def wasted(self, session: Session, commands: int, octets: int, reply: Reply) -> Deferred[Reply]:
        return succeed(reply)

    def status(self, session: Session, argument: str) -> Deferred[Reply]:
        return succeed(Reply(502, "No"))

    def closed(self, session: Session) -> None:
        """Do nothing."""

    def _reply(self, step: str, usual: Reply) -> Deferred[Reply]:
        self.steps.append(step)
        reply = self.replies.get(step, usual)
        if isinstance(reply, Reply):
            return succeed(reply)
        answering: Deferred[Reply] = Deferred()

        def answer(known: Reply) -> Reply:
            answering.callback(known)
            return known

        reply.addCallback(answer)
        return answering


class OpenRelay(LineReceiver):
    """A relay without login, as in a private network."""

    def connectionMade(self) -> None:
        """Greet."""
        self.letter: list[bytes] | None = None
        self.sendLine(b"220 relay.example")

    def lineReceived(self, line: bytes) -> None:
        """Accept every command."""
        if self.letter is not None:
            self.letter.append(line)
            if line == b".":
                self.factory.letters.append(self.letter)  # type: ignore[attr-defined]
                self.letter = None
                self.sendLine(b"250 Taken")
        elif line == b"DATA":
            self.letter = []
            self.sendLine(b"354 Go")
        else:
            self.sendLine(b"250 Ok")


class SmtpTests(TestCase):
    """One connector and its relay."""

    timeout = 60

    def setUp(self) -> None:
        """A certificate for the address where relays listen."""
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.relay = Relay()
        self.sink = Sink()
        self.number = 0
        certificate, key, _ = certificates.self_signed(Path(self.mktemp()))
        self.tls = certificates.options(certificate, key)
        self.trust = trustRootFromCertificates([Certificate.loadPEM(certificate.read_bytes())])

    def listen(self, **settings: Any) -> int:
        """A relay on a free port; the port."""
        made = SubmissionSettings(**{"tls": "demanded", "auth_without_tls": True, **settings})
        self.server = SubmissionFactory(self.relay, made, self.reactor, self.tls, "relay.example")
        port = self.reactor.listenTCP(0, self.server, interface="127.0.0.1")
        self.addCleanup(self.server.shut_down, 5)
        self.addCleanup(port.stopListening)
        number: int = port.getHost().port
        return number

    def connect(self, port: int, start: bool = True, **keys: Any) -> SmtpConnector:
        """A connector to a relay there."""
        given = {
            "name": "mail", "type": "smtp", "host": "127.0.0.1", "port": port, "sender": "a@b.example", "login": "us",
            "password": Secret("them"), "timeout": 20.0, **keys,
        }  # fmt: skip
        to = TEMPLATE.take(given.pop("to", "{to}@mail.example"))
        connector = SmtpConnector(
            SmtpConnectorSettings(to=to, **given), self.reactor, lambda: 1_700_000_000.0, self.trust
        )
        if start:
            connector.start(self.sink)
            self.addCleanup(connector.stop)
        return connector

    def part(self, parts: int = 1, sender: str = "DEMO", data_coding: int = 0, text: bytes = b"part %d;") -> list[Part]:
        """All parts of a new message."""
        self.number += 1
        octets = tuple(text.replace(b"%d", b"%d" % number) for number in range(parts))
        content = Content(sender, 5, 0, 1, 1, data_coding, 0, b"".join(octets))
        message = Message(
            self.number, "demo", "", "mail", State.QUEUED, 0, True, 0, 7, parts, 0.0, 1e9, 1e9, 0.0, 0, "79161234567",
            0, content, cut=cut_into(octets, data_coding),
        )  # fmt: skip
        return [Part(message, seq) for seq in range(1, parts + 1)]

    async def outcome(self, connector: SmtpConnector, parts: list[Part] | None = None) -> list[str]:
        """Send parts; return the kinds of their outcomes."""
        sent = parts or self.part()
        port.send(connector, sent, self.sink.reported, self.sink.reports)
        await self.until(lambda: len(self.sink.reported) == len(sent))
        return self.sink.kinds()

    async def until(self, true: Callable[[], object]) -> None:
        """Run the reactor until a condition is true."""
        while not true():
            turned: Deferred[None] = Deferred()
            self.reactor.callLater(0.005, turned.callback, None)
            await turned

    async def test_mail(self) -> None:
        """A message is one mail with its whole text; a mail that the relay accepted counts as delivered."""
        connector = self.connect(self.listen())
        verifyObject(IConnector, connector)
        self.assertEqual(await self.outcome(connector, self.part(2)), ["Sent", "Sent"])
        ((session, envelope, mail),) = self.relay.mails
        self.assertEqual((envelope.sender, envelope.recipients), ("a@b.example", ["79161234567@mail.example"]))
        self.assertEqual(
            (mail["From"], mail["To"], mail["Subject"]),
            ("a@b.example", "79161234567@mail.example", "Message from DEMO"),
        )
        self.assertEqual(mail.get_content(), "part 0;part 1;\r\n")
        self.assertEqual((session.tls, session.account), (True, "us"))
        self.assertEqual(
            [(one.remote_id, one.state) for one in self.sink.reports],
            [(id, State.DELIVERED) for id in ("<1.0.1000000000@b.example>", "<1.0.1000000000@b.example>#2")],
        )

    async def test_subject(self) -> None:
        """The subject is that of the section."""
        await self.outcome(self.connect(self.listen(), subject=TEMPLATE.take("For {to}")))
        ((_, _, mail),) = self.relay.mails
        self.assertEqual(mail["Subject"], "For 79161234567")

    async def test_any_relay(self) -> None:
        """A text in any alphabet, of any length, is a mail of 7 bits and arrives unchanged."""
        connector = self.connect(self.listen())
        for text in ("Привет\n.\nмир \U0001f600", ".", "x" * 1500, "line\n.\n..dots", "From me"):
            part = self.part(1, "DEMO", 8, text.encode("utf-16-be"))
            self.assertEqual(await self.outcome(connector, part), ["Sent"])
            _, _, mail = self.relay.mails[-1]
            self.assertEqual(mail.get_content(), text.replace("\n", "\r\n") + "\r\n")

    async def test_connections(self) -> None:
        """Open connections are reused; their number never exceeds the section's limit."""
        connector = self.connect(self.listen(), connections=3)
        for _ in range(3):
            await self.outcome(connector)
        (session,) = self.server.sessions
        session.cut()
        await self.outcome(connector)
        sessions = [id(session) for session, _, _ in self.relay.mails]
        self.assertEqual(sessions, [sessions[0]] * 3 + sessions[3:])
        self.assertNotEqual(sessions[0], sessions[3])
        self.relay.replies["message"] = waiting = Deferred()
        for _ in range(5):
            port.send(connector, self.part(), self.sink.reported, self.sink.reports)
        await self.until(lambda: len(self.relay.mails) == 7)
        self.assertEqual((len(self.server.sessions), self.sink.kinds()), (3, []))
        self.relay.replies.clear()
        waiting.callback(Reply(250, "Taken"))
        await self.until(lambda: len(self.sink.reported) == 5)
        self.assertEqual((len(self.server.sessions), len(self.relay.mails)), (3, 9))

    async def test_implicit(self) -> None:
        """TLS from the first octet."""
        connector = self.connect(self.listen(tls="implicit"), tls="implicit")
        self.assertEqual(await self.outcome(connector), ["Sent"])
        ((session, _, _),) = self.relay.mails
        self.assertEqual((session.tls, session.account), (True, "us"))

    async def test_open_relay(self) -> None:
        """A relay of one's own network, without TLS and login."""
        factory: Any = Factory.forProtocol(OpenRelay)
        factory.letters = []
        port = self.reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        connector = self.connect(port.getHost().port, tls="none", login="", password=None)
        self.assertEqual(await self.outcome(connector), ["Sent"])
        self.assertEqual([letter[-2:] for letter in factory.letters], [[b"part 0;", b"."]])

    async def test_no_session(self) -> None:
        """A relay without TLS, with a wrong certificate or that refuses the login makes parts busy."""
        for listening, keys in (
            ({"tls": "none", "auth_without_tls": True}, {}),
            ({"tls": "implicit"}, {"timeout": 0.2}),
            ({}, {"host": "localhost."}),
            ({}, {"password": Secret("wrong")}),
        ):
            connector = self.connect(self.listen(**listening), **keys)
            self.assertEqual(await self.outcome(connector), ["Busy"], (listening, keys))
        self.assertEqual(await self.outcome(self.connect(1)), ["Busy"])
        self.assertEqual(self.relay.mails, [])

    async def test_refusals(self) -> None:
        """4xx to any command is busy, 5xx rejected; the next mail is not affected."""
        connector = self.connect(self.listen())
        for step in ("sender", "recipient", "message"):
            for code, kind in ((450, "Busy"), (550, "Rejected")):
                self.relay.replies[step] = Reply(code, "5.0.0 words")
                port.send(connector, self.part(), self.sink.reported, self.sink.reports)
                await self.until(lambda: self.sink.reported)
                ((_, outcome),) = self.sink.reported
                assert isinstance(outcome, Busy | Rejected)
                self.assertEqual(outcome.why, f"{code} 5.0.0 words")
                self.assertEqual(self.sink.kinds(), [kind])
                self.relay.replies.clear()
                self.assertEqual(await self.outcome(connector), ["Sent"])

    async def test_lost(self) -> None:
        """A connection that ends before the mail was sent gives busy, after the final dot lost."""
        connector = self.connect(self.listen())
        for step, kind in (("recipient", "Busy"), ("message", "Lost")):
            self.relay.replies[step] = Deferred()
            before = self.relay.steps.count(step)
            port.send(connector, self.part(), self.sink.reported, self.sink.reports)
            await self.until(lambda step=step, before=before: self.relay.steps.count(step) > before)
            for session in list(self.server.sessions):
                session.cut()
            await self.until(lambda: self.sink.reported)
            self.assertEqual(self.sink.kinds(), [kind])
            self.relay.replies.clear()

    async def test_no_mail(self) -> None:
        """A message that cannot be a mail is rejected; a sender cannot inject headers."""
        connector = self.connect(self.listen())
        self.assertEqual(await self.outcome(connector, self.part(data_coding=4)), ["Rejected"])
        self.assertEqual(await self.outcome(connector, self.part(sender="A\r\nBcc: x@y.example")), ["Rejected"])
        for to in ("{from}@mail.example", "{from}", "{to}@a.example, {to}@b.example"):
            other = self.connect(self.listen(), to=to)
            self.assertEqual(await self.outcome(other, self.part(sender="ж")), ["Rejected"], to)
        self.assertEqual(self.relay.mails, [])

    async def test_not_stored(self) -> None:
        """The delivery is reported until it is stored."""
        self.patch(wholemessage, "REPEAT_AFTER", 0.01)
        connector = self.connect(self.listen())
        self.sink.broken = True
        await self.outcome(connector)
        self.assertEqual(self.sink.reports, [])
        self.sink.broken = False
        await self.until(lambda: self.sink.reports)

    async def test_after_a_restart(self) -> None:
        """Parts sent before a restart are reported delivered."""
        (part,) = self.part()
        awaited = [Awaited("<a@b>", part.message, 1, 0.0)]
        port.resume(self.connect(1), awaited, self.sink.reported, self.sink.reports)
        await self.until(lambda: self.sink.reports)
        self.assertEqual([one.remote_id for one in self.sink.reports], ["<a@b>"])

    async def test_stop(self) -> None:
        """The stop waits for the current mail, then sends QUIT."""
        connector = self.connect(self.listen(), start=False)
        connector.start(self.sink)
        self.relay.replies["message"] = waiting = Deferred()
        port.send(connector, self.part(), self.sink.reported, self.sink.reports)
        await self.until(lambda: self.relay.mails)
        stopped = connector.stop()
        self.assertEqual(connector.room(), 0)
        self.assertNoResult(stopped)
        waiting.callback(Reply(250, "Taken"))
        await stopped
        self.assertEqual(self.sink.kinds(), ["Sent"])
        await self.until(lambda: not self.server.sessions)

    async def test_never_started_talking(self) -> None:
        """A connector without connections stops at once."""
        connector = self.connect(1, start=False)
        connector.start(self.sink)
        self.successResultOf(connector.stop())


class SectionTests(SynchronousTestCase):
    """The section in gw.ini."""

    def test_sections(self) -> None:
        """Contradictions in a section are reported."""
        base = "[listen s]\nprotocol = smpp\nendpoint = tcp:1:interface=127.0.0.1\ndialect = standard\n[connector m]\n"
        base += "type = smtp\nhost = h\nsender = a@b.example\n"
        for lines, word in (
            ("to = {to}", "@"),
            ("to = {to}@x\nlogin = a", "go together"),
            ("to = {to}@x\nlogin = a\npassword = b\ntls = none", "clear text"),
        ):
            with self.assertRaises(ConfigErrors) as caught:
                parse(f"{base}{lines}\n", "gw.ini", {"smtp": SmtpConnectorSettings}, dialects())
            self.assertIn(word, str(caught.exception))
