"""The connector to a mail relay: mails, outcomes, connections, the end. The relay's side of smtplib is played here."""

from __future__ import annotations

import smtplib
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from smsgw.config import ConfigErrors, Secret, parse
from smsgw.connectors import smtp
from smsgw.connectors.smtp import SmtpConnector, SmtpConnectorSettings
from smsgw.connectors.templates import TEMPLATE
from smsgw.interfaces import Awaited, IConnector
from smsgw.model.content import Content
from smsgw.model.lifecycle import State
from smsgw.model.message import Message, Part
from tests.connectors.test_http import Sink


class Relay:
    """Stands for smtplib.SMTP.

    :cvar made: all connections. :cvar fault: what the next mail fails with. :cvar gone: whether idle ones are closed.
    """

    made: list[Relay] = []
    fault: Exception | None = None
    refused: Exception | None = None
    gone = False

    def __init__(self, host: str, port: int, timeout: float, context: object = None) -> None:
        if Relay.refused is not None:
            raise Relay.refused
        self.where = (host, port, timeout)
        self.words: list[object] = []
        self.mails: list[EmailMessage] = []
        Relay.made.append(self)

    def starttls(self, context: object) -> None:
        """TLS."""
        self.words.append("starttls")

    def login(self, user: str, password: str) -> None:
        """AUTH."""
        self.words.append((user, password))

    def rset(self) -> tuple[int, bytes]:
        """Still there?"""
        if Relay.gone:
            raise smtplib.SMTPServerDisconnected("gone")
        return 250, b"ok"

    def send_message(self, mail: EmailMessage) -> None:
        """Take a mail."""
        if Relay.fault is not None:
            raise Relay.fault
        self.mails.append(mail)

    def close(self) -> None:
        """Closed."""
        self.words.append("close")


class Pool:
    """Runs at once what threads would."""

    started = True

    def __init__(self, *_: object) -> None:
        self.stopped = False

    def start(self) -> None:
        """Nothing."""

    def stop(self) -> None:
        """Noted."""
        self.stopped = True


def at_once(reactor: object, pool: object, work: Callable[..., Any], *args: object) -> Deferred[Any]:
    """Stands for deferToThreadPool."""
    done: Deferred[Any] = Deferred()
    try:
        done.callback(work(*args))
    except Exception:  # noqa: BLE001 - as a thread pool does
        done.errback(Failure())
    return done


class SmtpTests(SynchronousTestCase):
    """One connector."""

    def setUp(self) -> None:
        """One that needs no login."""
        self.patch(smtp, "ThreadPool", Pool)
        self.patch(smtp, "deferToThreadPool", at_once)
        for name in ("SMTP", "SMTP_SSL"):
            self.patch(smtplib, name, Relay)
        self.patch(Relay, "made", [])
        self.make()
        self.number = 0

    def make(self, **keys: Any) -> None:
        """Another."""
        given = {"name": "mail", "type": "smtp", "host": "relay", "sender": "a@b.example", "tls": "none", **keys}
        self.clock = Clock()
        self.sink = Sink()
        self.connector = SmtpConnector(
            SmtpConnectorSettings(to=TEMPLATE.take("{to}@mail.example"), **given), self.clock, lambda: 1_700_000_000.0
        )
        self.connector.start(self.sink)

    def offer(self, parts: int = 1, source: str = "DEMO", data_coding: int = 0) -> Message:
        """Offer all parts of a message."""
        self.number += 1
        content = Content(source, 5, 0, 1, 1, data_coding, 0, tuple(b"part %d;" % number for number in range(parts)))
        message = Message(
            self.number, "demo", "", "mail", State.QUEUED, 0, True, 0, 7, parts, 0.0, 1e9, 1e9, 0.0, 0, "79161234567",
            0, content,
        )  # fmt: skip
        self.connector.offer([Part(message, seq) for seq in range(1, parts + 1)])
        return message

    def test_mail(self) -> None:
        """A message is one mail with its whole text; what the relay took counts as delivered."""
        verifyObject(IConnector, self.connector)
        self.offer(2)
        (relay,) = Relay.made
        (mail,) = relay.mails
        self.assertEqual(
            (mail["From"], mail["To"], mail["Subject"]),
            ("a@b.example", "79161234567@mail.example", "Message from DEMO"),
        )
        self.assertEqual(mail.get_content(), "part 0;part 1;\n")
        self.assertEqual(self.sink.kinds(), ["Accepted", "Accepted"])
        self.assertEqual(
            [(one.remote_id, one.state) for one in self.sink.reports],
            [(id, State.DELIVERED) for id in ("<1.0.1000000000@b.example>", "<1.0.1000000000@b.example>#2")],
        )

    def test_connections(self) -> None:
        """A connection is used again while it works."""
        self.offer()
        self.offer()
        self.assertEqual([len(relay.mails) for relay in Relay.made], [2])
        self.patch(Relay, "gone", True)
        self.offer()
        self.assertEqual([len(relay.mails) for relay in Relay.made], [2, 1])

    def test_login(self) -> None:
        """It logs in over TLS."""
        self.make(tls="starttls", login="us", password=Secret("them"))
        self.offer()
        self.assertEqual(Relay.made[0].words, ["starttls", ("us", "them")])

    def test_refusals(self) -> None:
        """4xx is tried again, 5xx is final; after a lost connection nobody knows."""
        for fault, kind in (
            (smtplib.SMTPRecipientsRefused({"x": (450, b"later")}), "Busy"),
            (smtplib.SMTPRecipientsRefused({"x": (550, b"never")}), "Refused"),
            (smtplib.SMTPSenderRefused(451, b"later", "x"), "Busy"),
            (smtplib.SMTPDataError(554, b"spam"), "Refused"),
            (smtplib.SMTPServerDisconnected("gone"), "Lost"),
            (TimeoutError(), "Lost"),
            (OSError("broken pipe"), "Lost"),
        ):
            self.patch(Relay, "fault", fault)
            self.offer()
            self.assertEqual(self.sink.kinds(), [kind], fault)
        self.patch(Relay, "fault", None)
        for refused in (
            ConnectionRefusedError(),
            smtplib.SMTPAuthenticationError(535, b"no"),
            smtplib.SMTPConnectError(421, b""),
        ):
            self.connector._relay.close()
            self.patch(Relay, "refused", refused)
            self.offer()
            self.assertEqual(self.sink.kinds(), ["Busy"], refused)

    def test_no_mail(self) -> None:
        """What cannot be a mail is refused; a sender cannot add headers."""
        self.offer(data_coding=4)
        self.offer(source="A\r\nBcc: x@y.example")
        self.assertEqual((self.sink.kinds(), Relay.made), (["Refused", "Refused"], []))

    def test_not_stored(self) -> None:
        """That it is delivered is said until it is stored."""
        self.sink.broken = True
        self.offer()
        self.sink.broken = False
        self.clock.advance(1)
        self.assertEqual(len(self.sink.reports), 1)

    def test_after_a_restart(self) -> None:
        """What was taken before a restart is delivered."""
        message = Message(
            1,
            "",
            "",
            "",
            State.ENROUTE,
            0,
            False,
            0,
            7,
            1,
            0.0,
            0.0,
            0.0,
            0.0,
            0,
            "",
            0,
            Content("", 0, 0, 0, 0, 0, 0, (b"",)),
        )
        self.connector.resume([Awaited("<a@b>", message, 1, 0.0)])
        self.assertEqual([one.remote_id for one in self.sink.reports], ["<a@b>"])

    def test_stop(self) -> None:
        """Stopping waits for the mail under way, then closes."""
        waiting: list[Deferred[Any]] = []

        def later(*_: object) -> Deferred[Any]:
            waiting.append(Deferred())
            return waiting[-1]

        self.patch(smtp, "deferToThreadPool", later)
        self.offer()
        stopped = self.connector.stop()
        self.assertEqual(self.connector.room(), 0)
        self.assertNoResult(stopped)
        waiting.pop().callback(smtp.Busy())
        self.successResultOf(stopped)
        self.assertEqual(self.sink.kinds(), ["Busy"])

    def test_sections(self) -> None:
        """What does not go together in a section is told."""
        base = "[listen s]\nprotocol = smpp\nendpoint = tcp:1:interface=127.0.0.1\ndialect = standard\n[connector m]\n"
        base += "type = smtp\nhost = h\nsender = a@b.example\n"
        for lines, word in (
            ("to = {to}", "@"),
            ("to = {to}@x\nlogin = a", "go together"),
            ("to = {to}@x\nlogin = a\npassword = b\ntls = none", "clear text"),
        ):
            with self.assertRaises(ConfigErrors) as caught:
                parse(f"{base}{lines}\n", "gw.ini", {"smtp": SmtpConnectorSettings})
            self.assertIn(word, str(caught.exception))
