"""Promises of stores about conditions of new messages: keys used once, and limits."""

from __future__ import annotations

from typing import Any

import attrs

from smsgw.interfaces import MessageFilter
from smsgw.model.changes import Cancel, Changes, Conditional, Limit, Once, Unmet
from smsgw.model.lifecycle import State
from smsgw.model.message import Message
from tests.stores.case import FINAL, StoreCase
from tests.stores.support import FAR, START, happened, new


def once(message: Message, key: str = "k", digest: bytes = b"d", until: float = START + 100) -> Once:
    """The account of `message` uses a key for it."""
    return Once(message.account, key, until, digest, message.id)


def limit(add: int, at_most: int, period: float = 0.0, key: str = "daily") -> Limit:
    """So many more, of so many."""
    return Limit("demo", key, period, add, at_most)


def given(message: Message, *conditions: Once | Limit) -> Changes:
    """A call with one new message under conditions."""
    return Changes(accepts=[message], conditions=[Conditional([message], conditions)])


@attrs.frozen
class Behind:
    """A clock whose time may be ahead."""

    clock: Any
    seconds: float

    def start(self, last_seen: float) -> None:
        """Find nothing."""

    def sign_of_life(self) -> float:
        """The earliest time."""
        return self.earliest()

    def earliest(self) -> float:
        """The time without what it may be ahead."""
        return float(self.clock.seconds()) - self.seconds


class ConditionTests(StoreCase):
    """Conditions are decided inside the commit."""

    async def unmet(self, changes: Changes) -> Unmet | None:
        """What one call with one submission under conditions came to."""
        (unmet,) = (await self.commit(changes)).conditions
        return unmet

    async def test_used_once(self) -> None:
        """A key that was used before brings what it was used for, and its messages are not stored."""
        first, again, foreign = new(self.store), new(self.store), new(self.store, account="other")
        self.assertIsNone(await self.unmet(given(first, once(first))))
        await self.reopen()
        unmet = await self.unmet(given(again, once(again, digest=b"other")))
        assert unmet is not None
        self.assertEqual((unmet.id, unmet.digest, unmet.condition), (first.id, b"d", once(again, digest=b"other")))
        self.assertIsNone(await self.unmet(given(foreign, once(foreign))))
        found = await self.store.find(None, [first.id, again.id])
        self.assertEqual([[m.id for m in some] for some in found], [[first.id], []])

    async def test_used_twice_at_once(self) -> None:
        """Of two uses in one call, or in calls that share a commit, the first counts."""
        one, two, three, other = (new(self.store) for _ in range(4))
        call = Changes(accepts=[one, other, two], conditions=[Conditional([m], [once(m)]) for m in (one, two)])
        both = [self.store.commit(call), self.store.commit(given(three, once(three)))]
        (first, second), (third,) = [(await deferred).conditions for deferred in both]
        assert second is not None and third is not None
        self.assertEqual((first, second.id, third.id), (None, one.id, one.id))
        self.assertEqual(
            [m.id for m in await self.store.list_messages(None, MessageFilter(), 0, 9)], [other.id, one.id]
        )
        self.assertEqual(await self.store.counts(), {State.QUEUED: 2})

    async def test_old_keys(self) -> None:
        """A use counts up to its time."""
        first, again, last = new(self.store), new(self.store), new(self.store)
        self.assertIsNone(await self.unmet(given(first, once(first, until=START + 100))))
        self.clock.advance(99)
        self.assertIsNotNone(await self.unmet(given(again, once(again))))
        self.clock.advance(1)
        self.assertIsNone(await self.unmet(given(last, once(last, until=FAR))))
        self.assertEqual(len(await self.store.list_messages(None, MessageFilter(), 0, 9)), 2)

    async def test_f2_keys_in_a_jump(self) -> None:
        """While the clock may be ahead, a use counts up to its time by the earliest time that it may be."""
        first, again = new(self.store), new(self.store)
        self.assertIsNone(await self.unmet(given(first, once(first, until=START + 100))))
        self.store._clock = Behind(self.clock, 1_000.0)  # type: ignore[attr-defined]
        self.clock.advance(1_050)
        self.assertIsNotNone(await self.unmet(given(again, once(again, until=FAR))))
        self.clock.advance(50)
        self.assertIsNone(await self.unmet(given(again, once(again, until=FAR))))

    async def test_limit(self) -> None:
        """What is added within a period stays within the limit, in one call and over restarts."""
        messages = [new(self.store) for _ in range(4)]
        adds = (2, 2, 1, 1)
        call = Changes(
            accepts=messages,
            conditions=[Conditional([m], [limit(add, 3, 60.0)]) for m, add in zip(messages, adds, strict=True)],
        )
        met = [unmet is None for unmet in (await self.commit(call)).conditions]
        self.assertEqual(met, [True, False, True, False])
        await self.reopen()
        more = new(self.store)
        self.assertIsNotNone(await self.unmet(given(more, limit(1, 3, 60.0))))
        self.assertIsNone(await self.unmet(given(more, limit(1, 3, 60.0, key="other"))))
        self.clock.advance(60)
        after = new(self.store)
        self.assertIsNone(await self.unmet(given(after, limit(3, 3, 60.0))))
        self.assertEqual(await self.store.counts(), {State.QUEUED: 4})

    async def test_limit_for_ever(self) -> None:
        """A limit without a period never begins anew, and what is given back may be used again."""
        messages = [new(self.store) for _ in range(4)]
        self.assertIsNone(await self.unmet(given(messages[0], limit(5, 5))))
        self.clock.advance(1e8)
        self.assertIsNotNone(await self.unmet(given(messages[1], limit(1, 5))))
        self.assertIsNone(await self.unmet(given(messages[2], limit(-2, 5))))
        self.assertIsNone(await self.unmet(given(messages[3], limit(2, 5))))

    async def test_all_or_nothing(self) -> None:
        """Conditions of a submission are looked at in order, and used all or none; a repeated key charges nothing."""
        first, repeated, dear, cheap = (new(self.store) for _ in range(4))
        self.assertIsNone(await self.unmet(given(first, once(first), limit(2, 5))))
        unmet = await self.unmet(given(repeated, once(repeated), limit(3, 5)))
        assert unmet is not None
        self.assertEqual(unmet.id, first.id)
        unmet = await self.unmet(given(dear, limit(1, 9, key="calls"), once(dear, "dear"), limit(4, 5)))
        assert unmet is not None
        self.assertEqual(unmet.condition, limit(4, 5))
        self.assertIsNone(await self.unmet(given(cheap, limit(9, 9, key="calls"), once(cheap, "dear"), limit(3, 5))))
        self.assertEqual(await self.store.counts(), {State.QUEUED: 2})

    async def test_stored_in_a_final_state(self) -> None:
        """Messages beyond a limit may be stored as ended, with an event; their key is used, no limit is charged."""
        message, again, other = new(self.store), new(self.store), new(self.store)
        poor = Limit("demo", "money", 0.0, 7, 5, (State.NO_MONEY, 24))
        committed = await self.commit(given(message, once(message), poor))
        self.assertEqual(committed.conditions, [Unmet(poor)])
        self.assertEqual(happened(committed), [(message.id, FINAL, State.NO_MONEY, 24)])
        kept = await self.found(message.id)
        self.assertEqual((kept.state, kept.error, kept.claimed), (State.NO_MONEY, 24, False))
        unmet = await self.unmet(given(again, once(again), poor))
        assert unmet is not None
        self.assertEqual(unmet.id, message.id)
        self.assertIsNone(await self.unmet(given(other, limit(5, 5, key="money"))))
        self.assertEqual(await self.queue(), [])
        self.assertEqual(await self.claimed(), [(other.id, 1)])

    async def test_several_messages(self) -> None:
        """All messages of a submission share the fate of its conditions; those of others do not."""
        batch = self.store.next_id()
        several = [new(self.store, batch=batch, claimed=False) for _ in range(3)]
        alone = new(self.store, claimed=False)
        call = Changes(
            accepts=[*several, alone],
            conditions=[Conditional(several, [limit(3, 2)]), Conditional([alone], [limit(1, 2)])],
        )
        first, second = (await self.commit(call)).conditions
        self.assertIsNotNone(first)
        self.assertIsNone(second)
        self.assertEqual(await self.queue(), [alone.id])

    async def test_with_other_changes(self) -> None:
        """A message whose condition does not hold is not there for what follows in the same call."""
        first, again = new(self.store, claimed=False), new(self.store, claimed=False)
        await self.commit(given(first, once(first)))
        call = given(again, once(again))
        call.claims = [again]
        call.cancels = [Cancel(None, first.id)]
        committed = await self.commit(call)
        self.assertEqual((committed.claims, len(committed.events)), ([False], 1))
        self.assertEqual(await self.store.counts(), {State.CANCELLED: 1})
