from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smsgw.model.message import Message
from smsgw.services.dispatch.fairqueue import MOST_TURNS, FairQueue, lane_of, parts_of
from tests.services.dispatch.support import content, ids, message


def drain(lanes: FairQueue, room: int = 1) -> list[int]:
    """Take everything, `room` parts at a time."""
    taken: list[int] = []
    while len(lanes):
        taken += ids(lanes.take(room, whole=True))
    return taken


class LaneTests(SynchronousTestCase):
    """What makes a lane."""

    def test_key(self) -> None:
        """A lane is one account, priority, sender and beginning of the text; the recipient does not matter."""
        base = message(1, text=b"Your code is 1234")
        self.assertEqual(lane_of(base), lane_of(message(2, text=b"Your code is 9876")))
        for other in (
            message(3, text=b"Sale: 1234567"),
            message(3, account="other", text=b"Your code is 1234"),
            message(3, priority=1, text=b"Your code is 1234"),
            message(3, content=content(b"Your code is 1234", sender="OTHER")),
        ):
            self.assertNotEqual(lane_of(base), lane_of(other))

    def test_wide(self) -> None:
        """Twelve characters of UCS-2 are 24 octets."""
        one, two = ("Ваш код: 1234 не сообщайте".encode("utf-16-be"), "Ваш код: 1235 не сообщайте".encode("utf-16-be"))
        lane = lane_of(message(1, content=content(one, data_coding=8)))
        self.assertEqual(lane[3], "Ваш код: 123".encode("utf-16-be"))
        self.assertEqual(lane, lane_of(message(2, content=content(two, data_coding=8))))

    def test_header(self) -> None:
        """Parts that a client made itself share a lane: their headers are not their texts."""
        first = content(bytes.fromhex("050003a00201") + b"Sale of the year", esm_class=0x40)
        second = content(bytes.fromhex("050003a00202") + b"Sale of the year", esm_class=0x40)
        self.assertEqual(lane_of(message(1, content=first)), lane_of(message(2, content=second)))
        self.assertEqual(lane_of(message(1, content=first))[3], b"Sale of the ")


class TurnTests(SynchronousTestCase):
    """Who is next."""

    def test_code_behind_campaign(self) -> None:
        """A one-off code behind a campaign of ten thousand leaves within one round, whosever the campaign is."""
        for account in ("demo", "other"):
            lanes = FairQueue(20_000)
            for id in range(1, 10_001):
                lanes.push(message(id, account, text=b"Big sale today"))
            lanes.take(5)
            lanes.push(message(10_001, text=b"Code 1234"))
            self.assertIn(10_001, ids(lanes.take(2)))

    def test_within_one_round(self) -> None:
        """However many lanes there are, each gets its turn within one round of all of them."""
        lanes = FairQueue(20_000)
        for id in range(1, 1001):
            lanes.push(message(id, text=b"%012d" % (id % 100)))
        lanes.push(message(2000, text=b"Code 1234"))
        self.assertIn(2000, ids(lanes.take(101)))

    def test_accounts_share(self) -> None:
        """Two accounts get the same number of turns although one has a hundred lanes and the other one."""
        lanes = FairQueue(1000)
        for id in range(1, 301):
            lanes.push(message(id, "many", text=b"%012d" % id))
        for id in range(301, 401):
            lanes.push(message(id, "few"))
        self.assertEqual(Counter(one.account for one in lanes.take(100)), {"many": 50, "few": 50})

    def test_priority(self) -> None:
        """More urgent messages get more turns, and the least urgent still get theirs."""
        lanes = FairQueue(1000)
        for id in range(1, 101):
            lanes.push(message(id, priority=0))
            lanes.push(message(id + 100, priority=1))
            lanes.push(message(id + 200, priority=9))
        counts = Counter(one.priority for one in lanes.take(3 * (1 + 2 + MOST_TURNS)))
        self.assertEqual(counts, {0: 3, 1: 6, 9: 3 * MOST_TURNS})

    def test_long_message_waits_in_turn(self) -> None:
        """A message that does not fit keeps its turn and nothing overtakes it; a whole one may go out alone."""
        lanes = FairQueue(10)
        lanes.push(message(1, parts=3))
        lanes.push(message(2, "other"))
        self.assertEqual(lanes.take(2), [])
        self.assertEqual(ids(lanes.take(1, whole=True)), [1])
        self.assertEqual(ids(lanes.take(1)), [2])

    def test_unsent_parts(self) -> None:
        """Of a message that came back only the parts that are still to be sent need room."""
        back = message(1, parts=5, unsent=(2, 4))
        self.assertEqual(parts_of(back), 2)
        lanes = FairQueue(10)
        lanes.push(back)
        self.assertEqual(ids(lanes.take(2)), [1])

    def test_returning(self) -> None:
        """A message that comes back takes its old place in its lane."""
        lanes = FairQueue(10)
        for id in (3, 5, 7, 1, 4):
            lanes.push(message(id))
        self.assertEqual(drain(lanes), [1, 3, 4, 5, 7])


class BoundTests(SynchronousTestCase):
    """What happens when memory is full."""

    def test_displaces(self) -> None:
        """An arrival for a short lane displaces the newest message of the longest lane."""
        lanes = FairQueue(10)
        for id in range(1, 11):
            self.assertEqual(lanes.push(message(id)), [])
        self.assertEqual(ids(lanes.push(message(11, text=b"Code 1234"))), [10])
        self.assertEqual(ids(lanes.push(message(12, "other"))), [9])
        self.assertEqual(len(lanes), 10)

    def test_refuses(self) -> None:
        """An arrival for the longest lane has to wait in the store itself."""
        lanes = FairQueue(10)
        for id in range(1, 11):
            lanes.push(message(id))
        late = message(11)
        self.assertEqual(lanes.push(late), [late])

    def test_parts_count(self) -> None:
        """Memory is bounded in parts: a long message displaces as many as it needs room for."""
        lanes = FairQueue(10)
        for id in range(1, 11):
            lanes.push(message(id))
        self.assertEqual(ids(lanes.push(message(11, "other", parts=4))), [10, 9, 8, 7])
        self.assertEqual((len(lanes), lanes.size, lanes.count("other")), (7, 10, 4))
        self.assertEqual(ids(lanes.take(10)), [1, 11, 2, 3, 4, 5, 6])
        self.assertEqual(lanes.size, 0)

    def test_longer_than_memory(self) -> None:
        """A message with more parts than there is memory for has its turn too."""
        lanes = FairQueue(10)
        self.assertEqual(lanes.push(message(1, parts=11)), [])
        late = message(2)
        self.assertEqual(lanes.push(late), [late])
        self.assertEqual(ids(lanes.take(1, whole=True)), [1])
        self.assertEqual(lanes.push(late), [])

    def test_accounts_share_memory(self) -> None:
        """However much one account has, others get their share of the memory."""
        lanes = FairQueue(100)
        for id in range(1, 101):
            lanes.push(message(id, "first"))
        for account in range(3):
            for id in range(1000 * account + 1000, 1000 * account + 1100):
                lanes.push(message(id, f"a{account}"))
        self.assertEqual({name: lanes.count(name) for name in lanes.accounts()},
                         {"first": 25, "a0": 25, "a1": 25, "a2": 25})

    def test_remove(self) -> None:
        """Messages that are cancelled go, one or many, and empty lanes with them."""
        lanes = FairQueue(100)
        for id in range(1, 51):
            lanes.push(message(id))
        lanes.push(message(60, text=b"Code 1234"))
        lanes.remove([60, 3, 99])
        lanes.remove(range(10, 50))
        self.assertEqual(drain(lanes), [1, 2, 4, 5, 6, 7, 8, 9, 50])
        self.assertEqual(list(lanes.accounts()), [])


MESSAGES = st.lists(
    st.builds(
        lambda account, priority, text, parts: (account, priority, text, parts),
        st.sampled_from(["a", "b", "c"]),
        st.integers(0, 4),
        st.sampled_from([b"one", b"two", b"three"]),
        st.integers(1, 3),
    ),
    max_size=60,
)


class PropertyTests(SynchronousTestCase):
    """The promises of the fair queue for any messages."""

    @given(MESSAGES, st.lists(st.integers(0, 8), max_size=60), st.integers(1, 40))
    @settings(max_examples=200)
    def test_nothing_lost_or_doubled(
        self, arrivals: list[tuple[str, int, bytes, int]], rooms: list[int], capacity: int
    ) -> None:
        """Every message is taken once or left to the store once; memory is bounded; lanes keep their order; no more
        parts are taken than there is room for."""
        lanes = FairQueue(capacity)
        taken: list[Message] = []
        left: list[Message] = []
        steps = [*rooms, *[0] * len(arrivals)]
        for id, (account, priority, text, parts) in enumerate(arrivals, 1):
            left += lanes.push(message(id, account, priority=priority, text=text, parts=parts))
            self.assertLessEqual(lanes.size, capacity)
            self.assertLessEqual(len(lanes), lanes.size)
            room = steps[id - 1]
            some = lanes.take(room)
            self.assertLessEqual(sum(map(parts_of, some)), room)
            taken += some
        counts = {name: lanes.count(name) for name in lanes.accounts()}
        self.assertEqual(sum(counts.values()), lanes.size)
        self.assertTrue(all(counts.values()))
        while len(lanes):
            taken += lanes.take(3)
        self.assertEqual(sorted(ids(taken) + ids(left)), list(range(1, len(arrivals) + 1)))
        order: dict[object, int] = {}
        for one in taken:
            self.assertGreater(one.id, order.get(lane_of(one), 0))
            order[lane_of(one)] = one.id

    @given(MESSAGES, st.sets(st.integers(1, 60)))
    def test_remove(self, arrivals: list[tuple[str, int, bytes, int]], gone: set[int]) -> None:
        """What is removed does not come out, and everything else does."""
        lanes = FairQueue(60 * 3)
        for id, (account, priority, text, parts) in enumerate(arrivals, 1):
            lanes.push(message(id, account, priority=priority, text=text, parts=parts))
        lanes.remove(gone)
        self.assertEqual(sorted(drain(lanes, 3)), [id for id in range(1, len(arrivals) + 1) if id not in gone])

    @given(MESSAGES, st.integers(1, 60))
    def test_fair(self, arrivals: list[tuple[str, int, bytes, int]], place: int) -> None:
        """Between two turns of a lane no other lane of its account gets more than one full turn."""
        lanes = FairQueue(100)
        for id, (_, priority, text, _) in enumerate(arrivals, 1):
            lanes.push(message(id, "demo", priority=priority, text=text))
        lanes.push(message(1000, "demo", text=b"Code"))
        before: Counter[object] = Counter()
        for one in lanes.take(1000):
            if one.id == 1000:
                break
            before[lane_of(one)] += 1
        for key, count in before.items():
            self.assertLessEqual(count, min(1 << key[1], MOST_TURNS))  # type: ignore[index]
