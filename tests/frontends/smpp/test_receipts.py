"""The return path to ESMEs."""

from __future__ import annotations

from typing import cast
from zoneinfo import ZoneInfo

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from smsgw.config import AccountSettings
from smsgw.dialects.standard import SMPP
from smsgw.frontends.smpp.binds import Binds
from smsgw.frontends.smpp.metrics import BindMetrics
from smsgw.frontends.smpp.receipts import SmppReceipts
from smsgw.interfaces import BindAccepted, IReturnPath, IReturnSink, ISmppSession
from smsgw.model.message import Event, EventKind
from smsgw.smpp.codec import decode, encode
from smsgw.smpp.consts import Status
from smsgw.smpp.pdus import DeliverSm
from tests.configured import configured
from tests.frontends.smpp.support import HandSession, HandSink, event
from tests.metrics import value


def deliveries(session: HandSession) -> list[DeliverSm]:
    """Return the PDUs of a session as the ESME decodes them."""
    pdus = [decode(encode(pdu, session.version), session.version) for pdu in session.log]
    assert all(isinstance(pdu, DeliverSm) for pdu in pdus)
    return cast(list[DeliverSm], pdus)


class ReceiptsTestCase(SynchronousTestCase):
    """The return path between a recording sink and fake sessions."""

    def setUp(self) -> None:
        """No session is bound."""
        self.metrics = BindMetrics()
        self.receipts = SmppReceipts(configured(), Binds(self.metrics), self.metrics)
        self.sink = HandSink()
        self.receipts.attach(self.sink)
        self.receipts.add_listener("smpp", SMPP)

    def bind(self, account: str = "demo", *, receives: bool = True, version: int = 0x34) -> HandSession:
        """Return a bound session."""
        session = HandSession(version, receives=receives)
        session.bound = BindAccepted(account, b"smsgw", listener="smpp")
        self.receipts.binds.enter(session, account)
        self.receipts.bound(session)
        return session

    def answer(self, session: HandSession, status: int = 0, count: int = 1) -> None:
        """Answer the oldest receipts."""
        answered, session.sent = session.sent[:count], session.sent[count:]
        self.receipts.answers(session, [(token, status, None) for token, _ in answered])

    def ids(self, session: HandSession) -> list[bytes]:
        """The messages whose receipts went over a session."""
        return [pdu.tlv(0x001E) for pdu in deliveries(session)]


class DeliverTests(ReceiptsTestCase):
    """The choice of the session."""

    def test_interfaces(self) -> None:
        """The return path and the sink provide their interfaces."""
        verifyObject(IReturnPath, self.receipts)
        verifyObject(IReturnSink, self.sink)
        verifyObject(ISmppSession, HandSession())
        self.assertEqual(self.receipts.path, "smpp")

    def test_no_session(self) -> None:
        """Without a receiving session the room is 0; events that are still delivered are requeued."""
        self.assertEqual(self.receipts.room("demo"), 0)
        self.bind(receives=False)
        self.assertEqual(self.receipts.room("demo"), 0)
        events = [event(1)]
        self.receipts.deliver(events)
        self.assertEqual(self.sink.requeued, events)

    def test_ready_after_the_bind(self) -> None:
        """The room grows after the bind response was written, and the sink is called."""
        session = HandSession()
        session.bound = BindAccepted("demo", b"smsgw", listener="smpp")
        self.receipts.binds.enter(session, "demo")
        self.assertEqual((self.receipts.room("demo"), self.sink.ready_accounts), (0, []))
        self.receipts.bound(session)
        self.assertEqual((self.receipts.room("demo"), self.sink.ready_accounts), (10, ["demo"]))

    def test_receipt(self) -> None:
        """An event is sent as deliver_sm in the session's version, and acknowledged by its answer."""
        for version, id in ((0x33, b"id:00000007 "), (0x34, b"id:7 "), (0x50, b"id:7 ")):
            self.setUp()
            session = self.bind(version=version)
            reported = event(7)
            self.receipts.deliver([reported])
            (pdu,) = deliveries(session)
            self.assertTrue(pdu.short_message.startswith(id), pdu.short_message)
            self.assertEqual(self.sink.acknowledged_events, [])
            self.answer(session)
            self.assertEqual(self.sink.acknowledged_events, [reported])
            self.assertEqual(self.sink.ready_accounts, ["demo", "demo"])

    def test_turns(self) -> None:
        """Sessions of the account take turns, each up to its room; the room of the account is their sum."""
        first, second = self.bind(), self.bind()
        self.bind(receives=False)
        self.assertEqual(self.receipts.room("demo"), 20)
        for id in range(1, 5):
            self.receipts.deliver([event(id)])
        self.assertEqual((len(first.log), len(second.log)), (2, 2))
        self.receipts.deliver([event(id) for id in range(10, 26)])
        self.assertEqual((len(first.sent), len(second.sent), self.sink.requeued), (10, 10, []))
        self.assertEqual(self.receipts.room("demo"), 0)

    def test_timezone(self) -> None:
        """Dates are those of the zone in the configuration."""
        session = self.bind()
        for zone in (ZoneInfo("UTC"), ZoneInfo("Asia/Tokyo")):
            self.receipts.apply(configured(AccountSettings(name="demo"), timezone=zone))
            self.receipts.deliver([event(1)])
        dates = [pdu.short_message.partition(b"done date:")[2][:10] for pdu in deliveries(session)]
        hours = [int(date[6:8]) for date in dates]
        self.assertEqual((hours[1] - hours[0]) % 24, 9)

    def test_more_than_room(self) -> None:
        """Events without room in a session are requeued, in order."""
        self.bind()
        events = [event(id) for id in range(1, 13)]
        self.receipts.deliver(events)
        self.assertEqual(self.sink.requeued, events[10:])

    def test_accounts_are_kept_apart(self) -> None:
        """Receipts are sent over sessions of the submitting account only."""
        mine, other = self.bind("demo"), self.bind("other")
        self.receipts.deliver([event(1, account="other")])
        self.assertEqual((self.ids(mine), self.ids(other)), ([], [b"1"]))

    def test_poisoned_event(self) -> None:
        """An event whose receipt cannot be written is retried later and logged; the others are sent."""
        session = self.bind()
        events = [event(1), event(2), event(3)]
        events[1].message.content.sender = None
        self.receipts.deliver(events)
        self.assertEqual(self.ids(session), [b"1", b"3"])
        self.assertEqual(self.sink.retried, [(events[1], None)])
        self.assertEqual(len(self.flushLoggedErrors(AttributeError)), 1)

    def test_binds_are_counted(self) -> None:
        """The sessions of an account are counted, also in the metrics, until they end."""
        first, second = self.bind("counted"), self.bind("counted", receives=False)
        self.assertEqual((self.receipts.binds.count("counted"), value(self.metrics.binds["counted"])), (2, 2))
        self.receipts.binds.leave(first)
        self.receipts.binds.leave(first)
        self.receipts.binds.leave(second)
        self.assertEqual((self.receipts.binds.count("counted"), value(self.metrics.binds["counted"])), (0, 0))

    def test_expel(self) -> None:
        """Sessions of removed and disabled accounts are closed, the others stay."""
        sessions = [self.bind(account) for account in "aabc"]
        self.receipts.apply(configured(AccountSettings(name="b"), AccountSettings(name="c", enabled=False)))
        self.assertEqual([session.open for session in sessions], [False, False, True, False])


class AnswerTests(ReceiptsTestCase):
    """The answers of ESMEs to receipts."""

    def answered(self, status: int) -> Event:
        """One event that was answered with this status."""
        session = self.bind()
        each = event(1)
        self.receipts.deliver([each])
        self.answer(session, status)
        return each

    def test_temporary(self) -> None:
        """A temporary error makes the event retried later."""
        for status in (0x64, 0x08, 0x14, 0x58):
            self.setUp()
            each = self.answered(status)
            self.assertEqual((self.sink.retried, self.sink.acknowledged_events), ([(each, None)], []))

    def test_permanent(self) -> None:
        """Any other error acknowledges the event, which is counted as refused by the ESME."""
        for status in (Status.ESME_RX_P_APPN, Status.ESME_RX_R_APPN, Status.ESME_RINVMSGID, 0x4FF, 0xFFFFFFFF):
            self.setUp()
            each = self.answered(status)
            self.assertEqual((self.sink.retried, self.sink.acknowledged_events), ([], [each]))
            self.assertEqual(self.metrics.receipts_refused["demo"], 1)

    def test_lost(self) -> None:
        """An event without an answer is requeued."""
        each = self.answered(-1)
        self.assertEqual((self.sink.requeued, self.sink.acknowledged_events, self.sink.retried), ([each], [], []))

    def test_mixed(self) -> None:
        """Each answer of one read applies to its own event."""
        session = self.bind()
        events = [event(id) for id in range(1, 6)]
        self.receipts.deliver(events)
        statuses = [0, 0x64, -1, 0x65, 0]
        session.sent.clear()
        self.receipts.answers(session, list(zip(events, statuses, [None] * 5, strict=True)))
        self.assertEqual({each.message.id for each in self.sink.acknowledged_events}, {1, 4, 5})
        self.assertEqual(self.sink.retried, [(events[1], None)])
        self.assertEqual(self.sink.requeued, [events[2]])

    def test_session_that_goes(self) -> None:
        """After its last answers a closed session gets no receipt; the other session does."""
        gone, stays = self.bind(), self.bind()
        self.receipts.deliver([event(1)])
        self.receipts.deliver([event(2)])
        self.answer(gone, -1)
        self.receipts.binds.leave(gone)
        self.receipts.bound(gone)
        self.assertEqual((len(self.sink.requeued), self.receipts.room("demo")), (1, 9))
        for id in (3, 4):
            self.receipts.deliver([event(id, EventKind.ENROUTE)])
        self.assertEqual((len(gone.log), len(stays.log)), (1, 3))
