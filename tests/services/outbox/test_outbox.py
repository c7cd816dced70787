"""Tests of the outbox: which events receivers get, when and in which order."""

from __future__ import annotations

from zope.interface.verify import verifyObject

from smsgw.interfaces import IReturnPath, IReturnSink
from smsgw.services.outbox.outbox import FIRST_PAUSE, LONGEST_PAUSE
from tests.services.outbox.support import ENROUTE, FINAL, ByHandPath, OutboxTestCase, event, ids, name


class TellingTests(OutboxTestCase):
    """From the commit to the acknowledgement."""

    def test_interfaces(self) -> None:
        """The outbox is what return paths talk to, and the fake path is what it talks to."""
        verifyObject(IReturnSink, self.make())
        verifyObject(IReturnPath, self.path)

    def test_handed_over_at_once(self) -> None:
        """With room on the path an event goes out in the call that reports it."""
        self.make()
        self.path.rooms["demo"] = 10
        self.happen(event(1), event(2))
        self.assertEqual(ids(self.path.log), [1, 2])

    def test_waits_for_a_bind(self) -> None:
        """While no client is bound events wait; they go out in order when a client binds, as far as there is room."""
        self.make()
        self.happen(event(1), event(2), event(3))
        self.assertEqual(self.path.log, [])
        self.path.bind("demo", 2)
        self.assertEqual(ids(self.path.log), [1, 2])
        self.path.acknowledge(1)
        self.assertEqual(ids(self.path.log), [1, 2, 3])

    def test_acknowledged_events_are_deleted_in_one_commit(self) -> None:
        """All acknowledgements of one turn of the reactor share one commit."""
        self.make()
        self.path.rooms["demo"] = 10
        self.happen(event(1), event(2), event(3))
        self.path.acknowledge(1)
        self.path.acknowledge(2, 3)
        self.assertEqual(self.store.commits, 0)
        self.turn()
        self.assertEqual((self.store.commits, self.store.acknowledged), (1, [(1, 2), (2, 2), (3, 2)]))

    def test_acknowledged_while_a_commit_runs(self) -> None:
        """What is acknowledged while a commit runs goes into the next one, which starts when the first returns."""
        self.make()
        self.path.rooms["demo"] = 10
        self.happen(event(1), event(2), event(3))
        self.store.by_hand = True
        self.path.acknowledge(1)
        self.turn()
        self.path.acknowledge(2)
        self.turn()
        self.path.acknowledge(3)
        self.turn()
        self.assertEqual(len(self.store.todo), 1)
        self.store.work()
        self.store.answer()
        self.store.work()
        self.assertEqual((self.store.commits, self.store.acknowledged), (2, [(1, 2), (2, 2), (3, 2)]))

    def test_accounts_do_not_wait_for_each_other(self) -> None:
        """Events of an account without a bound client wait, and do not delay the events of other accounts."""
        self.make()
        self.path.rooms["b"] = 10
        self.happen(event(1, account="a"), event(2, account="b"), event(3, account="a"), event(4, account="b"))
        self.assertEqual(ids(self.path.log), [2, 4])

    def test_paths_are_kept_apart(self) -> None:
        """An event goes out over the path of its message; if that path is not attached it stays in the store."""
        self.make()
        http = ByHandPath("http")
        self.outbox.attach(http)
        self.path.rooms["demo"] = http.rooms["demo"] = 10
        self.happen(event(1), event(2, path="http"), event(3, path="pigeon"), event(4))
        self.assertEqual((ids(self.path.log), ids(http.log)), ([1, 4], [2]))
        self.assertIn((3, 2), self.store.rows["pigeon", "demo"])

    def test_intermediate_before_final(self) -> None:
        """The final event of a message goes out only after its intermediate one was acknowledged and forgotten."""
        self.make()
        self.path.rooms["demo"] = 10
        self.happen(event(1, ENROUTE), event(1, FINAL), event(2, FINAL))
        self.assertEqual([name(each) for each in self.path.log], [(1, 1), (2, 2)])
        self.path.acknowledge(1)
        self.assertEqual(len(self.path.log), 2)
        self.turn()
        self.assertEqual(name(self.path.log[-1]), (1, 2))

    def test_a_path_that_raises(self) -> None:
        """A fault of the path loses nothing: it is logged, and the events are tried again later."""
        self.make()
        self.path.rooms["demo"] = 10
        self.path.broken = RuntimeError("on purpose")
        self.happen(event(1))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.clock.advance(FIRST_PAUSE)
        self.clock.advance(1)
        self.assertEqual(ids(self.path.log), [1])


class LaterTests(OutboxTestCase):
    """What receivers cannot take, and sessions that go."""

    def test_tried_again(self) -> None:
        """An event put off is stored as such, waits its time, and comes with one more attempt."""
        self.make()
        self.path.rooms["demo"] = 10
        self.happen(event(1), event(2))
        first = self.path.under_way[0]
        self.path.answered([first])
        self.path.sink.retry([first], 30.0)
        self.turn()
        self.assertEqual(self.store.later, [((1, 2), 1030.0)])
        for _ in range(29):
            self.clock.advance(1)
        self.assertEqual(ids(self.path.log), [1, 2])
        self.clock.advance(1)
        self.assertEqual(ids(self.path.log), [1, 2, 1])
        self.assertEqual(self.path.log[-1].attempts, 1)

    def test_pauses_grow(self) -> None:
        """Without a word from the path the pause doubles, up to a bound."""
        self.make()
        self.path.rooms["demo"] = 10
        self.happen(event(1))
        pauses = []
        for _ in range(10):
            (under_way,) = self.path.under_way
            self.path.answered([under_way])
            self.path.sink.retry([under_way], None)
            start = self.clock.seconds()
            while not self.path.under_way:
                self.clock.advance(1)
            pauses.append(self.clock.seconds() - start)
        self.assertEqual(pauses[:3], [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE])
        self.assertEqual(pauses[-1], LONGEST_PAUSE)

    def test_final_waits_for_a_put_off_intermediate(self) -> None:
        """While the intermediate event of a message is put off, its final one waits, and no other message does."""
        self.make()
        self.path.rooms["demo"] = 10
        self.happen(event(1, ENROUTE))
        (under_way,) = self.path.under_way
        self.path.answered([under_way])
        self.path.sink.retry([under_way], 5.0)
        self.happen(event(1, FINAL), event(2, FINAL))
        self.assertEqual([name(each) for each in self.path.log], [(1, 1), (2, 2)])
        for _ in range(5):
            self.clock.advance(1)
        self.path.acknowledge()
        self.turn()
        self.assertEqual([name(each) for each in self.path.log[2:]], [(1, 1), (1, 2)])

    def test_due_events_go_first(self) -> None:
        """Events whose pause is over are sent before what waits for room, in their old order."""
        self.make()
        self.path.rooms["demo"] = 2
        self.happen(event(1), event(2), event(3))
        events = list(self.path.under_way)
        self.path.answered(events)
        self.path.rooms["demo"] = 0
        self.path.sink.retry(events, 3.0)
        for _ in range(3):
            self.clock.advance(1)
        self.path.bind("demo", 10)
        self.assertEqual(ids(self.path.log), [1, 2, 1, 2, 3])

    def test_acknowledged_after_all(self) -> None:
        """An event that was put off and is acknowledged all the same is not sent again."""
        self.make()
        self.path.rooms["demo"] = 10
        self.happen(event(1))
        events = list(self.path.under_way)
        self.path.answered(events)
        self.path.sink.retry(events, 3.0)
        self.path.sink.acknowledged(events)
        for _ in range(5):
            self.clock.advance(1)
        self.assertEqual(ids(self.path.log), [1])

    def test_returned_go_first(self) -> None:
        """Events of a session that ended are sent before those that waited behind them, without an attempt charged."""
        self.make()
        self.path.rooms["demo"] = 2
        self.happen(event(1), event(2), event(3))
        events = list(self.path.under_way)
        self.path.answered(events)
        self.path.rooms["demo"] = 0
        self.path.sink.requeue(events)
        self.turn()
        self.path.bind("demo", 10)
        self.assertEqual(ids(self.path.log), [1, 2, 1, 2, 3])
        self.assertEqual([each.attempts for each in self.path.log], [0] * 5)

    def test_returned_goes_to_the_other_session(self) -> None:
        """Where another session has room, what was returned goes out in the next turn, without a new bind."""
        self.make()
        self.path.rooms["demo"] = 5
        self.happen(event(1))
        events = list(self.path.under_way)
        self.path.answered(events)
        self.path.sink.requeue(events)
        self.assertEqual(ids(self.path.log), [1])
        self.turn()
        self.assertEqual(ids(self.path.log), [1, 1])

    def test_too_old_to_tell(self) -> None:
        """An event that waited longer than events are kept is not sent any more."""
        self.make(event_keep=60.0)
        self.happen(event(1, at=1000.0), event(2, at=1050.0))
        for _ in range(70):
            self.clock.advance(1)
        self.path.bind("demo", 10)
        self.assertEqual(ids(self.path.log), [2])
