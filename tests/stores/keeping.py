"""Promises of stores about restarts, deadlines and retention."""

from __future__ import annotations

from smsgw.interfaces import MessageFilter
from smsgw.model.changes import Changes, PartEnded, Requeued
from smsgw.model.lifecycle import State
from smsgw.model.message import Incoming, IncomingKind, Message
from tests.stores.case import FINAL, StoreCase
from tests.stores.support import FAR, START, happened, new, outcomes, receipt, receipts, sent


class UpkeepTests(StoreCase):
    """Restarts, deadlines, retention."""

    async def test_recover_claims(self) -> None:
        """After a restart claimed messages are handed out whole and in pages, each charged an attempt."""
        messages = [new(self.store, parts=parts) for parts in (1, 3, 1, 2)]
        await self.accepted(*messages, new(self.store, claimed=False))
        await self.on_its_way("a")
        await self.reopen()
        handed: list[tuple[int, int]] = []
        after = 0
        while page := await self.store.recover_claims(after, 2):
            handed += [(part.message.id, part.seq) for part in page]
            self.assertEqual({part.message.attempts for part in page}, {1})
            after = page[-1].message.id
        self.assertEqual(handed, [(m.id, seq) for m in messages for seq in range(1, m.parts + 1)])
        await self.reopen()
        self.assertEqual({part.message.attempts for part in await self.store.recover_claims(0, 100)}, {2})

    async def test_recovered_goes_on(self) -> None:
        """What was handed out after a restart is sent, requeued or ended like anything claimed."""
        messages = [new(self.store), new(self.store), new(self.store, parts=2)]
        await self.accepted(*messages)
        await self.reopen()
        first, second, *third = await self.store.recover_claims(0, 100)
        await self.commit(
            outcomes(
                sent(first.message, "a"),
                Requeued(second.message, "sim", 0.0, False),
                sent(third[0].message, "b", 1),
                PartEnded(third[0].message, 2, State.FAILED, 1),
            )
        )
        committed = await self.commit(receipts(receipt("a"), receipt("b")))
        self.assertEqual(committed.receipts, ["matched", "matched"])
        self.assertEqual(await self.states(*messages), [State.DELIVERED, State.QUEUED, State.FAILED])
        self.assertEqual((await self.found(second.message.id)).attempts, 1)
        self.assertEqual(await self.claimed(), [])

    async def test_recover_claims_of_old(self) -> None:
        """A message claimed long after its acceptance is handed out, too."""
        old = new(self.store, claimed=False)
        await self.accepted(old)
        for _ in range(30):
            await self.on_its_way(str(self.store.next_id()))
        await self.commit(Changes(claims=[old]))
        self.assertEqual(await self.claimed(), [(old.id, 1)])

    async def test_awaited_receipts(self) -> None:
        """Receipts owed by a connector are listed by message and part, in pages."""
        first = await self.on_its_way("z")
        second = new(self.store, parts=2)
        await self.accepted(second)
        await self.commit(outcomes(sent(second, "y", 2, START + 5), sent(second, "x", 1)))
        await self.on_its_way("w", connector="mts")
        last = await self.on_its_way("a")
        await self.on_its_way("b")
        await self.commit(receipts(receipt("b")))
        seen = []
        after = (0, 0)
        while page := await self.store.awaited_receipts("sim", after, 2):
            seen += [(a.remote_id, a.message.id, a.seq, a.due) for a in page]
            after = seen[-1][1:3]
        self.assertEqual(
            seen,
            [("z", first.id, 1, FAR), ("x", second.id, 1, FAR), ("y", second.id, 2, START + 5), ("a", last.id, 1, FAR)],
        )

    async def test_due(self) -> None:
        """What comes due is reported once, in order, and scheduled messages are queued from then on."""
        later = new(self.store, claimed=False, state=State.SCHEDULED, due=START + 20, account="other")
        soon = new(self.store, claimed=False, state=State.SCHEDULED, due=START + 10)
        at_once = new(self.store, claimed=False)
        again = new(self.store)
        await self.accepted(later, soon, at_once, again)
        await self.commit(outcomes(Requeued(again, "mts", START + 10, True)))
        self.assertEqual(await self.store.release_due(START + 9, 10), [])
        found = await self.store.release_due(START + 10, 10)
        self.assertEqual(sorted(found), [("mts", "demo", again.id), ("sim", "demo", soon.id)])
        self.assertEqual(await self.states(soon, later), [State.QUEUED, State.SCHEDULED])
        self.assertEqual(await self.store.release_due(START + 19, 10), [])
        self.assertEqual(await self.store.release_due(START + 20, 10), [("sim", "other", later.id)])
        self.assertEqual(await self.store.release_due(START + 99, 10), [])
        self.assertEqual(await self.store.counts(), {State.QUEUED: 4})

    async def test_f2_release_retries(self) -> None:
        """However late they are due, messages that are to be tried again are released, in pages; those that are
        scheduled, or held until their validity ends, stay."""
        again = [new(self.store, expires=FAR) for _ in range(3)]
        held = new(self.store, expires=FAR)
        scheduled = new(self.store, claimed=False, state=State.SCHEDULED, due=START + 10, expires=FAR)
        await self.accepted(*again, held, scheduled)
        await self.commit(outcomes(*(Requeued(m, "sim", START + 9e4, True) for m in again)))
        await self.commit(outcomes(Requeued(held, "sim", FAR, False)))
        seen = []
        while page := await self.store.release_retries(2):
            seen += [id for _, _, id in page]
        self.assertEqual(seen, [m.id for m in again])
        self.assertEqual(await self.store.release_due(START + 10, 10), [("sim", "demo", scheduled.id)])
        self.assertEqual(await self.store.release_due(FAR, 10), [("sim", "demo", held.id)])

    async def test_due_in_pages(self) -> None:
        """More than fits one page is reported by the next calls, even at the same time."""
        messages = [new(self.store, claimed=False, state=State.SCHEDULED, due=START + 1) for _ in range(5)]
        await self.accepted(*messages)
        seen = []
        while page := await self.store.release_due(START + 1, 2):
            seen += [id for _, _, id in page]
        self.assertEqual(seen, [m.id for m in messages])

    async def test_due_while_down(self) -> None:
        """What came due while the program was down is found after the start."""
        message = new(self.store, claimed=False, state=State.SCHEDULED, due=START + 1)
        await self.accepted(message)
        await self.store.release_due(START + 0.5, 10)
        await self.reopen()
        self.assertEqual(await self.store.release_due(START + 100, 10), [("sim", "demo", message.id)])

    async def test_due_already_passed(self) -> None:
        """A message queued for a time that was already looked at is reported by the next call."""
        message = new(self.store)
        await self.accepted(message)
        self.assertEqual(await self.store.release_due(START + 50, 10), [])
        await self.commit(outcomes(Requeued(message, "sim", START + 40, True)))
        self.assertEqual(await self.store.release_due(START + 51, 10), [("sim", "demo", message.id)])
        self.assertEqual(await self.store.release_due(START + 52, 10), [])

    async def sweep(self, now: float, limit: int, calls: int) -> list[tuple[int, int]]:
        """What so many calls of overdue find."""
        found: list[tuple[Message, int]] = []
        for _ in range(calls):
            found += await self.store.scan_overdue(now, limit)
        return [(message.id, seq) for message, seq in found]

    async def test_overdue_in_queue(self) -> None:
        """Queued messages whose validity ended are found by a few calls, again and again until they end."""
        old = [new(self.store, claimed=False, expires=START + 10) for _ in range(4)]
        valid = new(self.store, claimed=False, expires=START + 20)
        eternal = new(self.store, claimed=False)
        scheduled = new(self.store, claimed=False, expires=START + 10, state=State.SCHEDULED, due=START + 90)
        await self.accepted(*old, valid, eternal, scheduled)
        self.assertEqual(await self.sweep(START + 9, 3, 4), [])
        found = await self.sweep(START + 10, 3, 3)
        self.assertEqual(sorted(set(found)), [(m.id, 0) for m in (*old, scheduled)])
        await self.commit(outcomes(*(PartEnded(m, 0, State.EXPIRED, 0) for m in (*old, scheduled))))
        self.assertEqual(await self.sweep(START + 10, 3, 4), [])

    async def test_overdue_in_part(self) -> None:
        """Of a message found too late in the queue it is known which parts were never sent."""
        message = new(self.store, parts=3, expires=START + 5)
        await self.accepted(message)
        await self.commit(outcomes(sent(message, "a", 2), Requeued(message, "sim", 0.0, False)))
        ((found, seq),) = await self.store.scan_overdue(START + 6, 10)
        self.assertEqual((found.id, seq, found.unsent), (message.id, 0, (1, 3)))

    async def test_overdue_receipts(self) -> None:
        """Parts whose receipt is overdue are found by a few calls, again and again until they end."""
        late = [await self.on_its_way(str(number)) for number in range(4)]
        for message in late:
            await self.commit(outcomes(sent(message, f"again {message.id}", 1, START + 10)))
        parts = new(self.store, parts=2)
        await self.accepted(parts)
        await self.commit(outcomes(sent(parts, "x", 1, START + 10), sent(parts, "y", 2, START + 99)))
        self.assertEqual(await self.sweep(START + 9, 4, 5), [])
        found = await self.sweep(START + 10, 4, 3)
        self.assertEqual(sorted(set(found)), [(m.id, 1) for m in (*late, parts)])
        ends = [PartEnded(m, 1, State.UNKNOWN, 245) for m in (*late, parts)]
        committed = await self.commit(outcomes(*ends))
        self.assertEqual(happened(committed), [(m.id, FINAL, State.UNKNOWN, 245) for m in late])
        self.assertEqual(await self.sweep(START + 10, 4, 5), [])
        self.assertEqual(set(await self.sweep(FAR, 4, 5)), {(parts.id, 2)})

    async def test_overdue_forgets_what_ended(self) -> None:
        """An id that was waited for in vain, of a message that ended by another, is not waited for for ever."""
        message = await self.on_its_way("a")
        await self.commit(outcomes(sent(message, "b", 1, START + 10)))
        await self.reopen()
        await self.commit(receipts(receipt("b")))
        self.assertEqual(await self.sweep(FAR, 10, 2), [])
        self.assertEqual(await self.store.purge(FAR, FAR, 10), (1, 2))
        self.assertEqual(await self.sweep(FAR, 10, 2), [])

    async def test_purge(self) -> None:
        """Final messages last changed before a time are deleted in small batches; what is open, young or owed stays."""
        batch = self.store.next_id()
        old = [new(self.store, state=State.REFUSED, claimed=False, path="", batch=batch, parts=2) for _ in range(5)]
        open_ones = [new(self.store), new(self.store, claimed=False), await self.on_its_way("a", notify=0)]
        owed = new(self.store, state=State.REFUSED, claimed=False)
        await self.accepted(*old, *open_ones[:2], owed)
        self.clock.advance(100)
        young = new(self.store, state=State.REFUSED, claimed=False, path="", at=START + 100)
        await self.accepted(young)
        gone = [await self.store.purge(START + 50, START - 1, 2) for _ in range(6)]
        self.assertEqual(sum(messages for messages, _ in gone), 5)
        self.assertLessEqual(max(messages for messages, _ in gone), 2)
        self.assertEqual(await self.store.find(None, [m.id for m in old] + [batch], 9), [[]] * 6)
        self.assertEqual(len(await self.store.list_messages(None, MessageFilter(), 0, 100)), 5)
        self.assertEqual(await self.store.counts(), {State.QUEUED: 2, State.ENROUTE: 1, State.REFUSED: 2})
        self.assertEqual((await self.commit(receipts(receipt("a")))).receipts, ["matched"])

    async def test_purge_events(self) -> None:
        """Events that no client took become dead letters after their time; then their messages may be deleted."""
        for number in range(3):
            await self.on_its_way(str(number))
        await self.commit(receipts(*(receipt(str(number)) for number in range(3))))
        self.assertEqual(await self.store.purge(START - 1, START, 10), (0, 0))
        gone = [await self.store.purge(START + 1, START + 1, 2) for _ in range(12)]
        self.assertEqual((sum(m for m, _ in gone), sum(e for _, e in gone)), (3, 6))
        self.assertLessEqual(max(e for _, e in gone), 2)
        self.assertEqual(await self.store.accounts_with_events("smpp"), [])
        self.assertEqual(await self.store.counts(), {})

    async def test_f2_dead_letters_outlive_the_purge(self) -> None:
        """Whatever the age of its message: an event that was given up can be replayed for as long as messages are kept
        from then on; afterwards its message is deleted."""
        keep, days = 30 * 86_400.0, 86_400.0
        message = await self.on_its_way("a")
        await self.commit(receipts(receipt("a")))
        text = Incoming(
            self.store.next_id(), "demo", "smpp", IncomingKind.MESSAGE, "sim", "7903", "4455", "yes", START, 0, 0, ""
        )
        await self.commit(Changes(incoming=[text]))
        self.clock.advance(40 * days)
        now = self.clock.seconds()
        self.assertEqual(await self.store.purge(now - keep, now - 3 * days, 10), (0, 3))
        for _ in range(3):
            self.assertEqual(await self.store.purge(now - keep, now - 3 * days, 10), (0, 0))
        replayed = await self.store.replay("demo", [message.id, text.id], 10)
        self.assertEqual(sorted({event.message.id for event in replayed}), [message.id, text.id])
        self.assertEqual(len(await self.store.events("demo", "smpp", (0, 0), 10)), 3)
        self.clock.advance(4 * days)
        later = self.clock.seconds()
        self.assertEqual(await self.store.purge(later - keep, later - 3 * days, 10), (0, 3))
        self.clock.advance(keep)
        await self.store.purge(self.clock.seconds() - keep, START, 10)
        self.assertEqual([m.id for (m,) in await self.store.find("demo", [message.id])], [message.id])
        self.clock.advance(1.0)
        await self.store.purge(self.clock.seconds() - keep, START, 10)
        self.assertEqual(await self.store.find("demo", [message.id]), [[]])
        self.assertEqual(await self.store.list_incoming("demo", 0, 10), [])
        self.assertEqual(await self.store.dead_letters("demo", (0, 0), 10), [])

    async def test_purge_parked(self) -> None:
        """Parked receipts go with messages of their age."""
        await self.commit(receipts(receipt("a")))
        self.clock.advance(100)
        await self.commit(receipts(receipt("b")))
        await self.store.purge(START + 50, START + 50, 10)
        self.assertEqual([p.report.remote_id for p in await self.store.parked(10)], ["b"])
        message = await self.on_its_way("a")
        self.assertEqual(await self.states(message), [State.ENROUTE])

    async def test_purge_in_vain(self) -> None:
        """Where nothing is old nothing goes."""
        self.assertEqual(await self.store.purge(START, START, 10), (0, 0))
        await self.accepted(new(self.store))
        self.assertEqual(await self.store.purge(FAR, FAR, 10), (0, 0))
