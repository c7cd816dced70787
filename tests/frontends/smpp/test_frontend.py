"""The front end for ESMEs: binds, submissions, queries and cancellations."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from smsgw.config import AccountSettings, AllowList, Secret, SmppListenSettings
from smsgw.config.values import folded_network
from smsgw.dialects.standard import SMPP
from smsgw.frontends.smpp.binds import Binds
from smsgw.frontends.smpp.frontend import SmppFrontend
from smsgw.frontends.smpp.receipts import SmppReceipts
from smsgw.interfaces import BindAccepted, IIntake, ISmppDelegate
from smsgw.model.errors import Refusal, StoreDown, UnknownOutcome
from smsgw.model.lifecycle import Notify, State
from smsgw.services.accounts import Accounts
from smsgw.smpp.pdus import (
    BindReceiver,
    BindTransceiver,
    BindTransmitter,
    BroadcastSm,
    CancelSm,
    CancelSmResp,
    DataSm,
    Pdu,
    QuerySm,
    QuerySmResp,
    ReplaceSm,
    SubmitMulti,
    SubmitSm,
    SubmitSmResp,
)
from tests.configured import configured
from tests.frontends.smpp.support import HandIntake, HandSession, HandSink, HandStore, message

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC).timestamp()


def account(name: str = "demo", **keys: Any) -> AccountSettings:
    """An account whose password is its name."""
    values: dict[str, Any] = {"allow_from": AllowList(everyone=True), "password": Secret(name)} | keys
    return AccountSettings(name=name, **values)


def submit(number: int = 1, **fields: Any) -> SubmitSm:
    """A submit_sm to 7916000000N."""
    values: dict[str, Any] = {
        "source_addr": b"DEMO",
        "destination_addr": b"7916%07d" % number,
        "short_message": b"hello",
        "registered_delivery": 1,
    }
    return SubmitSm(number, **values | fields)


class FrontendTestCase(SynchronousTestCase):
    """A front end whose services the test controls."""

    def setUp(self) -> None:
        """One account, no session."""
        self.make(account())

    def make(self, *accounts: AccountSettings, **listener: Any) -> None:
        """A front end for these accounts."""
        settings = SmppListenSettings(name="smpp", endpoint="tcp:2775:interface=127.0.0.1", **listener)
        configuration = configured(*accounts)
        self.accounts = Accounts(configuration, Clock(), maybeDeferred)
        self.receipts = SmppReceipts(configuration, Binds())
        self.receipts.attach(HandSink())
        self.intake, self.store = HandIntake(), HandStore()
        self.frontend = SmppFrontend(
            configuration,
            settings,
            SMPP,
            self.receipts,
            self.accounts,
            self.intake,
            self.store,  # type: ignore[arg-type]
            self.store,  # type: ignore[arg-type]
            lambda: NOW,
        )

    def try_bind(
        self, login: str = "demo", password: str | None = None, session: HandSession | None = None
    ) -> BindAccepted | int:
        """Return the answer to a bind."""
        session = session or HandSession()
        pdu = BindTransceiver(1, login.encode(), (login if password is None else password).encode())
        answer = self.successResultOf(self.frontend.bind(session, pdu))
        if isinstance(answer, BindAccepted):
            session.bound = answer
            self.frontend.bound(session)
        return answer

    def bound(self, login: str = "demo", version: int = 0x34) -> HandSession:
        """Return a bound session."""
        session = HandSession(version)
        self.assertIsInstance(self.try_bind(login, session=session), BindAccepted)
        return session

    def ask(self, *pdus: Pdu, session: HandSession | None = None) -> list[Pdu | int]:
        """Return the answers to the requests of one read."""
        return self.successResultOf(self.frontend.requests(session or self.bound(), pdus))


class BindTests(FrontendTestCase):
    """Binds."""

    def test_interfaces(self) -> None:
        """The front end and the fake intake provide their interfaces."""
        verifyObject(ISmppDelegate, self.frontend)
        verifyObject(IIntake, self.intake)

    def test_bind(self) -> None:
        """The right password binds in all three ways, under the name of the account and the listener's system_id."""
        for kind in (BindTransmitter, BindReceiver, BindTransceiver):
            answer = self.successResultOf(self.frontend.bind(HandSession(), kind(1, b"demo", b"demo")))
            assert isinstance(answer, BindAccepted)
            self.assertEqual((answer.account, answer.system_id), ("demo", b"smsgw"))

    def test_wrong_credentials(self) -> None:
        """A wrong system_id and a wrong password get the same answer: 0x0E, in 5.0 0x0D."""
        for login, password in (("demo", "wrong"), ("unknown", "demo"), ("", "demo"), ("", "")):
            self.assertEqual(self.try_bind(login, password), 0x0E)
            self.assertEqual(self.try_bind(login, password, HandSession(0x50)), 0x0D)

    def test_many_refused_binds(self) -> None:
        """A series of wrong passwords does not fill the log: twenty lines, the rest is counted."""
        with capturedLogs() as logged:
            for _ in range(200):
                self.try_bind("demo", "guess")
        lines = [formatEvent(line) for line in logged]
        self.assertEqual(len([line for line in lines if "is refused" in line]), 20)
        self.assertNotIn("guess", "".join(lines))

    def test_not_allowed(self) -> None:
        """With the right password: a wrong address, a disabled account and another protocol are refused alike."""
        nowhere = AllowList((folded_network("198.51.100.0/24"),))
        self.make(account("a", allow_from=nowhere), account("b", enabled=False), account("c", protocols=("http",)))
        for name in "abc":
            self.assertEqual(self.try_bind(name), 0x0D)
            self.assertEqual(self.try_bind(name, "wrong"), 0x0E)

    def test_too_many_binds(self) -> None:
        """The number of sessions is limited by the listener or the account; the next bind is refused."""
        self.make(account(), account("two", connections=2), connections=3)
        demo = [self.bound() for _ in range(3)]
        self.assertEqual(self.try_bind(), 0x05)
        for _ in range(2):
            self.bound("two")
        self.assertEqual(self.try_bind("two"), 0x05)
        self.frontend.closed(demo[0], "gone")
        self.bound()
        with capturedLogs() as logged:
            self.assertEqual(self.try_bind(), 0x05)
        peer, why = HandSession().peer, "it already has all its sessions"
        lines = [formatEvent(line) for line in logged]
        self.assertEqual(lines, [f"a login over smpp from {peer} to account demo is refused: {why}"])

    def test_deliver_window(self) -> None:
        """The listener limits the unanswered deliver_sm."""
        for window in (100, 7):
            self.make(account(), deliver_window=window)
            accepted = self.try_bind()
            assert isinstance(accepted, BindAccepted)
            self.assertEqual(accepted.window, window)

    def test_refused_binds_take_no_place(self) -> None:
        """Refused binds do not count as sessions of the account."""
        self.make(account(), connections=1)
        for _ in range(5):
            self.try_bind("demo", "wrong")
        self.bound()


class SubmitTests(FrontendTestCase):
    """submit_sm."""

    def test_one_call_for_a_read(self) -> None:
        """All submissions of a read go to intake together and are answered in their order with their ids."""
        answers = self.ask(submit(1), submit(2), submit(3))
        self.assertEqual([len(call) for call in self.intake.calls], [3])
        for answer, id in zip(answers, (b"1", b"2", b"3"), strict=True):
            assert isinstance(answer, SubmitSmResp)
            self.assertEqual((answer.command_status, answer.message_id), (0, id))
        first = self.intake.calls[0][0]
        self.assertEqual((first.account, first.path, first.octets), ("demo", "smpp", b"hello"))
        self.assertEqual((first.recipients[0], first.notify), ("79160000001", Notify.FINAL))

    def test_not_before_the_commit(self) -> None:
        """The answers are sent after intake has stored the messages."""
        self.intake.waiting = []
        answering = self.frontend.requests(self.bound(), [submit()])
        self.assertNoResult(answering)
        waits, results = self.intake.waiting[0]
        waits.callback(results)
        self.assertEqual(len(self.successResultOf(answering)), 1)

    def test_one_answer_for_a_read(self) -> None:
        """Answers known at once wait for the other answers of the same read."""
        self.intake.waiting = []
        answering = self.frontend.requests(self.bound(), [QuerySm(1, b"7"), submit()])
        self.assertNoResult(answering)
        waits, results = self.intake.waiting[0]
        waits.callback(results)
        query, submission = self.successResultOf(answering)
        self.assertEqual((query, type(submission)), (0x0C, SubmitSmResp))

    def test_3_3(self) -> None:
        """A 3.3 ESME gets ids of 8 hexadecimal digits."""
        self.intake.last = 0xBEEE
        (answer,) = self.ask(submit(), session=self.bound(version=0x33))
        assert isinstance(answer, SubmitSmResp)
        self.assertEqual(answer.message_id, b"0000BEEF")

    def test_refusals(self) -> None:
        """A refused submission affects its own answer only."""
        self.intake.refusals = {
            "79160000002": Refusal.BAD_RECIPIENT,
            "79160000003": Refusal.OVER_RATE,
            "79160000004": Refusal.BAD_ENCODING,
        }
        pdus = [submit(number) for number in range(1, 6)]
        answers = self.ask(*pdus)
        self.assertEqual(answers[1:4], [0x0B, 0x58, 0x45])
        self.assertEqual([type(answers[place]) for place in (0, 4)], [SubmitSmResp, SubmitSmResp])
        self.assertEqual(self.ask(*pdus, session=self.bound(version=0x50))[3], 0x104)

    def test_bad_fields(self) -> None:
        """A submit_sm that is invalid in SMPP does not reach intake; the valid ones beside it do."""
        answers = self.ask(
            submit(1, priority_flag=9),
            submit(2),
            submit(3, schedule_delivery_time=b"nonsense"),
            submit(4, validity_period=b"nonsense"),
        )
        self.assertEqual([answers[0], *answers[2:]], [0x06, 0x61, 0x62])
        self.assertEqual([each.recipients[0] for each in self.intake.calls[0]], ["79160000002"])

    def test_store_fails(self) -> None:
        """If the store fails or the outcome of the commit is unknown, every submission gets a temporary error."""
        for error in (StoreDown("no"), UnknownOutcome("I/O")):
            self.intake.failing = error
            self.assertEqual(self.ask(submit(1), submit(2)), [0x08, 0x08])

    def test_fault(self) -> None:
        """An unexpected exception is logged and answered with a temporary error; queries beside it are answered."""
        self.intake.failing = RuntimeError("on purpose")
        self.store.messages[7] = [message(7)]
        answers = self.ask(submit(1), QuerySm(2, b"7"))
        self.assertEqual(answers[0], 0x08)
        self.assertIsInstance(answers[1], QuerySmResp)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)


class LookUpTests(FrontendTestCase):
    """query_sm and cancel_sm."""

    def test_query(self) -> None:
        """The answer to a query has the state, the error and the time of a final state, in the gateway's zone."""
        self.store.messages = {1: [message(1)], 2: [message(2, State.UNDELIVERABLE, error=5)]}
        first, second = self.ask(QuerySm(1, b"1"), QuerySm(2, b"2", 5, 0, b"DEMO"))
        assert isinstance(first, QuerySmResp)
        assert isinstance(second, QuerySmResp)
        self.assertEqual((first.message_id, first.message_state, first.final_date), (b"1", 1, b""))
        self.assertEqual((second.message_id, second.message_state, second.error_code), (b"2", 5, 5))
        self.assertEqual(second.final_date, b"010909054640016+")
        self.assertEqual(self.store.finds, [[1, 2]])

    def test_unknown_ids(self) -> None:
        """An empty, malformed, unknown or foreign id, that of a batch, and a wrong sender get the same answer."""
        self.store.messages = {1: [message(1)], 2: [message(2, account="other")], 3: [message(4), message(5)]}
        self.store.messages[6] = [message(7)]
        ids = (b"", b"x", b"0", b"01", b"9", b"2", b"3", b"6", b"9" * 64)
        self.assertEqual(self.ask(*(QuerySm(1, id) for id in ids)), [0x0C] * len(ids))
        self.assertEqual(self.ask(*(CancelSm(1, b"", id) for id in ids)), [0x0C] * len(ids))
        self.assertEqual(self.ask(QuerySm(1, b"1", 0, 0, b"OTHER")), [0x0C])
        self.assertEqual(self.store.cancels, [])

    def test_cancel(self) -> None:
        """Cancellations of a read are committed together; those of final messages are refused."""
        self.store.messages = {1: [message(1)], 2: [message(2, State.DELIVERED)], 3: [message(3)]}
        answers = self.ask(CancelSm(1, b"", b"1"), CancelSm(2, b"", b"2"), CancelSm(3, b"", b"3"))
        self.assertEqual([type(answers[place]) for place in (0, 2)], [CancelSmResp, CancelSmResp])
        self.assertEqual(answers[1], 0x11)
        self.assertEqual([[wish.id for wish in call] for call in self.store.cancels], [[1, 2, 3]])
        self.assertEqual({wish.account for wish in self.store.cancels[0]}, {"demo"})

    def test_addresses(self) -> None:
        """Addresses in a cancellation, if given, must be those of the message, in any form."""
        for source, destination, fits in [
            (b"", b"", True),
            (b"DEMO", b"79161234567", True),
            (b"demo", b"+79161234567", True),
            (b"", b"89161234567", True),
            (b"DEMO", b"79161234568", False),
            (b"OTHER", b"79161234567", False),
            (b"\xff", b"", False),
            (b"", b"\xff", False),
        ]:
            self.store.messages[1] = [message(1)]
            (answer,) = self.ask(CancelSm(1, b"", b"1", 0, 0, source, 0, 0, destination))
            self.assertEqual(isinstance(answer, CancelSmResp), fits, (source, destination))
            if not fits:
                self.assertEqual(answer, 0x0C)
            self.frontend.closed(self.last_session(), "done")

    def test_numbers_as_senders(self) -> None:
        """The plus sign of a numeric sender is ignored."""
        self.store.messages[1] = [message(1)]
        self.store.messages[1][0].content.sender = "74951234567"
        for source in (b"74951234567", b"+74951234567"):
            (answer,) = self.ask(QuerySm(1, b"1", 1, 1, source))
            self.assertIsInstance(answer, QuerySmResp)

    def last_session(self) -> Any:
        """The session that bound last."""
        return self.receipts.binds._accounts["demo"].sessions[-1]

    def test_store_fails(self) -> None:
        """If the store fails, queries and cancellations get a temporary error."""
        self.store.failing = StoreDown("no")
        self.assertEqual(self.ask(QuerySm(1, b"1"), CancelSm(2, b"", b"1"), QuerySm(3, b"")), [0x08, 0x08, 0x0C])

    def test_order_of_answers(self) -> None:
        """For any mix of requests in one read, the answers are in order; other requests are unsupported."""
        self.store.messages = {5: [message(5)], 6: [message(6)]}
        answers = self.ask(
            QuerySm(1, b"5"),
            submit(2),
            ReplaceSm(3, b"5"),
            SubmitMulti(4),
            CancelSm(5, b"", b"6"),
            DataSm(6),
            submit(7),
            BroadcastSm(8),
        )
        kinds = [each if isinstance(each, int) else type(each) for each in answers]
        self.assertEqual(kinds, [QuerySmResp, SubmitSmResp, 0x03, 0x03, CancelSmResp, 0x03, SubmitSmResp, 0x03])
        self.assertEqual([len(call) for call in self.intake.calls], [2])

    def test_nothing_to_do(self) -> None:
        """A read of unsupported requests is answered at once."""
        self.assertEqual(self.ask(DataSm(1)), [0x03])
        self.assertEqual((self.intake.calls, self.store.finds), ([], []))
