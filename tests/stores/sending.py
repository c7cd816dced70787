"""Promises of stores about claims, outcomes and wishes, for messages of one part."""

from __future__ import annotations

from smsgw.model.changes import Cancel, Changes, PartEnded, Requeued
from smsgw.model.errors import Refusal, Refused
from smsgw.model.lifecycle import Notify, State
from tests.stores.case import ENROUTE, FINAL, StoreCase
from tests.stores.support import START, happened, new, outcomes, receipt, receipts, sent


class ClaimingTests(StoreCase):
    """Taking messages out of the queue."""

    async def test_only_once(self) -> None:
        """A queued message is claimed once; it leaves the queue and is claimed after a restart."""
        message = new(self.store, claimed=False)
        await self.accepted(message)
        committed = await self.commit(Changes(claims=[message, message]))
        self.assertEqual(committed.claims, [True, False])
        self.assertEqual((await self.commit(Changes(claims=[message]))).claims, [False])
        self.assertEqual(await self.queue(), [])
        self.assertTrue((await self.found(message.id)).claimed)
        self.assertEqual(await self.claimed(), [(message.id, 1)])

    async def test_not_what_is_not_queued(self) -> None:
        """Claimed, sent, final, cancelled and unknown messages cannot be claimed; others of the call can."""
        claimed = new(self.store)
        final = new(self.store, state=State.REFUSED, claimed=False)
        cancelled = new(self.store, claimed=False)
        queued = new(self.store, claimed=False)
        unknown = new(self.store, claimed=False)
        await self.accepted(claimed, final, cancelled, queued)
        enroute = await self.on_its_way("a")
        await self.commit(Changes(cancels=[Cancel("demo", cancelled.id)]))
        committed = await self.commit(Changes(claims=[claimed, final, queued, cancelled, unknown, enroute]))
        self.assertEqual(committed.claims, [False, False, True, False, False, False])
        self.assertEqual(
            await self.states(claimed, final, cancelled, queued, enroute),
            [State.QUEUED, State.REFUSED, State.CANCELLED, State.QUEUED, State.ENROUTE],
        )

    async def test_scheduled(self) -> None:
        """A scheduled message that is claimed is a queued one from then on."""
        message = new(self.store, claimed=False, state=State.SCHEDULED, due=START + 5)
        await self.accepted(message)
        self.assertEqual((await self.commit(Changes(claims=[message]))).claims, [True])
        self.assertEqual(await self.states(message), [State.QUEUED])
        self.assertEqual(await self.store.counts(), {State.QUEUED: 1})
        await self.commit(outcomes(sent(message, "a")))
        self.assertEqual(await self.store.counts(), {State.ENROUTE: 1})


class OutcomeTests(StoreCase):
    """What connectors answer, for messages of one part."""

    async def test_sent(self) -> None:
        """A message the upstream took is ENROUTE, with time and remote id, and no node has it claimed."""
        message = new(self.store)
        await self.accepted(message)
        self.clock.advance(3)
        committed = await self.commit(outcomes(sent(message, "a-1")))
        self.assertEqual(happened(committed), [(message.id, ENROUTE, State.ENROUTE, 0)])
        self.assertEqual(committed.events[0].at, START + 3)
        kept = await self.found(message.id)
        self.assertEqual(
            (kept.state, kept.claimed, kept.sent, kept.changed, kept.remote_id),
            (State.ENROUTE, False, START + 3, START + 3, "a-1"),
        )
        self.assertEqual(await self.claimed(), [])

    async def test_enroute_only_if_asked(self) -> None:
        """Only a sender that asked for it gets the event that its message is on its way."""
        message = new(self.store, notify=Notify.FINAL)
        await self.accepted(message)
        self.assertEqual(happened(await self.commit(outcomes(sent(message, "a")))), [])

    async def test_ended(self) -> None:
        """A message that ends without a receipt is final and has an event."""
        message = new(self.store)
        await self.accepted(message)
        self.clock.advance(2)
        committed = await self.commit(outcomes(PartEnded(message, 1, State.REJECTED, 255)))
        self.assertEqual(happened(committed), [(message.id, FINAL, State.REJECTED, 255)])
        kept = await self.found(message.id)
        self.assertEqual((kept.state, kept.error, kept.changed, kept.claimed), (State.REJECTED, 255, START + 2, False))
        self.assertEqual(await self.claimed(), [])

    async def test_ended_while_queued(self) -> None:
        """A queued message can end, too: it leaves the queue."""
        message = new(self.store, claimed=False)
        scheduled = new(self.store, claimed=False, state=State.SCHEDULED, due=START + 9)
        await self.accepted(message, scheduled)
        committed = await self.commit(
            outcomes(PartEnded(message, 0, State.EXPIRED, 0), PartEnded(scheduled, 0, State.EXPIRED, 0))
        )
        self.assertEqual(
            happened(committed), [(message.id, FINAL, State.EXPIRED, 0), (scheduled.id, FINAL, State.EXPIRED, 0)]
        )
        self.assertEqual(await self.queue(), [])
        self.assertEqual(await self.store.release_due(START + 10, 10), [])
        self.assertEqual((await self.commit(Changes(claims=[message]))).claims, [False])

    async def test_ended_while_awaited(self) -> None:
        """A message whose report never came can end; a report that comes after all changes nothing."""
        message = await self.on_its_way("a")
        committed = await self.commit(outcomes(PartEnded(message, 1, State.UNKNOWN, 245)))
        self.assertEqual(happened(committed), [(message.id, FINAL, State.UNKNOWN, 245)])
        committed = await self.commit(receipts(receipt("a")))
        self.assertEqual((committed.receipts, committed.events), (["repeated"], []))
        self.assertEqual(await self.states(message), [State.UNKNOWN])
        self.assertEqual(await self.store.awaited_receipts("sim", (0, 0), 10), [])

    async def test_final_stays(self) -> None:
        """Nothing replaces a final state, and no event comes twice."""
        message = await self.on_its_way("a")
        await self.commit(receipts(receipt("a", State.UNDELIVERABLE, 20)))
        committed = await self.commit(
            outcomes(
                PartEnded(message, 0, State.EXPIRED, 0),
                PartEnded(message, 1, State.EXPIRED, 0),
                Requeued(message, "sim", 0.0, True),
                sent(message, "b"),
            )
        )
        self.assertEqual(committed.events, [])
        committed = await self.commit(receipts(receipt("a"), receipt("b")))
        self.assertEqual((committed.receipts, committed.events), (["repeated", "repeated"], []))
        kept = await self.found(message.id)
        self.assertEqual((kept.state, kept.error, kept.attempts), (State.UNDELIVERABLE, 20, 0))
        self.assertEqual(await self.queue(), [])
        self.assertEqual(await self.claimed(), [])

    async def test_illegal_moves(self) -> None:
        """A change that the table of states does not know is not made."""
        message = new(self.store, claimed=False, state=State.SCHEDULED, due=START + 9)
        await self.accepted(message)
        committed = await self.commit(outcomes(PartEnded(message, 1, State.DELIVERED, 0)))
        self.assertEqual(committed.events, [])
        self.assertEqual(await self.states(message), [State.SCHEDULED])

    async def test_requeued(self) -> None:
        """A message that comes back waits for its connector, charged or not, and can be claimed again."""
        message = new(self.store)
        await self.accepted(message)
        await self.commit(outcomes(Requeued(message, "sim", 0.0, False)))
        self.assertEqual(await self.queue(), [message.id])
        self.assertEqual((await self.commit(Changes(claims=[message]))).claims, [True])
        await self.commit(outcomes(Requeued(message, "mts", 0.0, True)))
        self.assertEqual((await self.queue(), await self.queue("mts")), ([], [message.id]))
        kept = await self.found(message.id)
        self.assertEqual((kept.state, kept.connector, kept.attempts, kept.claimed), (State.QUEUED, "mts", 1, False))
        self.assertEqual(await self.claimed(), [])
        message.connector = "mts"
        self.assertEqual((await self.commit(Changes(claims=[message]))).claims, [True])
        await self.commit(outcomes(sent(message, "a")))
        committed = await self.commit(receipts(receipt("a", connector="mts")))
        self.assertEqual(happened(committed), [(message.id, FINAL, State.DELIVERED, 0)])

    async def test_requeued_for_later(self) -> None:
        """A message that comes back for later is not due before."""
        message = new(self.store)
        await self.accepted(message)
        await self.commit(outcomes(Requeued(message, "sim", START + 10, True)))
        self.assertEqual(await self.queue(), [])
        self.assertEqual(await self.store.queue_depth("sim"), {})
        self.clock.advance(10)
        self.assertEqual(await self.store.release_due(START + 10, 10), [("sim", "demo", message.id)])
        self.assertEqual(await self.queue(), [message.id])
        self.assertEqual(await self.store.queue_depth("sim"), {"demo": 1})

    async def test_requeued_twice(self) -> None:
        """A message that is queued already stays where it is."""
        message = new(self.store)
        await self.accepted(message)
        again = Requeued(message, "mts", 0.0, True)
        await self.commit(outcomes(Requeued(message, "sim", 0.0, True), again))
        self.assertEqual((await self.queue(), await self.queue("mts")), ([message.id], []))
        self.assertEqual((await self.found(message.id)).attempts, 1)

    async def test_sent_late(self) -> None:
        """A message whose acceptance becomes known while it waits to be sent again is not sent again."""
        message = new(self.store)
        await self.accepted(message)
        await self.commit(outcomes(Requeued(message, "sim", 0.0, True)))
        await self.commit(outcomes(sent(message, "a")))
        self.assertEqual(await self.queue(), [])
        self.assertEqual((await self.commit(Changes(claims=[message]))).claims, [False])
        self.assertEqual((await self.commit(receipts(receipt("a")))).receipts, ["matched"])

    async def test_unknown_message(self) -> None:
        """Outcomes of a message that is not stored (any more) change nothing."""
        message = new(self.store)
        committed = await self.commit(
            outcomes(sent(message, "a"), PartEnded(message, 0, State.EXPIRED, 0), Requeued(message, "sim", 0.0, True))
        )
        self.assertEqual(committed.events, [])
        self.assertEqual(await self.store.counts(), {})
        self.assertEqual(await self.queue(), [])


class CancelTests(StoreCase):
    """Wishes of senders."""

    async def test_cancel(self) -> None:
        """A waiting message is cancelled, has an event, and cannot be claimed."""
        queued = new(self.store, claimed=False)
        scheduled = new(self.store, claimed=False, state=State.SCHEDULED, due=START + 9, parts=2)
        await self.accepted(queued, scheduled)
        self.clock.advance(1)
        committed = await self.commit(Changes(cancels=[Cancel("demo", queued.id), Cancel(None, scheduled.id)]))
        cancelled = [entry[0] for entry in committed.cancels if not isinstance(entry, Refused)]
        self.assertEqual(
            [(m.id, m.state, m.changed) for m in cancelled],
            [(m.id, State.CANCELLED, START + 1) for m in (queued, scheduled)],
        )
        self.assertEqual(
            happened(committed), [(queued.id, FINAL, State.CANCELLED, 0), (scheduled.id, FINAL, State.CANCELLED, 0)]
        )
        self.assertEqual((await self.commit(Changes(claims=[queued, scheduled]))).claims, [False, False])
        self.assertEqual(await self.store.counts(), {State.CANCELLED: 2})
        self.assertEqual(await self.store.release_due(START + 10, 10), [])

    async def test_too_late(self) -> None:
        """Claimed, sent and ended messages can no longer be cancelled."""
        claimed, ended = new(self.store), new(self.store, state=State.REFUSED, claimed=False)
        await self.accepted(claimed, ended)
        enroute = await self.on_its_way("a")
        committed = await self.commit(Changes(cancels=[Cancel("demo", m.id) for m in (claimed, ended, enroute)]))
        self.assertEqual(committed.cancels, [Refused(Refusal.ALREADY_FINAL)] * 3)
        self.assertEqual(await self.states(claimed, ended, enroute), [State.QUEUED, State.REFUSED, State.ENROUTE])

    async def test_not_yours(self) -> None:
        """A message of another account is as unknown as one that never was."""
        message = new(self.store, claimed=False)
        await self.accepted(message)
        committed = await self.commit(Changes(cancels=[Cancel("other", message.id), Cancel("demo", message.id + 5)]))
        self.assertEqual(committed.cancels, [Refused(Refusal.UNKNOWN_ID)] * 2)
        self.assertEqual(await self.states(message), [State.QUEUED])

    async def test_batch(self) -> None:
        """Of a batch everything that still waits is cancelled; nothing of other accounts."""
        batch = self.store.next_id()
        first = new(self.store, claimed=False, batch=batch)
        second = new(self.store, batch=batch)
        third = new(self.store, claimed=False, batch=batch)
        foreign = new(self.store, claimed=False, batch=batch, account="other")
        await self.accepted(first, second, third, foreign)
        (cancelled,) = (await self.commit(Changes(cancels=[Cancel("demo", batch)]))).cancels
        assert not isinstance(cancelled, Refused)
        self.assertEqual([m.id for m in cancelled], [first.id, third.id])
        self.assertEqual(await self.states(second, foreign), [State.QUEUED, State.QUEUED])
        (again,) = (await self.commit(Changes(cancels=[Cancel("demo", batch)]))).cancels
        self.assertEqual(again, Refused(Refusal.ALREADY_FINAL))
