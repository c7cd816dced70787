"""Promises of stores about receipts, and about messages in several parts."""

from __future__ import annotations

from itertools import permutations

import attrs

from smsgw.model.changes import Cancel, Changes, PartEnded, Requeued
from smsgw.model.errors import Refusal, Refused
from smsgw.model.lifecycle import Notify, State
from smsgw.model.message import Message
from tests.stores.case import ENROUTE, FINAL, StoreCase, fields
from tests.stores.support import FAR, START, happened, new, outcomes, receipt, receipts, sent


class ReceiptTests(StoreCase):
    """What upstreams report, for messages of one part."""

    async def test_every_final_state(self) -> None:
        """A receipt gives the message its final state and error, and has one event."""
        for number, state in enumerate(
            (State.DELIVERED, State.EXPIRED, State.UNDELIVERABLE, State.REJECTED, State.UNKNOWN)
        ):
            message = await self.on_its_way(f"a{number}")
            self.clock.advance(60)
            committed = await self.commit(receipts(receipt(f"a{number}", state, number, at=self.clock.seconds() - 1)))
            self.assertEqual(committed.receipts, ["matched"])
            self.assertEqual(happened(committed), [(message.id, FINAL, state, number)])
            self.assertEqual(committed.events[0].at, self.clock.seconds() - 1)
            kept = await self.found(message.id)
            self.assertEqual((kept.state, kept.error, kept.remote_id), (state, number, f"a{number}"))
        self.assertEqual(await self.store.awaited_receipts("sim", (0, 0), 10), [])

    async def test_time_within_reason(self) -> None:
        """An upstream's clock cannot date a report before the acceptance or into the future."""
        early, late = await self.on_its_way("a"), await self.on_its_way("b")
        self.clock.advance(5)
        committed = await self.commit(receipts(receipt("a", at=START - 999), receipt("b", at=START + 999)))
        self.assertEqual([event.at for event in committed.events], [START, START + 5])
        self.assertEqual([event.message.id for event in committed.events], [early.id, late.id])

    async def test_only_what_was_asked(self) -> None:
        """A delivery and a failure each have an event only if the sender asked for it."""
        for number, (notify, state, reported) in enumerate(
            (
                (Notify.DELIVERED, State.DELIVERED, True),
                (Notify.DELIVERED, State.UNDELIVERABLE, False),
                (Notify.FAILED, State.DELIVERED, False),
                (Notify.FAILED, State.UNDELIVERABLE, True),
                (Notify.NOTHING, State.DELIVERED, False),
            )
        ):
            await self.on_its_way(str(number), notify=notify)
            committed = await self.commit(receipts(receipt(str(number), state)))
            self.assertEqual((committed.receipts, bool(committed.events)), (["matched"], reported))

    async def test_repeated(self) -> None:
        """A receipt that comes again, in the same call or later, changes nothing."""
        message = await self.on_its_way("a")
        committed = await self.commit(receipts(receipt("a"), receipt("a", State.UNDELIVERABLE)))
        self.assertEqual(committed.receipts, ["matched", "repeated"])
        committed = await self.commit(receipts(receipt("a", State.EXPIRED)))
        self.assertEqual((committed.receipts, committed.events), (["repeated"], []))
        self.assertEqual(await self.states(message), [State.DELIVERED])
        self.assertEqual(
            await self.owed(), [(message.id, ENROUTE, State.ENROUTE, 0), (message.id, FINAL, State.DELIVERED, 0)]
        )

    async def test_intermediate(self) -> None:
        """A receipt without a final state is ignored, known or not, and does not use up the final one."""
        await self.on_its_way("a")
        committed = await self.commit(receipts(receipt("a", None), receipt("b", None), receipt("a", State.ENROUTE)))
        self.assertEqual((committed.receipts, committed.events), (["ignored"] * 3, []))
        self.assertEqual(await self.store.parked(10), [])
        self.assertEqual((await self.commit(receipts(receipt("a")))).receipts, ["matched"])

    async def test_by_connector(self) -> None:
        """Upstreams may use the same ids: a receipt counts only for its own connector."""
        message = await self.on_its_way("a")
        other = await self.on_its_way("a", connector="mts")
        committed = await self.commit(receipts(receipt("a", connector="mts")))
        self.assertEqual(happened(committed), [(other.id, FINAL, State.DELIVERED, 0)])
        self.assertEqual(await self.states(message), [State.ENROUTE])
        self.assertEqual((await self.commit(receipts(receipt("a", connector="tele2")))).receipts, ["parked"])

    async def test_same_id(self) -> None:
        """An upstream gave an id twice: its receipt is for the newest message, and the older one is not forgotten."""
        older, bystander, newer = [await self.on_its_way(id) for id in ("a", "b", "a")]
        committed = await self.commit(receipts(receipt("b"), receipt("a")))
        self.assertEqual(committed.receipts, ["matched", "matched"])
        self.assertEqual([event.message.id for event in committed.events], [bystander.id, newer.id])
        await self.reopen()
        committed = await self.commit(receipts(receipt("a", State.EXPIRED)))
        self.assertEqual(happened(committed), [(older.id, FINAL, State.EXPIRED, 0)])

    async def test_after_restart(self) -> None:
        """A receipt finds its message after a restart, once."""
        message = await self.on_its_way("a", notify=Notify.FINAL)
        await self.reopen()
        committed = await self.commit(receipts(receipt("a", State.EXPIRED, 3), receipt("a", State.EXPIRED, 3)))
        self.assertEqual(committed.receipts, ["matched", "repeated"])
        self.assertEqual(happened(committed), [(message.id, FINAL, State.EXPIRED, 3)])
        self.assertEqual(fields(committed.events[0].message), fields(message))
        self.assertEqual(await self.store.counts(), {State.EXPIRED: 1})

    async def test_parked(self) -> None:
        """A receipt of an unknown id is kept with the upstream's words, and listed, oldest first."""
        first = receipt("b", State.UNDELIVERABLE, 7, "mts", START - 5, b"id:b stat:UNDELIV")
        committed = await self.commit(receipts(first))
        self.assertEqual(committed.receipts, ["parked"])
        self.clock.advance(1)
        await self.commit(receipts(receipt("a")))
        await self.reopen()
        parked = await self.store.parked(10)
        self.assertEqual(
            [(p.connector, p.report.remote_id, p.since) for p in parked], [("mts", "b", START), ("sim", "a", START + 1)]
        )
        self.assertEqual(attrs.asdict(parked[0].report), attrs.asdict(first.report))
        self.assertEqual(len(await self.store.parked(1)), 1)

    async def test_early(self) -> None:
        """A receipt that comes before the acceptance counts when that is committed, and its event comes after it."""
        for restart, remote_id in ((False, "a"), (True, "b")):
            message = new(self.store)
            await self.accepted(message)
            self.assertEqual(
                (await self.commit(receipts(receipt(remote_id, State.UNDELIVERABLE, 9)))).receipts, ["parked"]
            )
            if restart:
                await self.reopen()
            committed = await self.commit(outcomes(sent(message, remote_id)))
            self.assertEqual(
                happened(committed),
                [(message.id, ENROUTE, State.ENROUTE, 0), (message.id, FINAL, State.UNDELIVERABLE, 9)],
            )
            self.assertEqual(await self.states(message), [State.UNDELIVERABLE])
            self.assertEqual(await self.store.parked(10), [])
            self.assertEqual(await self.store.awaited_receipts("sim", (0, 0), 10), [])
            self.assertEqual((await self.commit(receipts(receipt(remote_id)))).receipts, ["repeated"])

    async def test_early_in_the_same_call(self) -> None:
        """A receipt in the same call as the acceptance is matched."""
        message = new(self.store)
        await self.accepted(message)
        committed = await self.commit(Changes(outcomes=[sent(message, "a")], receipts=[receipt("a")]))
        self.assertEqual(committed.receipts, ["matched"])
        self.assertEqual(
            happened(committed), [(message.id, ENROUTE, State.ENROUTE, 0), (message.id, FINAL, State.DELIVERED, 0)]
        )

    async def test_old_parked_is_not_early(self) -> None:
        """A receipt parked long ago is not that of a new message, however equal the id: upstreams use ids again."""
        await self.commit(receipts(receipt("a", State.UNDELIVERABLE)))
        self.clock.advance(86400)
        message = await self.on_its_way("a")
        self.assertEqual(await self.states(message), [State.ENROUTE])
        self.assertEqual((await self.commit(receipts(receipt("a")))).receipts, ["matched"])
        self.assertEqual(await self.states(message), [State.DELIVERED])

    async def test_id_used_again(self) -> None:
        """An id that an upstream uses again means the newest message; the former one is not forgotten."""
        first = await self.on_its_way("a", expires=FAR)
        second = await self.on_its_way("a")
        committed = await self.commit(receipts(receipt("a")))
        self.assertEqual([event.message.id for event in committed.events], [second.id])
        overdue = await self.store.scan_overdue(FAR + 1, 100)
        self.assertEqual([(m.id, seq) for m, seq in overdue], [(first.id, 1)])
        third = await self.on_its_way("a")
        await self.commit(receipts(receipt("a")))
        self.assertEqual(await self.states(first, second, third), [State.ENROUTE, State.DELIVERED, State.DELIVERED])

    async def test_two_ids(self) -> None:
        """A part that was sent twice has two ids; the first receipt under either decides, the other changes nothing."""
        for restart in (False, True):
            for first, second in (("a", "b"), ("b", "a")):
                message = await self.on_its_way("a")
                committed = await self.commit(outcomes(sent(message, "b")))
                self.assertEqual(committed.events, [])
                if restart:
                    await self.reopen()
                committed = await self.commit(receipts(receipt(first)))
                self.assertEqual(happened(committed), [(message.id, FINAL, State.DELIVERED, 0)])
                if restart:
                    await self.reopen()
                committed = await self.commit(receipts(receipt(second, State.EXPIRED)))
                self.assertEqual((committed.receipts, committed.events), (["repeated"], []))
                self.assertEqual(await self.states(message), [State.DELIVERED])
                self.assertEqual(await self.store.awaited_receipts("sim", (0, 0), 10), [])

    async def test_two_ids_at_once(self) -> None:
        """Receipts under both ids may come together, known to memory or not: the first counts."""
        for restart in (False, True):
            for first, second in (("a", "b"), ("b", "a")):
                message = await self.on_its_way("a")
                await self.commit(outcomes(sent(message, "b")))
                if restart:
                    await self.reopen()
                committed = await self.commit(receipts(receipt(first, State.EXPIRED, 1), receipt(second)))
                self.assertEqual(sorted(committed.receipts), ["matched", "repeated"])
                self.assertEqual(len(committed.events), 1)
                self.assertEqual(await self.store.awaited_receipts("sim", (0, 0), 10), [])

    async def test_receipt_while_queued_again(self) -> None:
        """A receipt under the first id ends a message that waits to be sent again: it leaves the queue."""
        message = await self.on_its_way("a", parts=2)
        await self.commit(outcomes(Requeued(message, "sim", 0.0, True)))
        await self.commit(outcomes(sent(message, "b", 2)))
        self.assertEqual(await self.queue(), [])
        committed = await self.commit(receipts(receipt("a"), receipt("b")))
        self.assertEqual(happened(committed), [(message.id, FINAL, State.DELIVERED, 0)])

    async def test_events_are_brief(self) -> None:
        """Events carry the first part of a long text, from memory and from the disk: thousands of them wait at once."""
        message = await self.on_its_way("a", parts=2)
        await self.commit(outcomes(sent(message, "b", 2)))
        committed = await self.commit(receipts(receipt("a"), receipt("b")))
        stored = await self.store.events(message.account, message.path, (0, 0), 10)
        for event in (*committed.events, stored[-1]):
            stored = event.message
            assert isinstance(stored, Message)
            self.assertEqual((stored.id, stored.parts), (message.id, 2))
            self.assertEqual(stored.content.octets, message.cut.parts[0])
        (kept,) = await self.store.find(None, [message.id])
        self.assertEqual((kept[0].content, kept[0].cut), (message.content, message.cut))

    async def test_many(self) -> None:
        """More messages than memory is promised for, in one call each way, all reach their end."""
        messages = [new(self.store, notify=Notify.FINAL) for _ in range(1300)]
        await self.accepted(*messages)
        await self.commit(outcomes(*(sent(m, str(m.id)) for m in messages)))
        await self.reopen()
        committed = await self.commit(receipts(*(receipt(str(m.id)) for m in messages)))
        self.assertEqual(committed.receipts, ["matched"] * 1300)
        self.assertEqual({event.message.id for event in committed.events}, {m.id for m in messages})
        self.assertEqual(await self.store.counts(), {State.DELIVERED: 1300})
        await self.commit(Changes(acknowledged=committed.events))
        self.assertEqual(await self.store.accounts_with_events("smpp"), [])


class PartsTests(StoreCase):
    """Messages in several parts."""

    async def test_any_order(self) -> None:
        """Parts are taken and reported in any order, with or without restarts; the message ends with the last."""
        for restart in (False, True):
            for order in permutations((1, 2, 3)):
                message = new(self.store, parts=3)
                await self.accepted(message)
                for seq in order:
                    events = (await self.commit(outcomes(sent(message, f"a{seq}", seq)))).events
                    last = seq == order[-1]
                    self.assertEqual([event.kind for event in events], [ENROUTE] if last else [])
                    self.assertEqual(await self.states(message), [State.ENROUTE])
                for seq in reversed(order):
                    if restart:
                        await self.reopen()
                    events = (await self.commit(receipts(receipt(f"a{seq}")))).events
                    last = seq == order[0]
                    self.assertEqual([(e.kind, e.state) for e in events], [(FINAL, State.DELIVERED)] if last else [])
                self.assertEqual(await self.states(message), [State.DELIVERED])

    async def test_lowest_failure_decides(self) -> None:
        """A message in parts has the state and error of its lowest-numbered undelivered part, in any order."""
        ends = {1: (State.DELIVERED, 0), 2: (State.EXPIRED, 2), 3: (State.UNDELIVERABLE, 3)}
        for order in permutations(ends):
            message = new(self.store, parts=3)
            await self.accepted(message)
            await self.commit(outcomes(*(sent(message, f"a{seq}", seq) for seq in ends)))
            last = []
            for seq in order:
                last = happened(await self.commit(receipts(receipt(f"a{seq}", *ends[seq]))))
            self.assertEqual(last, [(message.id, FINAL, State.EXPIRED, 2)])

    async def test_part_that_cannot_be_sent(self) -> None:
        """A part that ends unsent leaves the others to be waited for, and nothing to be claimed."""
        message = new(self.store, parts=2)
        await self.accepted(message)
        committed = await self.commit(outcomes(sent(message, "a", 1), PartEnded(message, 2, State.REJECTED, 8)))
        self.assertEqual(happened(committed), [(message.id, ENROUTE, State.ENROUTE, 0)])
        self.assertEqual(await self.claimed(), [])
        committed = await self.commit(receipts(receipt("a")))
        self.assertEqual(happened(committed), [(message.id, FINAL, State.REJECTED, 8)])

    async def test_all_end_unsent(self) -> None:
        """When every part ends unsent the message ends, and was never on its way."""
        message = new(self.store, parts=2)
        await self.accepted(message)
        committed = await self.commit(outcomes(*(PartEnded(message, seq, State.REJECTED, seq) for seq in (2, 1))))
        self.assertEqual(happened(committed), [(message.id, FINAL, State.REJECTED, 1)])

    async def test_ending_what_was_not_sent(self) -> None:
        """Ending part 0 ends the parts not sent yet; those on their way are still waited for."""
        message = new(self.store, parts=3)
        await self.accepted(message)
        await self.commit(outcomes(sent(message, "a", 2), Requeued(message, "sim", 0.0, True)))
        committed = await self.commit(outcomes(PartEnded(message, 0, State.EXPIRED, 0)))
        self.assertEqual(happened(committed), [(message.id, ENROUTE, State.ENROUTE, 0)])
        self.assertEqual(await self.queue(), [])
        committed = await self.commit(receipts(receipt("a")))
        self.assertEqual(happened(committed), [(message.id, FINAL, State.EXPIRED, 0)])

    async def test_requeued_in_part(self) -> None:
        """A message of which a part was taken is queued for the rest, and says for which, after a restart too."""
        message = new(self.store, parts=3)
        await self.accepted(message)
        await self.commit(outcomes(sent(message, "a", 2), Requeued(message, "mts", 0.0, True)))
        for _ in range(2):
            (waiting,) = await self.store.queue_page("mts", "demo", (-1000, 0), 10)
            self.assertEqual((waiting.id, waiting.unsent, waiting.attempts), (message.id, (1, 3), 1))
            self.assertEqual((await self.found(message.id)).unsent, (1, 3))
            await self.reopen()
        refused = (await self.commit(Changes(cancels=[Cancel("demo", message.id)]))).cancels
        self.assertEqual(refused, [Refused(Refusal.ALREADY_FINAL)])
        self.assertEqual((await self.commit(Changes(claims=[waiting]))).claims, [True])
        committed = await self.commit(outcomes(sent(waiting, "b", 1), sent(waiting, "c", 3)))
        self.assertEqual(happened(committed), [(message.id, ENROUTE, State.ENROUTE, 0)])
        committed = await self.commit(
            receipts(receipt("a"), receipt("b", connector="mts"), receipt("c", connector="mts"))
        )
        self.assertEqual(committed.receipts, ["matched"] * 3)
        self.assertEqual(happened(committed), [(message.id, FINAL, State.DELIVERED, 0)])

    async def test_restart_between_parts(self) -> None:
        """After a restart only the parts without an outcome are handed out."""
        message = new(self.store, parts=4)
        await self.accepted(message)
        await self.commit(outcomes(sent(message, "a", 1), PartEnded(message, 3, State.REJECTED, 0)))
        self.assertEqual(await self.claimed(), [(message.id, 2), (message.id, 4)])
        details = await self.store.details(message.id)
        assert details is not None
        self.assertEqual(
            [tuple(part) for part in details.parts],
            [
                (1, State.ENROUTE, 0, "a"),
                (2, State.QUEUED, 0, ""),
                (3, State.REJECTED, 0, ""),
                (4, State.QUEUED, 0, ""),
            ],
        )
        self.assertEqual([(a.remote_id, a.seq) for a in details.awaited], [("a", 1)])

    async def test_early_receipts_of_parts(self) -> None:
        """Receipts of parts that come before their acceptances count, each for its part."""
        message = new(self.store, parts=2)
        await self.accepted(message)
        await self.commit(receipts(receipt("b"), receipt("a")))
        self.assertEqual(happened(await self.commit(outcomes(sent(message, "a", 1)))), [])
        committed = await self.commit(outcomes(sent(message, "b", 2)))
        self.assertEqual(
            happened(committed), [(message.id, ENROUTE, State.ENROUTE, 0), (message.id, FINAL, State.DELIVERED, 0)]
        )
