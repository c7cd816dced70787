"""Which session gets a receipt, when several of one account receive."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smsgw.frontends.smpp.origins import MOST_RUNS, Origin, Origins
from smsgw.frontends.smpp.receipts import MOST_HELD
from smsgw.interfaces import BindAccepted
from smsgw.model.message import Event
from tests.frontends.smpp.support import HandSession, event
from tests.frontends.smpp.test_receipts import ReceiptsTestCase

OWNERS = [Origin(None, b"", str(number)) for number in range(3)]


def owners(origins: Origins, ids: range) -> list[Origin | None]:
    """Return the origin of each id, found in one call."""
    found = {one.message.id: owner for owner, events in origins.split(map(event, ids)).items() for one in events}
    return [found[id] for id in ids]


class OriginsTests(SynchronousTestCase):
    """The memory of who submitted what."""

    @given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 6), st.sampled_from([*OWNERS, None])), max_size=12))
    def test_i7_any_order(self, records: list[tuple[int, int, Origin | None]]) -> None:
        """Whatever the order of the records, each id has the last origin recorded for it."""
        origins = Origins()
        literal: dict[int, Origin | None] = {}
        for first, more, origin in records:
            origins.record(first, first + more, origin)
            literal |= dict.fromkeys(range(first, first + more + 1), origin)
        for id, found in zip(range(1, 50), owners(origins, range(1, 50)), strict=True):
            if id in literal:
                self.assertIs(found, literal[id])
        self.assertLessEqual(len(origins), 2 * len(records))

    def test_i7_one_program(self) -> None:
        """The messages of a session that alone submits take no memory of their own."""
        origins = Origins()
        for first in range(1, 100_000, 10):
            origins.record(first, first + 9, OWNERS[0])
        self.assertEqual(len(origins), 1)

    def test_i7_bounded(self) -> None:
        """Of programs that take turns the oldest messages are forgotten."""
        origins = Origins()
        for id in range(1, 3 * MOST_RUNS):
            origins.record(id, id, OWNERS[id % 2])
            self.assertLessEqual(len(origins), MOST_RUNS)
        ids = range(3 * MOST_RUNS - 4, 3 * MOST_RUNS)
        self.assertEqual(owners(origins, ids), [OWNERS[id % 2] for id in range(ids[0], ids[-1])] + [OWNERS[1]])
        self.assertEqual(owners(origins, range(1, 3)), [None, None])


class NearestTests(ReceiptsTestCase):
    """The session of a receipt."""

    def program(
        self, system_type: bytes = b"", peer: str = "192.0.2.1", *, receives: bool = True, window: int = 10
    ) -> HandSession:
        """Return a bound session of a program."""
        session = HandSession(peer=peer, receives=receives)
        session.window = window
        session.bound = BindAccepted("demo", b"smsgw", listener="smpp", system_type=system_type)
        self.receipts.binds.enter(session, "demo")
        self.receipts.bound(session)
        return session

    def submitted(self, session: HandSession, *ids: int) -> list[Event]:
        """Have a session submit messages; return the events of their receipts."""
        for id in ids:
            self.receipts.binds.submitted(session, id, id)
        return [event(id) for id in ids]

    def end(self, session: HandSession) -> None:
        """End the connection."""
        session.open = False
        lost, session.sent = session.sent, []
        if lost:
            self.receipts.answers(session, [(token, -1, None) for token, _ in lost])
        self.receipts.closed(session)

    def redeliver(self) -> None:
        """Deliver what was requeued, as the outbox does."""
        requeued, self.sink.requeued = self.sink.requeued, []
        self.receipts.deliver(requeued)

    def numbers(self, session: HandSession) -> list[int]:
        """Return the messages whose receipts a session got."""
        return [int(id) for id in self.ids(session)]

    def test_i7_own_session(self) -> None:
        """Each of two programs on one account gets the receipts of its own messages."""
        first, second = self.program(), self.program()
        events = self.submitted(first, 1, 2) + self.submitted(second, 3) + self.submitted(first, 4)
        self.receipts.deliver(events)
        self.receipts.deliver(self.submitted(second, 5))
        self.assertEqual((self.numbers(first), self.numbers(second)), ([1, 2, 4], [3, 5]))
        self.assertEqual(self.sink.requeued, [])

    def test_i7_unknown(self) -> None:
        """Messages of before the restart go over the sessions in turns."""
        first, second = self.program(b"A"), self.program(b"B")
        for id in range(1, 5):
            self.receipts.deliver([event(id)])
        self.assertEqual((len(first.log), len(second.log)), (2, 2))

    def test_i7_full_window(self) -> None:
        """A receipt waits for the session that submitted while its window is full; others are not held up."""
        first, second = self.program(window=2), self.program()
        events = self.submitted(first, 1, 2, 3, 4, 5) + self.submitted(second, 6)
        self.receipts.deliver(events)
        self.assertEqual((self.numbers(first), self.numbers(second)), ([1, 2], [6]))
        self.answer(first)
        self.answer(first, count=2)
        self.assertEqual(self.numbers(first), [1, 2, 3, 4, 5])
        self.answer(first, count=2)
        self.assertEqual((self.numbers(second), self.sink.requeued), ([6], []))
        self.assertEqual({one.message.id for one in self.sink.acknowledged_events}, {1, 2, 3, 4, 5})

    def test_i7_too_many_wait(self) -> None:
        """A program that does not read its receipts holds up a bounded number; further ones go to another session, and
        what finds no room goes back."""
        first, second = self.program(window=1), self.program(window=5)
        self.receipts.deliver(self.submitted(first, *range(1, MOST_HELD + 9)))
        self.assertEqual(self.numbers(first), [1])
        self.assertEqual(self.numbers(second), list(range(MOST_HELD + 2, MOST_HELD + 7)))
        self.assertEqual([one.message.id for one in self.sink.requeued], [MOST_HELD + 7, MOST_HELD + 8])
        self.assertEqual(self.receipts.room("demo"), 0)

    def test_i7_rebind(self) -> None:
        """When the session ends, its receipts go to the same program's next one: of its system_type and address."""
        gone, other = self.program(b"A", window=1), self.program(b"B")
        same_type, elsewhere = self.program(b"A"), self.program(b"A", "192.0.2.9")
        self.receipts.deliver(self.submitted(gone, 1, 2, 3))
        self.end(gone)
        self.assertEqual(sorted(one.message.id for one in self.sink.requeued), [1, 2, 3])
        self.redeliver()
        self.assertEqual(sorted(self.numbers(same_type)), [1, 2, 3])
        self.end(same_type)
        self.redeliver()
        self.assertEqual(sorted(self.numbers(elsewhere)), [1, 2, 3])
        self.end(elsewhere)
        self.redeliver()
        self.assertEqual(sorted(self.numbers(other)), [1, 2, 3])
        again = self.program(b"A")
        self.receipts.deliver([event(2)])
        self.assertEqual(self.numbers(again), [2])

    def test_i7_transmitter(self) -> None:
        """Messages of a transmitter are reported to the receivers of its system_type, in turns."""
        transmitter = self.program(b"A", receives=False)
        mine, too, other = self.program(b"A"), self.program(b"A"), self.program(b"B")
        events = self.submitted(transmitter, 1, 2, 3, 4)
        for one in events:
            self.receipts.deliver([one])
        self.assertEqual(sorted(self.numbers(mine) + self.numbers(too)), [1, 2, 3, 4])
        self.assertEqual((len(mine.log) > 0, len(too.log) > 0, other.log), (True, True, []))

    def test_i7_no_answer(self) -> None:
        """A receipt that the submitting session left unanswered may go to another."""
        first, second = self.program(), self.program()
        self.receipts.deliver(self.submitted(first, 1, 2))
        self.answer(first, -1)
        for _ in range(2):
            self.redeliver()
            self.sink.requeued = [event(1)]
        self.assertEqual(self.numbers(second), [1])
        self.receipts.deliver([*self.submitted(first, 3), event(2)])
        self.receipts.deliver([*self.submitted(first, 4), event(2)])
        self.assertEqual(self.numbers(second), [1])

    def test_i7_removed_account(self) -> None:
        """What a removed account submitted is forgotten."""
        first = self.program()
        self.submitted(first, 1)
        self.receipts.binds.expel_others(set())
        self.assertEqual(next(iter(self.receipts.binds.by_origin("demo", [event(1)])))[0], None)
