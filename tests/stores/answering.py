"""Promises of stores about events and look-ups."""

from __future__ import annotations

from smsgw.interfaces import BatchCount, MessageFilter
from smsgw.model.changes import Cancel, Changes, PartEnded, Retry
from smsgw.model.errors import Refusal, Refused
from smsgw.model.lifecycle import State
from smsgw.stores import queries
from tests.stores.case import ENROUTE, FINAL, StoreCase
from tests.stores.support import FAR, START, new, outcomes, receipt, receipts
from tests.stores.support import sent as sent_part


class EventTests(StoreCase):
    """Events that are not yet acknowledged."""

    async def test_until_acknowledged(self) -> None:
        """An event is kept, through restarts, until its receiver acknowledged it, and then gone for good."""
        message = await self.on_its_way("a")
        await self.commit(receipts(receipt("a")))
        await self.reopen()
        enroute, final = await self.store.events("demo", "smpp", (0, 0), 10)
        self.assertEqual((enroute.kind, final.kind, final.at), (ENROUTE, FINAL, START))
        self.assertEqual((final.message.state, final.message.remote_id), (State.DELIVERED, "a"))
        await self.commit(Changes(acknowledged=[enroute]))
        self.assertEqual(await self.owed(), [(message.id, FINAL, State.DELIVERED, 0)])
        await self.commit(Changes(acknowledged=[final]))
        await self.commit(Changes(acknowledged=[final]))
        await self.reopen()
        self.assertEqual((await self.owed(), await self.store.accounts_with_events("smpp")), ([], []))

    async def test_pages(self) -> None:
        """Events come ordered by message and kind, in pages."""
        for number in range(4):
            await self.on_its_way(str(number))
        await self.commit(receipts(*(receipt(str(number)) for number in (3, 1, 2, 0))))
        seen = []
        after = (0, 0)
        while page := await self.store.events("demo", "smpp", after, 3):
            seen += [(event.message.id, int(event.kind)) for event in page]
            after = seen[-1]
        self.assertEqual(seen, [(id, kind) for id in range(1, 5) for kind in (1, 2)])

    async def test_per_account_and_path(self) -> None:
        """Events are looked up, and debtors named, by account and path."""
        for number, (account, path) in enumerate((("demo", "smpp"), ("demo", "http"), ("a", "http"), ("z", "smpp"))):
            await self.on_its_way(str(number), account=account, path=path)
        self.assertEqual([event[0] for event in await self.owed("http", "demo")], [2])
        self.assertEqual([event[0] for event in await self.owed("smpp", "z")], [4])
        self.assertEqual(await self.owed("smpp", "a"), [])
        self.assertEqual(sorted(await self.store.accounts_with_events("smpp")), ["demo", "z"])
        self.assertEqual(sorted(await self.store.accounts_with_events("http")), ["a", "demo"])
        self.assertEqual(await self.store.accounts_with_events("pigeon"), [])

    async def test_retries(self) -> None:
        """An event tried in vain counts the attempt and says when to try again."""
        await self.on_its_way("a")
        (event,) = await self.store.events("demo", "smpp", (0, 0), 10)
        self.assertEqual((event.attempts, event.due), (0, 0.0))
        await self.commit(Changes(retries=[Retry(event, START + 5)]))
        await self.commit(Changes(retries=[Retry(event, START + 9)]))
        (event,) = await self.store.events("demo", "smpp", (0, 0), 10)
        self.assertEqual((event.attempts, event.due), (2, START + 9))
        await self.commit(Changes(acknowledged=[event], retries=[Retry(event, START + 20)]))
        self.assertEqual(await self.owed(), [])


class LookingUpTests(StoreCase):
    """Questions."""

    async def test_find(self) -> None:
        """Ids are answered in order: messages, batches in order of their messages, nothing for the unknown."""
        batch = self.store.next_id()
        messages = [new(self.store, batch=batch), new(self.store), new(self.store, batch=batch)]
        await self.accepted(*messages)
        first, second, third = (m.id for m in messages)
        for of_batch, members in ((0, []), (1, [first]), (2, [first, third]), (9, [first, third])):
            found = await self.store.find("demo", [second, batch, 999, third, 0, -1, third], of_batch)
            self.assertEqual(
                [[m.id for m in some] for some in found], [[second], members, [], [third], [], [], [third]]
            )

    async def test_batch_counts(self) -> None:
        """A batch is counted by state and error code, in order of the first message, in any number of slices; without
        those of other accounts. A message is a batch of itself."""
        batch = self.store.next_id()
        refused, sent, split, late, foreign = (
            new(self.store, batch=batch, state=State.REFUSED, error=249, claimed=False),
            new(self.store, batch=batch),
            new(self.store, batch=batch, parts=3),
            new(self.store, batch=batch, state=State.REFUSED, error=248, claimed=False),
            new(self.store, batch=batch, account="other"),
        )
        await self.accepted(refused, sent, split, late, foreign)
        await self.accepted(new(self.store), new(self.store, batch=self.store.next_id()))
        await self.commit(outcomes(sent_part(sent, "a")))
        expected = [
            BatchCount(State.REFUSED, 249, 1, 1, refused.id),
            BatchCount(State.ENROUTE, 0, 1, 1, sent.id),
            BatchCount(State.QUEUED, 0, 1, 3, split.id),
            BatchCount(State.REFUSED, 248, 1, 1, late.id),
        ]
        for span in (20_000, 5, 4, 3, 2, 1):
            self.patch(queries, "BATCH_SPAN", span)
            self.assertEqual(await self.store.batch_counts("demo", batch), expected, span)
            everything = await self.store.batch_counts(None, batch)
            self.assertEqual(everything[2], BatchCount(State.QUEUED, 0, 2, 4, split.id), span)
            self.assertEqual([*everything[:2], *everything[3:]], [*expected[:2], *expected[3:]], span)
        self.assertEqual(await self.store.batch_counts("demo", split.id), [expected[2]])
        self.assertEqual(await self.store.batch_counts("demo", foreign.id), [])
        for id in (0, -1, 999, 10**30):
            self.assertEqual(await self.store.batch_counts(None, id), [])
        self.assertEqual(await self.store.batch_counts("unknown", batch), [])

    async def test_impossible_ids(self) -> None:
        """A number that can be no id is as unknown as any other."""
        await self.accepted(new(self.store, claimed=False))
        for id in (0, -1, 2**63, 10**30):
            found = await self.store.find(None, [id, 1])
            self.assertEqual([len(some) for some in found], [0, 1])
            committed = await self.commit(Changes(cancels=[Cancel(None, id)]))
            self.assertEqual(committed.cancels, [Refused(Refusal.UNKNOWN_ID)])
            self.assertIsNone(await self.store.details(id))
        self.assertEqual(len(await self.store.list_messages(None, MessageFilter(), 10**30, 5)), 1)

    async def test_isolation(self) -> None:
        """No look-up shows an account anything of another's."""
        batch = self.store.next_id()
        mine, foreign = new(self.store, batch=batch), new(self.store, account="other", batch=batch)
        await self.accepted(mine, foreign)
        found = await self.store.find("demo", [mine.id, foreign.id, batch], 9)
        self.assertEqual([[m.id for m in some] for some in found], [[mine.id], [], [mine.id]])
        found = await self.store.find("unknown", [mine.id, foreign.id, batch], 9)
        self.assertEqual(found, [[], [], []])
        self.assertEqual([m.id for m in await self.store.list_messages("other", MessageFilter(), 0, 10)], [foreign.id])
        found = await self.store.find(None, [mine.id, foreign.id, batch], 9)
        self.assertEqual([len(some) for some in found], [1, 1, 2])

    async def test_find_many(self) -> None:
        """A thousand ids at once are no trouble."""
        messages = [new(self.store) for _ in range(1100)]
        await self.accepted(*messages)
        found = await self.store.find("demo", [m.id for m in reversed(messages)])
        self.assertEqual([m.id for (m,) in found], [m.id for m in reversed(messages)])

    async def test_details(self) -> None:
        """The administrator sees the parts, the awaited receipts and the events of one message."""
        message = await self.on_its_way("a")
        details = await self.store.details(message.id)
        assert details is not None
        self.assertEqual(details.message.id, message.id)
        self.assertEqual([tuple(part) for part in details.parts], [(1, State.ENROUTE, 0, "a")])
        self.assertEqual([(a.remote_id, a.seq, a.due) for a in details.awaited], [("a", 1, FAR)])
        self.assertEqual([event.kind for event in details.events], [ENROUTE])
        await self.commit(receipts(receipt("a", State.EXPIRED, 4)))
        details = await self.store.details(message.id)
        assert details is not None
        self.assertEqual([tuple(part) for part in details.parts], [(1, State.EXPIRED, 4, "a")])
        self.assertEqual((details.awaited, [event.kind for event in details.events]), ([], [ENROUTE, FINAL]))
        self.assertIsNone(await self.store.details(message.id + 1))

    async def test_list_messages(self) -> None:
        """Messages are listed newest first, by account and states, in pages."""
        queued = [new(self.store, claimed=False) for _ in range(3)]
        refused = [new(self.store, claimed=False, state=State.REFUSED) for _ in range(2)]
        foreign = new(self.store, account="other")
        await self.accepted(*queued, *refused, foreign)
        ids = [m.id for m in await self.store.list_messages(None, MessageFilter(), 0, 10)]
        self.assertEqual(ids, [6, 5, 4, 3, 2, 1])
        self.assertEqual(
            [m.id for m in await self.store.list_messages("demo", MessageFilter([State.QUEUED]), 0, 2)], [3, 2]
        )
        self.assertEqual(
            [m.id for m in await self.store.list_messages("demo", MessageFilter([State.QUEUED]), 2, 2)], [1]
        )
        ended = MessageFilter([State.REFUSED, State.EXPIRED])
        self.assertEqual([m.id for m in await self.store.list_messages(None, ended, 5, 9)], [4])
        self.assertEqual(await self.store.list_messages("demo", MessageFilter(), 1, 2), [])

    async def test_counts(self) -> None:
        """The counts by state are those of the messages after any changes, after restarts too."""
        messages = [new(self.store, claimed=False) for _ in range(3)]
        await self.accepted(
            *messages, new(self.store), new(self.store, state=State.SCHEDULED, due=START + 1, claimed=False)
        )
        await self.on_its_way("a")
        await self.commit(receipts(receipt("a"), receipt("a")))
        await self.on_its_way("b")
        await self.commit(Changes(cancels=[Cancel("demo", messages[0].id)]))
        await self.commit(outcomes(PartEnded(messages[1], 0, State.EXPIRED, 0)))
        expected = {
            State.QUEUED: 2,
            State.SCHEDULED: 1,
            State.ENROUTE: 1,
            State.DELIVERED: 1,
            State.CANCELLED: 1,
            State.EXPIRED: 1,
        }
        self.assertEqual(await self.store.counts(), expected)
        await self.reopen()
        self.assertEqual(await self.store.counts(), expected)
