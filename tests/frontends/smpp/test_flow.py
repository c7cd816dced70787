"""Receipts over real sessions from a real store: kept without a session, sent at least once, in order."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from twisted.internet.defer import maybeDeferred
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from smsgw.config import AccountSettings, AllowList, Secret, SmppListenSettings
from smsgw.dialects.standard import SMPP
from smsgw.frontends.smpp.binds import Binds
from smsgw.frontends.smpp.frontend import SmppFrontend
from smsgw.frontends.smpp.receipts import SmppReceipts
from smsgw.model.changes import Changes, PartSent, Reported
from smsgw.model.content import Content
from smsgw.model.lifecycle import Notify, State
from smsgw.model.message import DeliveryReport, Message
from smsgw.protocols.smpp.server import SmppServer, SmppServerFactory
from smsgw.services.accounts import Accounts
from smsgw.services.cancel import Cancellation
from smsgw.services.clock import CheckedClock
from smsgw.services.commits import Commits
from smsgw.services.outbox.outbox import Outbox
from smsgw.smpp.codec import Framer, decode, encode
from smsgw.smpp.pdus import (
    BindReceiver,
    BindTransceiver,
    BindTransceiverResp,
    BindTransmitter,
    CancelSm,
    CancelSmResp,
    DeliverSm,
    DeliverSmResp,
    Pdu,
    QuerySm,
    QuerySmResp,
    SubmitSm,
    SubmitSmResp,
)
from smsgw.smpp.receipt import read_receipt
from smsgw.stores import MessageStore
from smsgw.stores.sqlite import Inline, SqliteEngine
from tests.configured import configured
from tests.frontends.smpp.support import HandIntake
from tests.services.intake.support import StoringDispatch

START = 1_700_000_000.0
CONTENT = Content("DEMO", 5, 0, 1, 1, 0, 0, b"hello")


class Esme:
    """An ESME in memory."""

    def __init__(self, factory: SmppServerFactory) -> None:
        self.transport = StringTransport()
        protocol = factory.buildProtocol(None)
        assert protocol is not None
        self.server: SmppServer = protocol
        self.server.makeConnection(self.transport)
        self.framer = Framer()
        self.number = 0

    def say(self, *pdus: Pdu) -> list[Pdu]:
        """Send PDUs; return the PDUs that arrive at once."""
        self.server.dataReceived(b"".join(encode(pdu) for pdu in pdus))
        return self.received()

    def received(self) -> list[Pdu]:
        """Return the PDUs since the last call."""
        frames = self.framer.feed(self.transport.value())
        self.transport.clear()
        return [decode(frame) for frame in frames]

    def bind(self, kind: type[BindReceiver | BindTransmitter | BindTransceiver] = BindTransceiver) -> list[Pdu]:
        """Bind as demo; return the PDUs after the positive answer."""
        answer, *rest = self.say(kind(1, b"demo", b"demo", b"", 0x34))
        assert getattr(answer, "command_status", None) == 0, answer
        return rest

    def hang_up(self) -> None:
        """End the link."""
        self.server.connectionLost(Failure(ConnectionLost()))


def receipts(pdus: list[Pdu]) -> list[tuple[str, str]]:
    """Return id and stat of each receipt."""
    receipts = [read_receipt(pdu) for pdu in pdus if isinstance(pdu, DeliverSm)]
    return [(receipt.message_id, receipt.stat) for receipt in receipts]


class FlowTests(SynchronousTestCase):
    """Front end, outbox and store together."""

    def setUp(self) -> None:
        """A gateway without connectors."""
        self.clock = Clock()
        self.directory = self.mktemp()
        self.begin()

    def wall(self) -> float:
        """Absolute time."""
        return START + self.clock.seconds()

    def begin(self) -> None:
        """Start, or start again, on the same directory."""
        settings = configured(
            AccountSettings(name="demo", password=Secret("demo"), allow_from=AllowList(everyone=True)),
            timezone=ZoneInfo("UTC"),
        )
        self.store = MessageStore(SqliteEngine(self.directory, Inline(), low_water=0), "gw1", self.wall)
        self.store.open()
        self.outbox = Outbox(settings, self.store, self.clock, CheckedClock(self.wall, self.wall))
        receipts = SmppReceipts(settings, Binds())
        self.outbox.attach(receipts)
        self.assertIsNone(self.successResultOf(self.outbox.start()))
        accounts = Accounts(settings, self.clock, maybeDeferred)
        dispatch: Any = StoringDispatch(self.store)
        listener = SmppListenSettings(
            name="smpp", endpoint="tcp:2775:interface=127.0.0.1", enquire_link=0, inactivity=0
        )
        frontend = SmppFrontend(
            settings,
            listener,
            SMPP,
            receipts,
            accounts,
            HandIntake(),
            self.store,
            Cancellation(Commits(self.store, self.outbox), dispatch),
            self.wall,
        )
        self.factory = SmppServerFactory(frontend, listener, self.clock)

    def end(self) -> None:
        """Stop gracefully."""
        self.successResultOf(self.outbox.stop())
        self.successResultOf(self.store.close())

    def tearDown(self) -> None:
        """Close the database."""
        self.end()

    def accept(self, notify: int = Notify.FINAL, due: float = 0.0) -> Message:
        """Store a message; it is claimed unless it is due later."""
        state = State.SCHEDULED if due else State.QUEUED
        message = Message(
            self.store.next_id(), "demo", "smpp", "sim", state, 0, not due, 0, notify, 1,
            self.wall() + 9999, self.wall(), self.wall(), due, 0, "79161234567", 0, CONTENT,
        )  # fmt: skip
        self.successResultOf(self.store.commit(Changes(accepts=[message])))
        return message

    def send(self, *messages: Message) -> None:
        """Commit that the upstream took the parts."""
        changes = Changes(outcomes=[PartSent(each, 1, f"r{each.id}", self.wall() + 999) for each in messages])
        self.outbox.occurred(self.successResultOf(self.store.commit(changes)).events)

    def report(self, *messages: Message) -> None:
        """Commit receipts of delivery."""
        reports = [
            Reported("sim", DeliveryReport(f"r{each.id}", State.DELIVERED, 0, self.wall())) for each in messages
        ]
        self.outbox.occurred(self.successResultOf(self.store.commit(Changes(receipts=reports))).events)

    def owed(self) -> int:
        """Return the number of events in the store."""
        return len(self.successResultOf(self.store.events("demo", "smpp", (0, 0), 100)))

    def acknowledge(self, esme: Esme, pdus: list[Pdu], status: int = 0) -> list[Pdu]:
        """Answer receipts; return the PDUs that follow."""
        deliveries = [pdu for pdu in pdus if isinstance(pdu, DeliverSm)]
        following = esme.say(*(DeliverSmResp(pdu.sequence_number, status) for pdu in deliveries))
        self.clock.advance(0)
        return following + esme.received()

    def test_acknowledged_and_deleted(self) -> None:
        """A receipt is sent when the message ends, and its event is deleted when it is acknowledged."""
        esme = Esme(self.factory)
        self.assertEqual(esme.bind(), [])
        message = self.accept()
        self.send(message)
        self.assertEqual(esme.received(), [])
        self.report(message)
        pdus = esme.received()
        self.assertEqual(receipts(pdus), [("1", "DELIVRD")])
        self.assertEqual(self.owed(), 1)
        self.acknowledge(esme, pdus)
        self.assertEqual(self.owed(), 0)

    def test_kept_until_the_next_bind(self) -> None:
        """Receipts wait without a receiving session, also over a restart, and follow the bind response."""
        transmitter = Esme(self.factory)
        transmitter.bind(BindTransmitter)
        messages = [self.accept() for _ in range(3)]
        self.send(*messages)
        self.report(*messages)
        self.assertEqual(transmitter.received(), [])
        transmitter.hang_up()
        self.end()
        self.begin()
        receiver = Esme(self.factory)
        pdus = receiver.bind(BindReceiver)
        self.assertEqual(receipts(pdus), [("1", "DELIVRD"), ("2", "DELIVRD"), ("3", "DELIVRD")])
        self.acknowledge(receiver, pdus)
        self.assertEqual(self.owed(), 0)

    def test_link_lost(self) -> None:
        """Receipts that were not acknowledged when the link ended are sent again over the next one."""
        first = Esme(self.factory)
        first.bind()
        messages = [self.accept(), self.accept()]
        self.send(*messages)
        self.report(*messages)
        pdus = first.received()
        self.acknowledge(first, pdus[:1])
        first.hang_up()
        self.clock.advance(0)
        second = Esme(self.factory)
        self.assertEqual(receipts(second.bind()), [("2", "DELIVRD")])

    def test_the_other_session_takes_over(self) -> None:
        """If one of two sessions ends, its unacknowledged receipts are sent over the other, without a new bind."""
        esmes = [Esme(self.factory), Esme(self.factory)]
        for esme in esmes:
            esme.bind()
        message = self.accept()
        self.send(message)
        self.report(message)
        received = [esme.received() for esme in esmes]
        holder = 0 if received[0] else 1
        self.assertEqual(receipts(received[1 - holder]), [])
        esmes[holder].hang_up()
        self.clock.advance(0)
        self.assertEqual(receipts(esmes[1 - holder].received()), [("1", "DELIVRD")])

    def test_i7_two_programs(self) -> None:
        """Each of two programs on one account gets the receipts of what it submitted, after a new bind too."""
        esmes = [Esme(self.factory), Esme(self.factory)]
        for esme, system_type in zip(esmes, (b"A", b"B"), strict=True):
            esme.say(BindTransceiver(1, b"demo", b"demo", system_type, 0x34))
        messages = []
        for esme in (esmes[0], esmes[1], esmes[1], esmes[0]):
            (answer,) = esme.say(SubmitSm(2, b"", 5, 0, b"DEMO", 1, 1, b"79161234567", short_message=b"hello"))
            messages.append(self.accept())
            assert isinstance(answer, SubmitSmResp)
            self.assertEqual(answer.message_id, b"%d" % messages[-1].id)
        self.send(*messages)
        self.report(*messages[:3])
        read = [esme.received() for esme in esmes]
        self.assertEqual([receipts(pdus) for pdus in read], [[("1", "DELIVRD")], [("2", "DELIVRD"), ("3", "DELIVRD")]])
        esmes[0].hang_up()
        esmes[0] = Esme(self.factory)
        again = esmes[0].say(BindTransceiver(1, b"demo", b"demo", b"A", 0x34))
        self.clock.advance(0)
        self.report(messages[3])
        self.assertEqual(receipts(again + esmes[0].received()), [("1", "DELIVRD"), ("4", "DELIVRD")])
        self.assertEqual(receipts(esmes[1].received()), [])

    def test_intermediate_before_final(self) -> None:
        """The final receipt is sent after the intermediate one was acknowledged, over any free session."""
        esmes = [Esme(self.factory), Esme(self.factory)]
        for esme in esmes:
            esme.bind()
        message = self.accept(Notify.FINAL | Notify.ENROUTE)
        self.send(message)
        self.report(message)
        received = [esme.received() for esme in esmes]
        self.assertEqual(receipts(received[0] + received[1]), [("1", "ENROUTE")])
        rest: list[Pdu] = []
        for esme, pdus in zip(esmes, received, strict=True):
            rest += self.acknowledge(esme, pdus)
        rest += [pdu for esme in esmes for pdu in esme.received()]
        self.assertEqual(receipts(rest), [("1", "DELIVRD")])

    def test_temporary_error(self) -> None:
        """A receipt with a temporary error is sent again after a pause."""
        esme = Esme(self.factory)
        esme.bind()
        message = self.accept()
        self.send(message)
        self.report(message)
        self.acknowledge(esme, esme.received(), 0x64)
        self.assertEqual((esme.received(), self.owed()), ([], 1))
        for _ in range(5):
            self.clock.advance(1)
        pdus = esme.received()
        self.assertEqual(receipts(pdus), [("1", "DELIVRD")])
        self.acknowledge(esme, pdus, 0x65)
        self.assertEqual(self.owed(), 0)

    def test_cancel_is_reported(self) -> None:
        """A cancelled message has a receipt and can be queried."""
        esme = Esme(self.factory)
        esme.bind()
        self.accept(due=self.wall() + 500)
        pdus = esme.say(CancelSm(2, b"", b"1", 0, 0, b"DEMO"))
        (answer,) = [pdu for pdu in pdus if isinstance(pdu, CancelSmResp)]
        self.assertEqual((answer.sequence_number, answer.command_status), (2, 0))
        self.assertEqual(receipts(pdus), [("1", "DELETED")])
        again, query = esme.say(CancelSm(3, b"", b"1"), QuerySm(4, b"1"))
        assert isinstance(again, CancelSmResp)
        assert isinstance(query, QuerySmResp)
        self.assertEqual((again.command_status, query.message_state, query.final_date[:10]), (0x11, 4, b"2311142213"))

    def test_too_many_binds(self) -> None:
        """The eleventh bind is refused until one of the ten sessions ends."""
        esmes = [Esme(self.factory) for _ in range(11)]
        for esme in esmes[:10]:
            esme.bind()
        (refused,) = esmes[10].say(BindTransceiver(1, b"demo", b"demo"))
        assert isinstance(refused, BindTransceiverResp)
        self.assertEqual(refused.command_status, 0x05)
        esmes[0].hang_up()
        self.assertEqual(esmes[10].bind(), [])
