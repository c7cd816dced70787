"""Tests of the line between the events in memory and those only in the store."""

from __future__ import annotations

from collections.abc import Iterable

from twisted.trial.unittest import SynchronousTestCase

from smsgw.model.message import Event, EventKind
from smsgw.services.outbox.eventqueue import EVERYTHING, EventQueue, key_of
from tests.services.outbox.support import ByHandPath, event

MEMORY = 1000


def lane(limit: int = 3, cursor: int | None = None) -> EventQueue:
    """A lane of few events."""
    return EventQueue(ByHandPath(), "demo", limit, cursor)


def keys(ids: Iterable[int]) -> list[int]:
    """The keys of the final events of messages."""
    return [key_of(event(id)) for id in ids]


class EventLaneTests(SynchronousTestCase):
    """What is held, and where the rest begins."""

    def arrive(self, lane: EventQueue, *ids: int) -> int:
        """Final events of these messages happen."""
        return lane.add([event(id) for id in ids], MEMORY)

    def test_keys_are_ordered_as_in_the_store(self) -> None:
        """Keys are ordered by message, then by kind."""
        events = [event(1, EventKind.ENROUTE), event(1), event(2, EventKind.ENROUTE), event(2)]
        self.assertEqual(sorted(events, key=key_of), events)
        self.assertEqual(len({key_of(each) for each in events}), 4)

    def test_what_does_not_fit(self) -> None:
        """The cursor stands just below the lowest event that was left to the store."""
        full = lane()
        self.assertEqual(self.arrive(full, 5, 6, 7, 9, 8), 3)
        self.assertEqual(full.cursor, key_of(event(8)) - 1)
        self.assertEqual(self.arrive(full, 3, 4, 10), 0)
        self.assertEqual(full.cursor, key_of(event(3)) - 1)

    def test_no_memory(self) -> None:
        """A lane with room of its own leaves to the store what the whole memory has no room for."""
        poor = lane()
        self.assertEqual(poor.add([event(1), event(2), event(3)], 2), 2)
        self.assertEqual(poor.add([event(0)], -5), 0)
        self.assertEqual(poor.cursor, key_of(event(0)) - 1)

    def test_below_the_cursor(self) -> None:
        """While older rows are unread, events above them wait in the store and events below them are held."""
        behind = lane(cursor=key_of(event(5)))
        self.assertEqual(self.arrive(behind, 4, 6), 1)
        self.assertEqual(list(behind.held), keys([4]))

    def test_held_once(self) -> None:
        """An event that a page brought already is not held twice."""
        once = lane()
        self.arrive(once, 1)
        self.assertEqual(self.arrive(once, 1), 0)
        self.assertEqual(len(once.waiting), 1)

    def test_last_page(self) -> None:
        """A page that is not full is the last: there is nothing left in the store."""
        reading = lane(cursor=EVERYTHING)
        self.assertEqual(reading.begin_page(3), (0, 0))
        new, fresh = reading.add_page([event(1), event(2)])
        self.assertEqual(([each.message.id for each in new], fresh, reading.cursor), ([1, 2], [], None))

    def test_full_page(self) -> None:
        """Behind a full page the next one begins, with the last row it had."""
        reading = lane(cursor=EVERYTHING)
        reading.begin_page(2)
        reading.add_page([event(1, EventKind.ENROUTE), event(1)])
        self.assertEqual(reading.cursor, key_of(event(1)))
        self.assertEqual(reading.begin_page(2), (1, int(EventKind.FINAL)))

    def test_left_behind_while_reading(self) -> None:
        """An event below a page under way that finds no room is not forgotten when the page comes."""
        reading = lane(limit=1, cursor=key_of(event(5)))
        self.arrive(reading, 4)
        reading.begin_page(2)
        self.arrive(reading, 3)
        reading.add_page([event(6)])
        self.assertEqual(reading.cursor, key_of(event(3)) - 1)

    def test_above_a_full_page(self) -> None:
        """What happened above a full page while it was read does not move the cursor up."""
        reading = lane(limit=9, cursor=EVERYTHING)
        reading.begin_page(1)
        self.arrive(reading, 7, 8)
        reading.add_page([event(1)])
        self.assertEqual(reading.cursor, key_of(event(1)))

    def test_too_much_while_reading(self) -> None:
        """Of what happened while a page was read and was not remembered, the lowest is where reading goes on."""
        reading = lane(limit=9, cursor=EVERYTHING)
        reading.begin_page(2)
        self.arrive(reading, 7, 8, 6, 5, 9)
        _, fresh = reading.add_page([event(1)])
        self.assertEqual([each.message.id for each in fresh], [7, 8])
        self.assertEqual(reading.cursor, key_of(event(5)) - 1)

    def test_page_with_removed_and_held_rows(self) -> None:
        """Events of a page are new unless they are held or were removed while the page was read."""
        reading = lane(limit=9, cursor=key_of(event(3)))
        self.arrive(reading, 1, 2, 3)
        reading.cursor = EVERYTHING
        reading.begin_page(5)
        self.assertEqual(reading.remove([event(2)]), 1)
        new, _ = reading.add_page([event(1), event(2), event(4)])
        self.assertEqual([each.message.id for each in new], [4])

    def test_page_that_did_not_come(self) -> None:
        """After a page that failed the same page is read again."""
        reading = lane(cursor=EVERYTHING)
        reading.begin_page(2)
        self.arrive(reading, 1)
        reading.end_page()
        self.assertEqual((reading.reading, reading.fresh, reading.begin_page(2)), (False, [], (0, 0)))

    def test_shed(self) -> None:
        """What waits goes back to the store, what is under way stays, and the cursor never moves up."""
        shedding = lane(limit=9)
        self.arrive(shedding, 3, 2, 5)
        taken = shedding.take(1)
        self.assertEqual(shedding.shed(), 2)
        self.assertEqual((list(shedding.held), shedding.cursor), (keys([3]), key_of(event(2)) - 1))
        self.assertEqual(shedding.shed(), 0)
        shedding.cursor = key_of(event(1))
        shedding.waiting.extend(taken)
        shedding.shed()
        self.assertEqual(shedding.cursor, key_of(event(1)))

    def test_final_behind_intermediate(self) -> None:
        """A final event steps aside while the intermediate one of its message is held, and comes after it."""
        ordered = lane(limit=9)
        both: list[Event] = [event(1, EventKind.ENROUTE), event(1), event(2)]
        ordered.add(both, MEMORY)
        self.assertEqual(ordered.take(10), [both[0], both[2]])
        self.assertEqual(ordered.take(10), [])
        ordered.remove([both[0]])
        self.assertEqual(ordered.take(10), [both[1]])
