"""Promises of stores about the messages that a commit ends."""

from __future__ import annotations

from smsgw.model.changes import Cancel, Changes, Committed, Conditional, Once, PartEnded
from smsgw.model.lifecycle import State
from tests.stores.case import StoreCase
from tests.stores.support import START, new, outcomes, receipt, receipts, sent

DELIVERED, UNDELIVERABLE, REJECTED = State.DELIVERED, State.UNDELIVERABLE, State.REJECTED


class EndingTests(StoreCase):
    """What results tell of ends: counted always, listed if the store was made to list them."""

    async def test_u8_receipts(self) -> None:
        """Messages that receipts end are counted by account, connector and state, however they are mixed."""
        for number, account, connector in (
            (0, "demo", "sim"), (1, "demo", "sim"), (2, "shop", "sim"), (3, "demo", "mts"), (4, "demo", "sim"),
        ):  # fmt: skip
            await self.on_its_way(str(number), account=account, connector=connector, path="")
        several = new(self.store, parts=2)
        await self.accepted(several)
        await self.commit(outcomes(sent(several, "x", 1), sent(several, "y", 2)))
        committed = await self.commit(receipts(
            receipt("0"), receipt("2"), receipt("x"), receipt("1", UNDELIVERABLE), receipt("3", connector="mts"),
            receipt("4"), receipt("0"), receipt("unknown"),
        ))
        self.assertEqual(
            committed.ended,
            {("demo", "sim", DELIVERED): 2, ("shop", "sim", DELIVERED): 1, ("demo", "sim", UNDELIVERABLE): 1,
             ("demo", "mts", DELIVERED): 1},
        )
        committed = await self.commit(receipts(receipt("y", UNDELIVERABLE)))
        self.assertEqual(committed.ended, {("demo", "sim", UNDELIVERABLE): 1})

    async def test_u8_calls(self) -> None:
        """Each call counts its own messages, also in one commit with others."""
        for number in range(5):
            await self.on_its_way(str(number))
        calls = [receipts(receipt("0"), receipt("1")), receipts(), receipts(receipt("2")), receipts(receipt("3"))]
        committing = [self.store.commit(call) for call in calls]
        results: list[Committed] = [await done for done in committing]
        self.assertEqual([sum(one.ended.values()) for one in results], [2, 0, 1, 1])

    async def test_u8_other_ends(self) -> None:
        """So are refused, cancelled, rejected and expired messages, and those whose receipt came early."""
        refused = new(self.store, claimed=False, state=State.REFUSED, connector="")
        waiting, rejected, early = new(self.store, claimed=False), new(self.store), new(self.store)
        committed = await self.commit(Changes(accepts=[refused, waiting, rejected, early]))
        self.assertEqual(committed.ended, {("demo", "", State.REFUSED): 1})
        committed = await self.commit(Changes(cancels=[Cancel("demo", waiting.id)]))
        self.assertEqual(committed.ended, {("demo", "sim", State.CANCELLED): 1})
        committed = await self.commit(outcomes(PartEnded(rejected, 1, REJECTED, 1)))
        self.assertEqual(committed.ended, {("demo", "sim", REJECTED): 1})
        await self.commit(receipts(receipt("e")))
        committed = await self.commit(outcomes(sent(early, "e")))
        self.assertEqual(committed.ended, {("demo", "sim", DELIVERED): 1})

    async def test_u8_refused_by_condition(self) -> None:
        """A message that a condition ends is counted; one that it keeps out is not."""
        first, second, third = [new(self.store) for _ in range(3)]
        await self.commit(Changes(accepts=[first], conditions=[Conditional([first], [Once("s", "k", START + 9)])]))
        once = Once("s", "k", START + 9, otherwise=(State.REFUSED, 253))
        committed = await self.commit(Changes(
            accepts=[second, third],
            conditions=[Conditional([second], [once]), Conditional([third], [Once("s", "k", START + 9)])],
        ))
        self.assertEqual(committed.ended, {("demo", "sim", State.REFUSED): 1})
        self.assertEqual(committed.endings, [])
