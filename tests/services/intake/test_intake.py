"""Tests of intake: what is taken, what is refused, and when the answer comes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from smsgw.config import (
    AccountSettings,
    AllowList,
    ConnectorSettings,
    Globs,
    OperatorSettings,
    RouteSettings,
    Secret,
    SenderSettings,
    Way,
)
from smsgw.interfaces import IIntake, IPolicy
from smsgw.model.changes import Changes, Committed
from smsgw.model.errors import Refusal, Refused, StoreDown, StoreFull, UnknownOutcome
from smsgw.model.lifecycle import Notify, State
from smsgw.model.message import Accepted, Message, Previewed, Submission
from smsgw.services.accounts import Accounts
from smsgw.services.clock import CheckedClock
from smsgw.services.intake.intake import Intake
from smsgw.services.intake.metrics import IntakeMetrics
from smsgw.services.routing import Router
from smsgw.services.senders import Senders
from tests.configured import configured
from tests.services.intake.support import StoringDispatch

NOW = 1_700_000_000.0


class HeldStore:
    """A store whose commits wait until a test lets them go."""

    def __init__(self) -> None:
        self.commits: list[tuple[Changes, Deferred[Committed]]] = []
        self.ids = 0
        self.down: StoreDown | None = None

    def next_id(self) -> int:
        """Ids that count up."""
        if self.down:
            raise self.down
        self.ids += 1
        return self.ids

    def commit(self, changes: Changes) -> Deferred[Committed]:
        """Keep the call for the test."""
        done: Deferred[Committed] = Deferred()
        self.commits.append((changes, done))
        return done

    def finish(self, result: Committed | Exception | None = None) -> list[Message]:
        """Let the oldest commit go; the messages it holds."""
        changes, done = self.commits.pop(0)
        if isinstance(result, Exception):
            done.errback(result)
        else:
            done.callback(result or Committed([], [], [], []))
        return changes.accepts


@implementer(IPolicy)
class NoPromises:
    """A policy that refuses texts with a word, and fails over another."""

    def check(self, account: Any, submissions: Sequence[Submission]) -> list[Refused | None]:
        """See IPolicy."""
        (submission,) = submissions
        if submission.text == "bug":
            raise RuntimeError("a fault of the policy")
        return [Refused(Refusal.CANNOT_REGISTER, "no promises") if submission.text == "promise" else None]


class IntakeTestCase(SynchronousTestCase):
    """Intake before a store and a dispatch that are worked by hand."""

    def setUp(self) -> None:
        """One account that may use DEMO everywhere and MTS for one operator; numbers in 49 have no route."""
        self.store, self.clock = HeldStore(), Clock()
        account = AccountSettings(
            name="demo",
            password=Secret("demo"),
            senders=("DEMO", "MTS"),
            default_sender="DEMO",
            allow_from=AllowList(everyone=True),
            rate=2.0,
            validity=3600.0,
        )
        settings = configured(
            account,
            SenderSettings(name="MTS", operators=("mts",)),
            OperatorSettings(name="mts", numbers=Globs(("7910*",))),
            ConnectorSettings(name="sim"),
            RouteSettings(name="all", to=Globs(("7*",)), connectors=(Way("sim"),)),
        )
        self.accounts = Accounts(settings, self.clock, maybeDeferred)
        dispatch: Any = StoringDispatch(self.store)
        self.metrics = IntakeMetrics()
        self.intake = Intake(
            settings,
            self.store,  # type: ignore[arg-type]
            self.accounts,
            Senders(settings),
            Router(settings),
            dispatch,
            CheckedClock(lambda: NOW, lambda: 0.0),
            self.clock.seconds,
            policies=[NoPromises()],
            metrics=self.metrics,
        )

    def submission(self, *recipients: str, **changed: Any) -> Submission:
        """A submission that would be accepted but for what is changed."""
        values = {"account": "demo", "path": "smpp", "sender": "DEMO", "recipients": recipients or ("79161234567",)}
        return Submission(**(values | {"text": "hello"} | changed))

    def refused(self, submission: Submission) -> Refused:
        """The refusal of one submission, which costs no commit."""
        (answer,) = self.successResultOf(self.intake.submit([submission]))
        assert isinstance(answer, Refused), answer
        self.assertEqual(self.store.commits, [])
        return answer

    def accepted(self, submission: Submission) -> tuple[Accepted, list[Message]]:
        """The answer to one submission that is accepted, and its messages."""
        answers = self.intake.submit([submission])
        messages = self.store.finish()
        (answer,) = self.successResultOf(answers)
        assert isinstance(answer, Accepted), answer
        return answer, messages


class IntakeTests(IntakeTestCase):
    """What a front end may rely on."""

    def test_provides_the_interface(self) -> None:
        """Front ends may check what they are given."""
        self.assertTrue(verifyObject(IIntake, self.intake))

    def test_answer_after_the_commit(self) -> None:
        """No positive answer before the synced commit."""
        answers = self.intake.submit([self.submission()])
        self.assertNoResult(answers)
        (message,) = self.store.finish()
        (answer,) = self.successResultOf(answers)
        assert isinstance(answer, Accepted)
        self.assertEqual((answer.id, answer.message_ids, answer.parts, answer.state), (1, (1,), 1, State.QUEUED))
        self.assertEqual((message.connector, message.recipient, message.expires), ("sim", "79161234567", NOW + 3600))

    def test_disabled_meanwhile(self) -> None:
        """An account that a reload has switched off sends nothing more, even over a session that is still bound."""
        demo = self.accounts.get("demo")
        assert demo is not None
        self.accounts.apply(configured(attrs.evolve(demo.settings, enabled=False)))
        self.assertIs(self.refused(self.submission()).refusal, Refusal.NOT_ALLOWED)

    def test_order_and_length(self) -> None:
        """Answers have the order of the submissions, refused ones between accepted ones included."""
        answers = self.intake.submit([self.submission(), self.submission("unknown"), self.submission(sender="MTS")])
        self.store.finish()
        kinds = [type(answer).__name__ for answer in self.successResultOf(answers)]
        self.assertEqual(kinds, ["Accepted", "Refused", "Refused"])

    def test_failed_commit(self) -> None:
        """If the commit fails, the call fails with the same error."""
        for trouble in (StoreDown("full"), UnknownOutcome("disk")):
            answers = self.intake.submit([self.submission()])
            self.store.finish(trouble)
            self.failureResultOf(answers, type(trouble))

    def test_full(self) -> None:
        """A full store refuses every submission of the call as a full queue."""
        answers = self.intake.submit([self.submission(), self.submission("unknown")])
        self.store.finish(StoreFull("the disk is nearly full"))
        refusals = [answer.refusal for answer in self.successResultOf(answers) if isinstance(answer, Refused)]
        self.assertEqual(refusals, [Refusal.QUEUE_FULL, Refusal.QUEUE_FULL])

    def test_no_ids(self) -> None:
        """A store that cannot promise an id is down for the whole call, before anything is accepted."""
        self.store.down = StoreDown("closing")
        self.failureResultOf(self.intake.submit([self.submission()]), StoreDown)
        self.assertEqual(self.store.commits, [])

    def test_refusals(self) -> None:
        """Each invalid submission has a refusal of its own, and a preview of it the same."""
        cases: list[tuple[Refusal, dict[str, Any]]] = [
            (Refusal.NOT_ALLOWED, {"account": "unknown"}),
            (Refusal.BAD_RECIPIENT, {"recipients": ("12",)}),
            (Refusal.BAD_SENDER, {"sender": "FAR TOO LONG A NAME"}),
            (Refusal.SENDER_NOT_AGREED, {"sender": "OTHER"}),
            (Refusal.SENDER_NOT_AGREED_FOR_OPERATOR, {"sender": "MTS"}),
            (Refusal.EMPTY_TEXT, {"text": ""}),
            (Refusal.EMPTY_TEXT, {"text": None}),
            (Refusal.TEXT_TOO_LONG, {"text": "x" * 481, "text_limit": 480}),
            (Refusal.TEXT_TOO_LONG, {"text": "x" * 40_000}),
            (Refusal.BAD_ENCODING, {"text": "\ud800"}),
            (Refusal.BAD_ENCODING, {"text": None, "octets": b"x", "data_coding": 0x0B}),
            (Refusal.CANNOT_REGISTER, {"text": None, "octets": b"x", "protocol_id": 0x7F}),
            (Refusal.CANNOT_REGISTER, {"text": "promise"}),
            (Refusal.STORE_DOWN, {"text": "bug"}),
            (Refusal.NO_ROUTE, {"recipients": ("4917012345678",)}),
            (Refusal.BAD_VALIDITY, {"expires": NOW - 1}),
            (Refusal.BAD_VALIDITY, {"schedule": NOW + 100, "expires": NOW + 50}),
        ]
        for refusal, changed in cases:
            refused = self.refused(self.submission(**changed))
            self.assertIs(refused.refusal, refusal, changed)
            self.assertEqual(self.intake.preview([self.submission(**changed)]), [refused], changed)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 2)

    def test_preview(self) -> None:
        """A preview shows what a submission would become; it takes no id, charges no rate and moves no turn."""
        demo = self.accounts.get("demo")
        assert demo is not None
        level = demo.bucket.level(self.clock.seconds())
        shown = self.intake.preview([self.submission("8 (916) 123-45-67", text="я" * 71)])
        self.assertEqual(shown, [Previewed("ucs2", 71, 2, "79161234567", "sim")])
        self.assertEqual((self.store.ids, demo.bucket.level(self.clock.seconds())), (0, level))
        self.assertEqual(self.store.commits, [])

    def test_recipients(self) -> None:
        """Some recipients of a submission may be malformed, also the first; if all are, it is refused."""
        answer, messages = self.accepted(self.submission("12", "79161234567", "34"))
        self.assertEqual([message.state for message in messages], [State.REFUSED, State.QUEUED, State.REFUSED])
        self.assertEqual([message.recipient for message in messages], ["12", "79161234567", "34"])
        self.assertEqual(len(answer.message_ids), 3)
        self.assertIs(self.refused(self.submission("12", "34")).refusal, Refusal.BAD_RECIPIENT)

    def test_handsets(self) -> None:
        """What reaches into the handset rather than its owner is refused, each by its name; what only looks like it
        passes."""
        user_data = {"text": None, "octets": b"\0\0\0\0"}
        push, other = b"\x0b\x84\x23\xf0", b"\x0b\x86\x23\xf0"
        injections: dict[str, dict[str, Any]] = {
            "a long mail header for a phone (protocol_id 0x32)": {"protocol_id": 0x32},
            "SIM data download": {"protocol_id": 0x7F, "data_coding": 0xF6},
            "8-bit data for the SIM": {"data_coding": 0xF6},
            "8-bit data for the SIM, the newer group": {"data_coding": 0x16},
            "WAP push by header": {"esm_class": 0x40, "data_coding": 4, "octets": b"\x06\x05\x04" + push + b"push"},
            "WAP push behind a concatenation": {
                "esm_class": 0x40, "octets": b"\x0b\x00\x03\x05\x04\x01\x05\x04" + push + b"push",
            },
            "secure WAP push": {"esm_class": 0x40, "octets": b"\x06\x05\x04\x0b\x85\x00\x00push"},
            "WAP push by TLV": {"tlvs": b"\x02\x0b\x00\x02\x0b\x84"},
            "WAP push by a TLV that is longer than it should be": {"tlvs": b"\x02\x0b\x00\x04\x00\x00\x0b\x84"},
        }  # fmt: skip
        for name, changed in injections.items():
            with self.subTest(name):
                answer = self.refused(self.submission(**(user_data | changed)))
                self.assertIs(answer.refusal, Refusal.CANNOT_REGISTER)
        self.clock.advance(100)
        harmless: dict[str, dict[str, Any]] = {
            "another port": {"esm_class": 0x40, "octets": b"\x06\x05\x04" + other + b"data"},
            "the port's octets in the text": {"esm_class": 0x40, "octets": b"\x05\x00\x03\x05\x04\x01\x05\x04" + push},
            "a source port": {"tlvs": b"\x02\x0a\x00\x02\x0b\x84"},
            "the tag inside a value": {"tlvs": b"\x03\x81\x00\x04\x02\x0b\x0b\x84"},
        }
        for name, changed in harmless.items():
            with self.subTest(name):
                self.clock.advance(1)
                self.accepted(self.submission(**(user_data | changed)))

    def test_parts(self) -> None:
        """A long text becomes parts that share a reference; user data of an ESME with a header passes as one."""
        answer, (message,) = self.accepted(self.submission(text="я" * 100))
        self.assertEqual((answer.parts, message.content.data_coding, message.cut.reference), (2, 8, message.id))
        self.assertEqual(message.content.text(), "я" * 100)
        self.clock.advance(10)
        header = b"\x05\x00\x03\x01\x02\x01"
        changed = {"text": None, "octets": header + b"x" * 153, "esm_class": 0x40}
        self.assertEqual(self.accepted(self.submission(**changed))[0].parts, 1)

    def test_part_that_fits_nowhere(self) -> None:
        """User data with a header of its own, longer than any short message, is refused: no upstream takes it, and
        it would be a lot to keep for one part."""
        header = b"\x05\x00\x03\x01\x02\x01"
        for size in (249, 60_000):
            refused = self.refused(self.submission(text=None, octets=header + b"x" * size, esm_class=0x40))
            self.assertEqual(refused.refusal, Refusal.TEXT_TOO_LONG)

    def test_long_user_data(self) -> None:
        """User data longer than one part and without a header is cut like a text."""
        answer, (message,) = self.accepted(self.submission(text=None, octets=b"x" * 200))
        self.assertEqual(answer.parts, 2)
        self.assertEqual(b"".join(message.cut.parts), b"x" * 200)

    def test_country(self) -> None:
        """A national number is read as the country of the configuration writes it."""
        self.accepted(self.submission("8 (916) 123-45-67"))
        self.intake.apply(configured(country=""))
        self.assertIs(self.refused(self.submission("8 (916) 123-45-67")).refusal, Refusal.NO_ROUTE)

    def test_f2_times_in_a_jump(self) -> None:
        """While the clock may be ahead, the times that a client gives are tested by the earliest time: a message for
        later is not sent at once, and its validity is not over."""
        self.intake._time.behind = 2 * 86_400.0
        later = NOW - 86_400.0
        _, (message,) = self.accepted(self.submission(schedule=later, expires=later + 60))
        self.assertEqual((message.state, message.due), (State.SCHEDULED, later))

    def test_schedule(self) -> None:
        """A message for later is scheduled, and its validity begins then; one whose time has come goes at once."""
        _, (message,) = self.accepted(self.submission(schedule=NOW + 100))
        self.assertEqual((message.state, message.due, message.expires), (State.SCHEDULED, NOW + 100, NOW + 3700))
        _, (message,) = self.accepted(self.submission(schedule=NOW - 5, expires=NOW + 60))
        self.assertEqual((message.state, message.due, message.expires), (State.QUEUED, 0.0, NOW + 60))

    def test_rate(self) -> None:
        """Over its rate an account is refused; a long text passes while anything is left and is paid off later."""
        self.accepted(self.submission(text="x" * 1000))
        self.assertIs(self.refused(self.submission()).refusal, Refusal.OVER_RATE)
        self.clock.advance(2)
        self.assertIs(self.refused(self.submission()).refusal, Refusal.OVER_RATE)
        self.clock.advance(2)
        self.accepted(self.submission())

    def test_several_recipients(self) -> None:
        """Several recipients share a batch id; the ones that cannot be reached are kept as refused by rules."""
        answer, messages = self.accepted(self.submission("79161234567", "12", "4917012345678", text="hi"))
        self.assertEqual((answer.id, list(answer.message_ids), answer.parts), (1, [2, 3, 4], 3))
        self.assertEqual([message.batch for message in messages], [1, 1, 1])
        states = [(message.state, message.error) for message in messages]
        self.assertEqual(states, [(State.QUEUED, 0), (State.REFUSED, 249), (State.REFUSED, 248)])

    def test_none_of_several(self) -> None:
        """If no recipient can be reached, the answer is the refusal, and no id is used."""
        self.assertIs(self.refused(self.submission("4917012345678", "12")).refusal, Refusal.NO_ROUTE)
        self.assertIs(self.refused(self.submission("1", "2")).refusal, Refusal.BAD_RECIPIENT)
        self.assertEqual(self.store.ids, 0)

    def test_refusal_as_state(self) -> None:
        """A refusal that the front end reports as a state becomes the state of a message."""
        answer, (message,) = self.accepted(
            self.submission("4917012345678", as_states=frozenset({Refusal.NO_ROUTE}), notify=Notify.FINAL)
        )
        self.assertEqual((answer.state, message.state, message.error), (State.REFUSED, State.REFUSED, 248))
