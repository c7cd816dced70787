"""Promises of stores about what comes from subscribers, dead letters, and what lists can ask."""

from __future__ import annotations

import attrs

from smsgw.interfaces import MessageFilter
from smsgw.model.changes import Changes, Confirmation, Retry
from smsgw.model.content import Labels
from smsgw.model.lifecycle import State
from smsgw.model.message import CALLBACK, Incoming, IncomingKind, Message
from tests.stores.case import FINAL, StoreCase
from tests.stores.support import FAR, START, as_tuples, happened, new, receipt, receipts


class IncomingTests(StoreCase):
    """What comes from subscribers, and calls that are waited for."""

    def incoming(self, *, account: str = "demo", path: str = CALLBACK, at: float = START) -> Incoming:
        """A message from a subscriber."""
        id = self.store.next_id()
        kind = IncomingKind.MESSAGE
        return Incoming(id, account, path, kind, "sim", "79031112233", "4455", "да", at, 7, 3, "http://h/")

    async def test_incoming(self) -> None:
        """An incoming item is kept whole, has an event if it has a path, and is listed newest first, by account."""
        reported, unreported = self.incoming(), self.incoming(path="")
        foreign = self.incoming(account="other")
        committed = await self.commit(Changes(incoming=[reported, unreported, foreign]))
        self.assertEqual(happened(committed), [(m.id, 3, State.DELIVERED, 0) for m in (reported, foreign)])
        await self.reopen()
        (event,) = await self.store.events("demo", CALLBACK, (0, 0), 10)
        self.assertEqual(attrs.asdict(event.message), attrs.asdict(reported))
        self.assertEqual((event.kind, event.state, event.at), (3, State.DELIVERED, START))
        newest_first = [foreign.id, unreported.id, reported.id]
        self.assertEqual([m.id for m in await self.store.list_incoming(None, 0, 10)], newest_first)
        self.assertEqual([m.id for m in await self.store.list_incoming("demo", unreported.id, 10)], [reported.id])
        self.assertEqual([m.id for m in await self.store.list_incoming("demo", 0, 1)], [unreported.id])
        self.assertGreater(self.store.next_id(), foreign.id)

    async def test_incoming_among_others(self) -> None:
        """Events of all kinds come in the order of ids, and are acknowledged alike."""
        first = await self.on_its_way("a", path=CALLBACK)
        reported = self.incoming()
        await self.commit(Changes(incoming=[reported]))
        await self.commit(receipts(receipt("a")))
        events = await self.store.events("demo", CALLBACK, (0, 0), 10)
        self.assertEqual([(e.message.id, e.kind) for e in events], [(first.id, 1), (first.id, 2), (reported.id, 3)])
        await self.commit(Changes(retries=[Retry(events[2], START + 9)], acknowledged=events[:2]))
        (left,) = await self.store.events("demo", CALLBACK, (first.id, 2), 10)
        self.assertEqual((left.message.id, left.attempts, left.due), (reported.id, 1, START + 9))
        self.assertEqual(await self.store.accounts_with_events(CALLBACK), ["demo"])
        await self.commit(Changes(acknowledged=[left]))
        self.assertEqual(await self.store.accounts_with_events(CALLBACK), [])

    async def test_find_confirmation(self) -> None:
        """The last account to wait for a call gets it, until its time is over."""
        wait = [Confirmation(name, "79031112233", "4455", START + seconds) for name, seconds in (("a", 99), ("b", 10))]
        await self.commit(Changes(confirmations=wait[:1]))
        await self.commit(Changes(confirmations=wait[1:]))
        self.assertEqual(await self.store.find_confirmation("79031112233", "4455", START + 9), "b")
        self.assertEqual(await self.store.find_confirmation("79031112233", "4455", START + 10), "")
        self.assertEqual(await self.store.find_confirmation("79031112233", "4456", START), "")
        await self.reopen()
        self.assertEqual(await self.store.find_confirmation("79031112233", "4455", START), "b")

    async def test_purge_incoming(self) -> None:
        """An incoming item is purged with messages of its age, but not before its event is acknowledged or given up."""
        owed, kept, young = self.incoming(), self.incoming(path=""), self.incoming(path="", at=START + 100)
        await self.commit(Changes(incoming=[owed, kept, young]))
        for _ in range(3):
            await self.store.purge(START + 50, START, 1)
        self.assertEqual([m.id for m in await self.store.list_incoming(None, 0, 10)], [young.id, owed.id])
        for _ in range(3):
            await self.store.purge(FAR, FAR, 1)
        for _ in range(9):
            await self.store.purge(FAR, FAR, 1)
        self.assertEqual(await self.store.list_incoming(None, 0, 10), [])
        self.assertEqual(await self.store.dead_letters(None, (0, 0), 10), [])
        await self.reopen()
        self.assertGreater(self.store.next_id(), young.id)


class DeadLetterTests(StoreCase):
    """Events that were given up."""

    async def given_up(self) -> list[Message]:
        """Three messages, of two accounts, whose final event no client took."""
        messages = [await self.on_its_way(str(n), notify=1, account=a) for n, a in enumerate(("demo", "other", "demo"))]
        await self.commit(receipts(*(receipt(str(number)) for number in range(3))))
        for _ in range(3):
            await self.store.purge(START - 1, START + 1, 2)
        return messages

    async def test_dead_letters(self) -> None:
        """What was given up is not handed out any more, but listed, by account and in pages."""
        messages = await self.given_up()
        self.assertEqual(await self.owed(), [])
        await self.reopen()
        every = as_tuples(await self.store.dead_letters(None, (0, 0), 10))
        self.assertEqual(every, [(m.id, FINAL, State.DELIVERED, 0) for m in messages])
        self.assertEqual(as_tuples(await self.store.dead_letters(None, (messages[0].id, 2), 1)), every[1:2])
        self.assertEqual(as_tuples(await self.store.dead_letters("demo", (0, 0), 10)), [every[0], every[2]])

    async def test_replay(self) -> None:
        """Those taken up again are handed out as if never tried, and kept as if they had just happened."""
        first, foreign, last = await self.given_up()
        self.clock.advance(1000)
        self.assertEqual(await self.store.replay("demo", [foreign.id, 4711], 10), [])
        (event,) = await self.store.replay(None, [last.id, 4711], 10)
        self.assertEqual((event.message.id, event.attempts, event.at), (last.id, 0, START))
        self.assertEqual(as_tuples(await self.store.replay("demo", [], 10)), [(first.id, FINAL, State.DELIVERED, 0)])
        self.assertEqual(await self.owed(), [(m.id, FINAL, State.DELIVERED, 0) for m in (first, last)])
        self.assertEqual(len(await self.store.dead_letters(None, (0, 0), 10)), 1)
        self.assertEqual(await self.store.purge(START - 1, START + 500, 10), (0, 0))
        self.assertEqual(await self.store.purge(START - 1, START + 500, 10), (0, 0))
        await self.reopen()
        (event, _) = await self.store.events("demo", "smpp", (0, 0), 10)
        self.assertEqual((event.at, event.since), (START, START + 1000))
        self.assertEqual((await self.store.purge(START - 1, START + 1001, 10))[1], 2)

    async def test_replay_in_pages(self) -> None:
        """No more than the limit are taken up by one call."""
        await self.given_up()
        self.assertEqual([len(await self.store.replay(None, [], 2)) for _ in range(3)], [2, 1, 0])

    async def test_gone_with_the_message(self) -> None:
        """What was given up goes with its message."""
        await self.given_up()
        for _ in range(3):
            await self.store.purge(FAR, FAR, 10)
        self.assertEqual(await self.store.counts(), {})
        self.assertEqual(await self.store.dead_letters(None, (0, 0), 10), [])


class FilterTests(StoreCase):
    """What a list can be asked for."""

    async def test_each_filter(self) -> None:
        """Every filter shows what fits it and nothing else, and all of them together what fits all."""
        messages = []
        for number in range(6):
            m = new(self.store, at=START + 1000 * number)
            m.recipient = f"7916123456{number % 3}"
            if number % 2:
                m.content.labels = Labels("", f"ref-{number}", f"Спам для Ивана {number}")
            messages.append(m)
        await self.accepted(*messages)
        await self.reopen()
        for wanted, numbers in {
            MessageFilter(number="79161234561"): [4, 1],
            MessageFilter(since=START + 3000): [5, 4, 3],
            MessageFilter(until=START + 2000): [1, 0],
            MessageFilter(since=START + 1000, until=START + 1001): [1],
            MessageFilter(comment="ИВАНА"): [5, 3, 1],
            MessageFilter(comment="ивана 3"): [3],
            MessageFilter(reference="ref-5"): [5],
            MessageFilter(reference="ref"): [],
            MessageFilter((State.QUEUED,), "79161234560", START + 1, FAR, "спам", "ref-3"): [3],
            MessageFilter((State.DELIVERED,)): [],
        }.items():
            found = [m.id for m in await self.store.list_messages("demo", wanted, 0, 10)]
            self.assertEqual(found, [messages[number].id for number in numbers], wanted)
            page = await self.store.list_messages("demo", wanted, found[0] if found else 0, 1)
            self.assertEqual([m.id for m in page], found[1:2], wanted)
        labels = (await self.found(messages[3].id)).content.labels
        self.assertEqual(labels, Labels("", "ref-3", "Спам для Ивана 3"))
