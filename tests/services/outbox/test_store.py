"""The outbox and its store: bounded memory, pages, restarts and failures."""

from __future__ import annotations

from smsgw.model.changes import Committed
from smsgw.model.errors import StoreDown, UnknownOutcome
from smsgw.services.outbox.outbox import LONGEST_PAUSE
from tests.services.outbox.support import ENROUTE, FINAL, OutboxTestCase, event, ids, name


class StoreTests(OutboxTestCase):
    """Bounded memory, pages, restarts and failures of the store."""

    def test_restart(self) -> None:
        """After a restart every event without acknowledgement is sent, in order, when its receiver binds."""
        self.store.add(event(3), event(1, ENROUTE), event(1, FINAL), event(9, account="other"))
        self.make(page=2)
        self.assertIsNone(self.successResultOf(self.started))
        self.assertEqual(self.store.pages, [])
        self.path.bind("demo", 10)
        self.path.acknowledge()
        self.turn()
        self.path.acknowledge()
        self.turn()
        self.assertEqual([name(each) for each in self.path.log], [(1, 1), (3, 2), (1, 2)])
        self.assertEqual(set(self.store.acknowledged), {(1, 1), (1, 2), (3, 2)})

    def test_put_off_before_the_restart(self) -> None:
        """The pause of an event survives a restart, but never lasts longer than the longest pause."""
        soon, far = event(1), event(2)
        soon.due, far.due = 1030.0, 999_999.0
        self.store.add(soon, far, event(3))
        self.make()
        self.path.bind("demo", 10)
        self.assertEqual(ids(self.path.log), [3])
        for _ in range(30):
            self.clock.advance(1)
        self.assertEqual(ids(self.path.log), [3, 1])
        for _ in range(int(LONGEST_PAUSE)):
            self.clock.advance(1)
        self.assertEqual(ids(self.path.log), [3, 1, 2])

    def test_events_before_the_debtors_are_known(self) -> None:
        """What happens while the store is still asked who is owed something waits behind what is in the store."""
        self.store.by_hand = True
        self.store.add(event(1))
        self.make()
        self.path.rooms["demo"] = 10
        self.happen(event(2))
        for _ in range(3):
            self.store.work()
            self.store.answer()
        self.assertEqual(ids(self.path.log), [1, 2])

    def test_debtors_unknown(self) -> None:
        """A store that cannot say who is owed something fails the start and is asked again every second."""
        self.store.add(event(1))
        self.store.broken = StoreDown("no")
        self.make()
        self.failureResultOf(self.started, StoreDown)
        self.clock.advance(1)
        self.store.broken = None
        self.clock.advance(1)
        self.path.bind("demo", 1)
        self.assertEqual(ids(self.path.log), [1])

    def test_memory_per_account_is_bounded(self) -> None:
        """Beyond the bound events are only in the store, and come in pages when the account has room again."""
        self.make(per_account=4, page=3)
        self.happen(*map(event, range(1, 11)))
        self.assertEqual(self.outbox._held, 4)
        self.path.bind("demo", 3)
        for _ in range(10):
            self.assertLessEqual(self.outbox._held, 4)
            self.path.acknowledge()
            self.turn()
        self.assertEqual(ids(self.path.log), list(range(1, 11)))
        self.assertEqual(self.outbox._held, 0)

    def test_total_memory_is_bounded(self) -> None:
        """When all accounts together wait for too much, the longest lanes go back to the store; nothing is lost."""
        self.make(total=10, page=3)
        for account in "abc":
            self.happen(*(event(id, account=account) for id in range(1, 8)))
            self.assertLessEqual(self.outbox._held, 10)
        for account in "abc":
            self.path.bind(account, 5)
            for _ in range(10):
                self.path.acknowledge()
                self.turn()
        for account in "abc":
            self.assertEqual(ids([each for each in self.path.log if each.message.account == account]), [*range(1, 8)])

    def test_others_do_not_fill_the_memory(self) -> None:
        """An account that is bound gets its events at once, however much the others wait for."""
        self.make(total=10)
        self.happen(*(event(id, account="away") for id in range(1, 15)))
        self.path.bind("demo", 5)
        self.happen(event(20), event(21))
        self.assertEqual((ids(self.path.log), self.store.pages), ([20, 21], []))

    def test_memory_full_of_what_is_under_way(self) -> None:
        """Where nothing can go back to the store, a page waits for memory, and is then read in a second."""
        self.make(total=2, share=0)
        self.path.rooms["busy"] = 2
        self.happen(event(1, account="busy"), event(2, account="busy"))
        self.happen(event(3))
        self.path.bind("demo", 5)
        self.assertEqual(ids(self.path.log), [1, 2])
        self.path.acknowledge()
        self.turn()
        self.clock.advance(1)
        self.assertEqual(ids(self.path.log), [1, 2, 3])

    def test_share(self) -> None:
        """A few events of an account find memory even when others hold all of it."""
        self.make(total=2, share=3)
        self.path.rooms["busy"] = 2
        self.happen(event(1, account="busy"), event(2, account="busy"))
        self.happen(*map(event, range(3, 10)))
        self.path.bind("demo", 10)
        self.assertEqual(ids(self.path.log), [1, 2, 3, 4, 5])

    def test_new_events_wait_behind_unread_ones(self) -> None:
        """While older events are only in the store, a later event of the same message does not overtake them."""
        self.make(per_account=1, page=10)
        self.happen(event(1), event(2, ENROUTE))
        self.happen(event(2, FINAL))
        self.path.bind("demo", 1)
        for _ in range(6):
            self.path.acknowledge()
            self.turn()
        self.assertEqual([name(each) for each in self.path.log], [(1, 2), (2, 1), (2, 2)])

    def test_events_while_a_page_is_read(self) -> None:
        """An event that happens while a page is read is sent once, whether or not the page already has it."""
        self.store.add(event(1))
        self.make()
        self.store.by_hand = True
        self.path.bind("demo", 10)
        self.happen(event(2))
        self.store.work()
        self.happen(event(3))
        self.store.answer()
        self.assertEqual(ids(self.path.log), [1, 2, 3])
        self.assertEqual(len(self.store.pages), 1)

    def test_more_events_than_a_page_while_it_is_read(self) -> None:
        """However many events happen while a page is read, each is sent once."""
        self.store.add(event(1))
        self.make(page=2)
        self.store.by_hand = True
        self.path.bind("demo", 100)
        self.store.work()
        self.happen(*map(event, range(2, 12)))
        self.store.by_hand = False
        self.store.answer()
        self.assertEqual(ids(self.path.log), [*range(1, 12)])

    def test_page_with_forgotten_rows(self) -> None:
        """A page read before events were forgotten and answered after it does not bring them back."""
        self.make(per_account=3)
        self.path.rooms["demo"] = 5
        self.happen(event(5), event(6), event(7))
        self.happen(event(1))
        self.path.acknowledge(5)
        self.turn()
        self.assertEqual(ids(self.path.log), [5, 6, 7, 1])
        self.path.acknowledge(1)
        self.store.by_hand = True
        self.turn()
        self.store.work()
        self.store.answer()
        self.store.work()
        self.path.acknowledge(6)
        self.turn()
        self.store.work()
        self.assertEqual([type(result) for result, _ in self.store.done], [list, Committed])
        self.store.answer(backwards=True)
        self.store.by_hand = False
        self.store.work()
        self.store.answer()
        self.path.acknowledge()
        self.turn()
        self.assertEqual(ids(self.path.log), [5, 6, 7, 1])

    def test_page_that_cannot_be_read(self) -> None:
        """A page that fails is read again by the sweep."""
        self.store.add(event(1))
        self.make()
        self.store.broken = UnknownOutcome("I/O")
        self.path.bind("demo", 1)
        self.store.broken = None
        self.clock.advance(1)
        self.assertEqual(ids(self.path.log), [1])

    def test_commit_that_fails(self) -> None:
        """Acknowledgements whose commit failed are committed again, and the events are not sent twice meanwhile."""
        for error in (StoreDown("no"), UnknownOutcome("I/O")):
            self.setUp()
            self.make()
            self.path.rooms["demo"] = 10
            self.happen(event(1), event(2))
            self.store.broken = error
            self.store.by_hand = True
            self.path.acknowledge(1)
            self.turn()
            self.path.acknowledge(2)
            self.turn()
            self.store.work()
            self.store.answer()
            self.assertEqual(self.store.acknowledged, [])
            self.store.broken = None
            self.store.by_hand = False
            self.clock.advance(1)
            self.turn()
            self.assertEqual(self.store.acknowledged, [(1, 2), (2, 2)])
            self.assertEqual(ids(self.path.log), [1, 2])

    def test_fault_in_a_commit_is_logged(self) -> None:
        """A failure that a store does not announce is logged, and the acknowledgements are kept."""
        self.make()
        self.path.rooms["demo"] = 10
        self.happen(event(1))
        self.store.broken = RuntimeError("on purpose")
        self.path.acknowledge()
        self.turn()
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.store.broken = None
        self.clock.advance(1)
        self.turn()
        self.assertEqual(self.store.acknowledged, [(1, 2)])

    def test_stop_commits_what_was_acknowledged(self) -> None:
        """A stop fires after what was acknowledged before it is committed, and hands out nothing more."""
        self.make()
        self.path.rooms["demo"] = 1
        self.happen(event(1), event(2), event(3))
        self.store.by_hand = True
        self.path.acknowledge(1)
        del self.path.log[:]
        stopped = self.outbox.stop()
        self.assertNoResult(stopped)
        self.store.work()
        self.store.answer()
        self.assertIsNone(self.successResultOf(stopped))
        self.assertEqual(self.store.acknowledged, [(1, 2)])
        self.happen(event(4))
        self.path.bind("demo", 10)
        self.assertEqual(self.path.log, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop_with_a_broken_store(self) -> None:
        """A stop does not wait for a store that is down: the events are sent again after the next start."""
        self.make()
        self.path.rooms["demo"] = 2
        self.happen(event(1))
        self.store.broken = StoreDown("no")
        self.path.acknowledge()
        self.assertIsNone(self.successResultOf(self.outbox.stop()))
