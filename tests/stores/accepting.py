"""Promises of stores about new messages, and about several calls at once."""

from __future__ import annotations

from twisted.internet.defer import gatherResults
from zope.interface.verify import verifyObject

from smsgw.interfaces import IMessageStore
from smsgw.model.changes import Cancel, Changes, Committed, Requeued
from smsgw.model.content import Content
from smsgw.model.errors import Refusal, Refused, StoreDown
from smsgw.model.lifecycle import Notify, State
from tests.stores.case import FINAL, StoreCase, fields
from tests.stores.support import FAR, START, happened, new, outcomes, receipt, receipts


class AcceptingTests(StoreCase):
    """New messages."""

    def test_interface(self) -> None:
        """The store provides the whole interface."""
        verifyObject(IMessageStore, self.store)

    async def test_kept_as_given(self) -> None:
        """A message is found as it was handed in, after a restart too."""
        messages = [
            new(self.store),
            new(self.store, account="other", path="http", connector="mts", claimed=False, priority=3, notify=0),
            new(
                self.store,
                parts=5,
                text="длинный",
                expires=START + 0.5,
                due=START + 7.25,
                state=State.SCHEDULED,
                claimed=False,
            ),
            new(self.store, state=State.REFUSED, claimed=False, error=255, batch=self.store.next_id()),
        ]
        messages[1].content = Content(
            "+7916", 1, 1, 0, 9, 245, 0x40, bytes(range(256)), 64, "CMT", b"\x01" * 300, None, "8 916"
        )
        await self.accepted(*messages)
        for _ in range(2):
            for message in messages:
                kept = await self.found(message.id)
                self.assertEqual(fields(kept), fields(message))
                self.assertEqual(
                    (kept.state, kept.claimed, kept.attempts, kept.changed, kept.sent, kept.remote_id, kept.unsent),
                    (message.state, message.claimed, 0, message.changed, 0.0, "", ()),
                )
            await self.reopen()

    async def test_claimed_is_not_queued(self) -> None:
        """A message accepted claimed is in no queue."""
        await self.accepted(new(self.store))
        self.assertEqual(await self.queue(), [])
        self.assertEqual(await self.store.queue_depth("sim"), {})

    async def test_unclaimed_is_queued(self) -> None:
        """A message accepted unclaimed waits for its connector, in the account's order of priority and age."""
        low, high, other = (
            new(self.store, claimed=False),
            new(self.store, claimed=False, priority=2),
            new(self.store, claimed=False, account="other"),
        )
        await self.accepted(low, high, other)
        self.assertEqual(await self.queue(), [high.id, low.id])
        self.assertEqual(await self.queue(account="other"), [other.id])
        self.assertEqual(await self.queue(connector="mts"), [])
        self.assertEqual(await self.store.queue_depth("sim"), {"demo": 2, "other": 1})
        self.assertEqual(await self.store.queue_depth("mts"), {})
        self.assertEqual(await self.store.queued_connectors(), ["sim"])
        await self.accepted(new(self.store, claimed=False, connector="mts"), new(self.store, connector="idle"))
        self.assertEqual(await self.store.queued_connectors(), ["mts", "sim"])

    async def test_queue_in_pages(self) -> None:
        """The queue is read in pages by (-priority, id)."""
        messages = [new(self.store, claimed=False, priority=number % 3) for number in range(9)]
        await self.accepted(*messages)
        expected = [m.id for m in sorted(messages, key=lambda m: (-m.priority, m.id))]
        seen: list[int] = []
        after = (-1000, 0)
        while page := await self.store.queue_page("sim", "demo", after, 2):
            self.assertLessEqual(len(page), 2)
            seen += [m.id for m in page]
            after = (-page[-1].priority, page[-1].id)
        self.assertEqual(seen, expected)

    async def test_final_at_once_is_reported(self) -> None:
        """A message accepted in a final state has an event if its sender asked for failures over a return path."""
        reported = new(self.store, state=State.NO_MONEY, claimed=False, error=24, notify=Notify.FAILED)
        other_states = new(self.store, state=State.REFUSED, claimed=False, notify=Notify.DELIVERED | Notify.ENROUTE)
        no_path = new(self.store, state=State.REFUSED, claimed=False, path="")
        committed = await self.commit(Changes(accepts=[reported, other_states, no_path]))
        self.assertEqual(happened(committed), [(reported.id, FINAL, State.NO_MONEY, 24)])
        self.assertEqual(committed.events[0].at, START)
        self.assertEqual(await self.owed(), [(reported.id, FINAL, State.NO_MONEY, 24)])
        self.assertEqual(await self.queue(), [])

    async def test_ids_dense(self) -> None:
        """Ids count from 1 without gaps, but at restarts; those stored are not given again."""
        self.assertEqual([self.store.next_id() for _ in range(3)], [1, 2, 3])
        await self.reopen()
        first, second = new(self.store), new(self.store)
        self.assertEqual(second.id, first.id + 1)
        await self.accepted(first, second)
        await self.reopen()
        self.assertGreater(self.store.next_id(), second.id)

    async def test_ids_of_batches(self) -> None:
        """The id of a stored batch is not given again, even if it is the highest."""
        message = new(self.store)
        message.batch = self.store.next_id()
        await self.accepted(message)
        await self.reopen()
        self.assertGreater(self.store.next_id(), message.batch)

    async def test_ids_survive_purge(self) -> None:
        """Ids of deleted messages and batches are not given again."""
        first = new(self.store, state=State.REFUSED, claimed=False, path="", batch=self.store.next_id())
        await self.accepted(first)
        self.assertEqual(await self.store.purge(FAR, FAR, 10), (1, 0))
        await self.reopen()
        self.assertGreater(self.store.next_id(), first.batch)

    async def test_nothing_before_open_or_after_close(self) -> None:
        """A closed store answers StoreDown, it does not hang."""
        store = self.store
        await store.close()
        self.assertRaises(StoreDown, store.next_id)
        for call in (store.commit(Changes()), store.find(None, [1]), store.recover_claims(0, 1)):
            with self.assertRaises(StoreDown):
                await call
        await self.reopen()

    async def test_close_finishes(self) -> None:
        """What was called before close is carried out."""
        message = new(self.store)
        committed = self.store.commit(Changes(accepts=[message]))
        closed = self.store.close()
        await committed
        await closed
        await self.reopen()
        self.assertEqual(await self.states(message), [State.QUEUED])


class GroupTests(StoreCase):
    """Several calls at once."""

    async def test_order_of_calls(self) -> None:
        """Calls given together are answered in their order, each with its own results."""
        messages = [new(self.store, state=State.REFUSED, claimed=False) for _ in range(20)]
        order: list[int] = []

        def answered(committed: Committed, number: int) -> Committed:
            order.append(number)
            return committed

        calls = [
            self.store.commit(Changes(accepts=[message])).addCallback(answered, number)
            for number, message in enumerate(messages)
        ]
        results = await gatherResults(calls)
        self.assertEqual(order, list(range(20)))
        self.assertEqual([happened(result)[0][0] for result in results], [m.id for m in messages])

    async def test_read_sees_earlier_calls(self) -> None:
        """A look-up sees every change whose call came before it."""
        message = new(self.store)
        committing = self.store.commit(Changes(accepts=[message]))
        found = self.store.find(None, [message.id])
        self.assertEqual([[m.id for m in some] for some in await found], [[message.id]])
        await committing

    async def test_bad_data_fails_alone(self) -> None:
        """A call whose data cannot be stored fails with StoreDown; calls beside it do not notice."""
        good = [new(self.store) for _ in range(3)]
        twice = new(self.store)
        twice.id = good[0].id
        unwritable = new(self.store)
        unwritable.recipient = "\ud800"
        too_big = new(self.store)
        too_big.error = 2**70
        calls = [
            self.store.commit(Changes(accepts=messages))
            for messages in ([good[0]], [twice], [good[1]], [new(self.store), unwritable], [too_big], [good[2]])
        ]
        failed = []
        for number, call in enumerate(calls):
            try:
                await call
            except StoreDown as why:
                self.assertIsNotNone(why.__cause__)
                failed.append(number)
        self.assertEqual(failed, [1, 3, 4])
        self.assertEqual(await self.states(*good), [State.QUEUED] * 3)
        self.assertEqual(await self.store.counts(), {State.QUEUED: 3})
        self.assertEqual(await self.claimed(), [(m.id, 1) for m in good])
        self.flush_logged()

    def flush_logged(self) -> None:
        """What could not be stored was logged."""
        self.assertEqual(len(self.flushLoggedErrors()), 3)

    async def test_calls_are_atomic(self) -> None:
        """When one change of a call fails, none of it is kept, and the store goes on from what was before."""
        message = await self.on_its_way("a")
        twin = new(self.store)
        twin.id = message.id
        with self.assertRaises(StoreDown):
            await self.commit(Changes(accepts=[twin], receipts=[receipt("a")]))
        self.assertEqual(await self.states(message), [State.ENROUTE])
        committed = await self.commit(receipts(receipt("a")))
        self.assertEqual(committed.receipts, ["matched"])
        self.flushLoggedErrors()

    async def test_as_if_one_by_one(self) -> None:
        """Calls that share a commit have the effect they would have one after the other."""
        message = new(self.store, claimed=False)
        await self.accepted(message)
        first, cancelled, second, requeued, third = await gatherResults(
            [
                self.store.commit(Changes(claims=[message])),
                self.store.commit(Changes(cancels=[Cancel("demo", message.id)])),
                self.store.commit(Changes(claims=[message])),
                self.store.commit(outcomes(Requeued(message, "sim", 0.0, True))),
                self.store.commit(Changes(claims=[message])),
            ]
        )
        self.assertEqual((first.claims, second.claims, third.claims), ([True], [False], [True]))
        self.assertEqual(cancelled.cancels, [Refused(Refusal.ALREADY_FINAL)])
        self.assertEqual(requeued.events, [])

    async def test_empty_call(self) -> None:
        """A call without changes succeeds."""
        committed = await self.commit(Changes())
        self.assertEqual((committed.claims, committed.receipts, committed.cancels, committed.events), ([], [], [], []))
