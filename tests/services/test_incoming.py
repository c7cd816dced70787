"""Tests of what comes from subscribers: its account, its acknowledgement, its event."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from smsgw.config import AccountSettings, AllowList, NumberSettings, Secret
from smsgw.model.changes import Changes, Committed, Confirmation
from smsgw.model.content import Content, Labels
from smsgw.model.errors import Refusal, Refused, StoreDown
from smsgw.model.lifecycle import State
from smsgw.model.message import CALLBACK, Event, EventKind, Incoming, IncomingKind, Message
from smsgw.services.accounts import Accounts
from smsgw.services.commits import Commits
from smsgw.services.incoming import WAIT, IncomingRouter
from smsgw.services.metrics import ServiceMetrics
from tests.configured import configured

NOW = 1_700_000_000.0
PHONE = "79161234567"
SHOPS, DEMOS, SHARED, QUIET = "79030000001", "79030000002", "4647", "79030000003"


class MemoryStore:
    """Keeps incoming items and the confirmations that wait; commits wait for the test if it says so."""

    def __init__(self) -> None:
        self.ids = 100
        self.messages: dict[int, Message] = {}
        self.waiting: list[Confirmation] = []
        self.stored: list[Incoming] = []
        self.held: list[Deferred[None]] | None = None
        self.broken: Exception | None = None

    def next_id(self) -> int:
        """Ids that count up."""
        self.ids += 1
        return self.ids

    def find(self, account: str | None, ids: Sequence[int]) -> Deferred[list[list[Message]]]:
        """See IMessageStore."""
        found = [self.messages.get(id) for id in ids]
        return succeed([[one] if one is not None and account in (None, one.account) else [] for one in found])

    def find_confirmation(self, phone: str, number: str, now: float) -> Deferred[str]:
        """See IMessageStore."""
        fitting = [
            one.account for one in self.waiting if (one.phone, one.number) == (phone, number) and one.expires > now
        ]
        return succeed(fitting[-1] if fitting else "")

    def commit(self, changes: Changes) -> Deferred[Committed]:
        """See IMessageStore; only what concerns subscribers."""
        if self.broken is not None:
            return fail(self.broken)
        before: Deferred[None] = succeed(None)
        if self.held is not None:
            before = Deferred()
            self.held.append(before)

        def carry_out(_: None) -> Committed:
            self.waiting += changes.confirmations
            self.stored += changes.incoming
            reported = [one for one in changes.incoming if one.path]
            events = [Event(one, EventKind.INCOMING, State.DELIVERED, 0, one.at) for one in reported]
            return Committed([], [], [], events)

        return before.addCallback(carry_out)


class RecordingOutbox:
    """The outbox as inbound sees it."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def occurred(self, events: Sequence[Event]) -> None:
        """See Outbox."""
        self.events += events


def message(id: int, account: str, callback: str = "") -> Message:
    """A message of ours."""
    labels = Labels(callback) if callback else None
    content = Content("DEMO", 5, 0, 1, 1, 0, 0, b"hello", labels=labels)
    return Message(
        id, account, "", "sim", State.DELIVERED, 0, False, 0, 0, 1, NOW, NOW, NOW, 0.0, 0, PHONE, 0, content
    )


class InboundTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        """Account shop has a callback, demo has none, off is disabled; each has a number, and one is shared."""
        self.store, self.outbox, self.clock = MemoryStore(), RecordingOutbox(), Clock()
        common: dict[str, Any] = {"password": Secret("x"), "allow_from": AllowList(everyone=True)}
        self.accounts = [
            AccountSettings(name="shop", callback="https://shop.example/sms", **common),
            AccountSettings(name="demo", **common),
            AccountSettings(name="off", enabled=False, **common),
        ]
        settings = configured(
            *self.accounts,
            NumberSettings(name=SHOPS, account="shop", calls=True),
            NumberSettings(name=DEMOS, account="demo"),
            NumberSettings(name=QUIET, account="off"),
            NumberSettings(name=SHARED, calls=True),
        )
        accounts = Accounts(settings, self.clock, maybeDeferred)
        store: Any = self.store
        self.counts = ServiceMetrics()
        self.inbound = IncomingRouter(
            settings, store, Commits(store, self.outbox), accounts, lambda: NOW + self.clock.seconds(), self.counts
        )

    def reload(self, *numbers: NumberSettings) -> None:
        """These are the numbers now."""
        self.inbound.apply(configured(*self.accounts, *numbers))

    def come(self, *incoming: Incoming) -> list[Refused | None]:
        """These come in."""
        return self.successResultOf(self.inbound.incoming("sim", incoming))


def text(to: str, source: str = PHONE, answers: int = 0) -> Incoming:
    """A message to a number of ours."""
    return Incoming(0, "", "", IncomingKind.MESSAGE, "sim", source, to, "hello", NOW, answers)


def called(to: str, source: str = PHONE) -> Incoming:
    """A call to a number of ours."""
    return Incoming(0, "", "", IncomingKind.CALL, "sim", source, to, "", NOW)


def keys(answers: int) -> Incoming:
    """Keys pressed while a message of ours was listened to."""
    return Incoming(0, "", "", IncomingKind.KEYS, "sim", "", "", "12", NOW, answers, 30)


class MessageTests(InboundTestCase):
    def test_owner(self) -> None:
        """A message belongs to the account of the number it came to, is stored, and has an event for the callback."""
        one = text(SHOPS)
        self.assertEqual(self.come(one), [None])
        self.assertEqual((one.id, one.account, one.path), (101, "shop", CALLBACK))
        self.assertEqual([event.message for event in self.outbox.events], [one])

    def test_no_callback(self) -> None:
        """For an account without a callback an incoming message is stored and listed, and not reported."""
        one = text(DEMOS)
        self.assertEqual(self.come(one), [None])
        self.assertEqual((one.account, one.path, self.store.stored, self.outbox.events), ("demo", "", [one], []))

    def test_numbers_as_upstreams_write_them(self) -> None:
        """Numbers are compared in international form, however an upstream writes them; short codes stay short."""
        self.reload(NumberSettings(name=SHOPS, account="shop"), NumberSettings(name="4647", account="demo"))
        one, other = text("8" + SHOPS[1:], "+7 916 123-45-67"), text("4647", "OPERATOR")
        self.assertEqual(self.come(one, other), [None, None])
        self.assertEqual((one.sender, one.recipient), (PHONE, SHOPS))
        self.assertEqual((other.sender, other.recipient, other.account), ("OPERATOR", "4647", "demo"))

    def test_without_account(self) -> None:
        """A message to a number without an account is refused and counted, and does not stop the others."""
        answers = self.come(text("79039999999"), text(SHARED), text(QUIET), text(SHOPS))
        self.assertEqual([answer and answer.refusal for answer in answers], [Refusal.NO_ROUTE] * 3 + [None])
        self.assertEqual([one.recipient for one in self.store.stored], [SHOPS])
        self.assertEqual(self.counts.received["sim", "message", "refused"], 3)

    def test_only_without_account(self) -> None:
        """Nothing to keep costs no commit."""
        self.store.broken = StoreDown("must not be asked")
        (answer,) = self.come(text("79039999999"))
        self.assertIsInstance(answer, Refused)

    def test_answers(self) -> None:
        """A message that answers one of the account's own says so; one of another account is no such answer."""
        self.store.messages = {7: message(7, "shop"), 8: message(8, "demo")}
        own, other = text(SHOPS, answers=7), text(SHOPS, answers=8)
        self.come(own, other)
        self.assertEqual((own.answers, other.answers), (7, 0))

    def test_acknowledged_after_the_commit(self) -> None:
        """The upstream gets its acknowledgement after the commit, and none if that fails."""
        self.store.held = []
        answers = self.inbound.incoming("sim", [text(SHOPS)])
        self.assertNoResult(answers)
        self.assertEqual(self.outbox.events, [])
        self.store.held.pop().callback(None)
        self.assertEqual(self.successResultOf(answers), [None])
        self.store.broken = StoreDown("full")
        self.failureResultOf(self.inbound.incoming("sim", [text(SHOPS)]), StoreDown)

    def test_numbers_change(self) -> None:
        """A reload gives a number to another account from then on."""
        self.reload(NumberSettings(name=SHOPS, account="demo"))
        one = text(SHOPS)
        self.come(one)
        self.assertEqual(one.account, "demo")


class KeyTests(InboundTestCase):
    def test_belong_to_the_message(self) -> None:
        """Keys belong to the account of the voice message, and bring its numbers along (002-130, in part)."""
        self.store.messages = {7: message(7, "shop")}
        one = keys(7)
        self.assertEqual(self.come(one), [None])
        self.assertEqual((one.account, one.sender, one.recipient, one.text), ("shop", PHONE, "DEMO", "12"))

    def test_own_callback(self) -> None:
        """They go to the callback of the message, also for an account without a callback."""
        self.store.messages = {7: message(7, "demo", "https://demo.example/7")}
        one = keys(7)
        self.come(one)
        self.assertEqual((one.path, one.callback), (CALLBACK, "https://demo.example/7"))

    def test_of_no_message(self) -> None:
        """Keys that answer no message of ours are refused."""
        for id in (0, 7):
            (answer,) = self.come(keys(id))
            assert answer is not None
            self.assertIs(answer.refusal, Refusal.NO_ROUTE)


class CallTests(InboundTestCase):
    def expect(self, account: str, phone: str = PHONE) -> Confirmation | Refused:
        """The account waits for a call."""
        return self.successResultOf(self.inbound.expect(account, phone))

    def test_number_to_call(self) -> None:
        """The answer has the number to call: the account's own if that takes calls, else a shared one."""
        for account, number in (("shop", SHOPS), ("demo", SHARED)):
            waiting = self.expect(account, "8 916 1234567")
            assert isinstance(waiting, Confirmation)
            self.assertEqual((waiting.account, waiting.phone, waiting.number, waiting.expires),
                             (account, PHONE, number, NOW + WAIT))
            self.assertIn(waiting, self.store.waiting)

    def test_shared_number(self) -> None:
        """A call to a shared number is for the account that waits for that phone, as long as it waits."""
        self.expect("demo")
        one = called(SHARED)
        self.assertEqual(self.come(one), [None])
        self.assertEqual(one.account, "demo")
        for other in (called(SHARED, "79167654321"), called(DEMOS), called("79039999999")):
            (answer,) = self.come(other)
            self.assertIsInstance(answer, Refused, other.recipient)
        self.clock.advance(WAIT)
        (answer,) = self.come(called(SHARED))
        self.assertIsInstance(answer, Refused)

    def test_own_number(self) -> None:
        """A call to a number of its own is the account's, waited for or not."""
        one = called(SHOPS)
        self.come(one)
        self.assertEqual((one.account, one.path), ("shop", CALLBACK))

    def test_isolation(self) -> None:
        """An account cannot take the call that another one waits for: it gets another number, or a refusal."""
        self.reload(NumberSettings(name=SHARED, calls=True), NumberSettings(name="4648", calls=True))
        first, second, third = (self.expect(account) for account in ("demo", "shop", "third"))
        assert isinstance(first, Confirmation)
        assert isinstance(second, Confirmation)
        assert isinstance(third, Refused)
        self.assertEqual((first.number, second.number, third.refusal), (SHARED, "4648", Refusal.QUEUE_FULL))
        again = self.expect("demo")
        assert isinstance(again, Confirmation)
        self.assertEqual(again.number, SHARED)

    def test_isolation_at_once(self) -> None:
        """Two that ask at the same time do not get the same number for the same phone."""
        self.reload(NumberSettings(name=SHARED, calls=True))
        self.store.held = []
        first, second = self.inbound.expect("demo", PHONE), self.inbound.expect("shop", PHONE)
        while self.store.held:
            self.store.held.pop().callback(None)
        self.assertIsInstance(self.successResultOf(first), Confirmation)
        self.assertIsInstance(self.successResultOf(second), Refused)

    def test_refusals(self) -> None:
        """A malformed phone number is refused, and so is every phone if no number takes calls."""
        bad = self.expect("demo", "a friend")
        assert isinstance(bad, Refused)
        self.assertIs(bad.refusal, Refusal.BAD_RECIPIENT)
        self.reload(NumberSettings(name=SHOPS, account="shop", calls=True))
        none = self.expect("demo")
        assert isinstance(none, Refused)
        self.assertIs(none.refusal, Refusal.NO_ROUTE)

    def test_store_down(self) -> None:
        """A wish that could not be stored fails, and the next one succeeds."""
        self.store.broken = StoreDown("full")
        self.failureResultOf(self.inbound.expect("demo", PHONE), StoreDown)
        self.store.broken = None
        self.assertIsInstance(self.expect("demo"), Confirmation)
