"""Promises of stores about the last words of upstreams."""

from __future__ import annotations

from smsgw.model.changes import Changes, PartEnded, Requeued
from smsgw.model.lifecycle import State
from smsgw.model.message import Message
from smsgw.model.outcome import LastWords
from tests.stores.case import StoreCase
from tests.stores.support import START, new, outcomes, receipt, receipts, sent

RAW = b"id:a sub:001 dlvrd:000 stat:UNDELIV err:013 Text:Your code is 4711"
SHORT = "id:a sub:001 dlvrd:000 stat:UNDELIV err:013"


def busy(text: str, seq: int = 1) -> LastWords:
    """An upstream that asked to try again."""
    return LastWords(seq, State.QUEUED, "sim", START, text)


class WordsTests(StoreCase):
    """What is kept of an upstream's words, and whom it reaches."""

    async def words(self, message: Message) -> list[tuple[int, State, str, str]]:
        """The words that are stored about a message."""
        found = await self.store.last_words([message.id])
        return [(one.seq, one.state, one.connector, one.text) for one in found.get(message.id, ())]

    async def test_u5_receipt(self) -> None:
        """The text of a receipt that says that a message failed is stored, without the text of the message, and is in
        the event, also in that which is read again."""
        message = await self.on_its_way("a")
        committed = await self.commit(receipts(receipt("a", State.UNDELIVERABLE, 13, raw=RAW)))
        self.assertEqual(await self.words(message), [(1, State.UNDELIVERABLE, "sim", SHORT)])
        self.assertEqual([event.words for event in committed.events], [SHORT])
        await self.reopen()
        self.assertEqual([one.words for one in await self.store.events("demo", "smpp", (0, 0), 9)], ["", SHORT])
        details = await self.store.details(message.id)
        assert details is not None
        self.assertEqual([one.text for one in details.words], [SHORT])

    async def test_u5_delivered(self) -> None:
        """Nothing is stored about a message that was delivered."""
        message = await self.on_its_way("a")
        committed = await self.commit(receipts(receipt("a", raw=RAW)))
        self.assertEqual([event.words for event in committed.events], [""])
        self.assertEqual(await self.store.last_words([message.id]), {})

    async def test_u5_early_receipt(self) -> None:
        """The words of a receipt that came before the outcome of its part are kept too."""
        await self.commit(receipts(*(receipt(id, State.UNDELIVERABLE, raw=RAW) for id in ("a", "b", "c"))))
        one, two = new(self.store), new(self.store, parts=2)
        await self.accepted(one, two)
        committed = await self.commit(outcomes(sent(one, "a"), sent(two, "b"), sent(two, "c", 2)))
        self.assertEqual([event.words for event in committed.events if event.state > State.DELIVERED], [SHORT, SHORT])
        self.assertEqual([seq for seq, *_ in await self.words(two)], [1, 2])

    async def test_u5_answer(self) -> None:
        """The words of an upstream that refuses a part are stored and in the event."""
        message = new(self.store)
        await self.accepted(message)
        words = [LastWords(1, State.REJECTED, "mts", START, "550 no such user")]
        committed = await self.commit(outcomes(PartEnded(message, 1, State.REJECTED, 255, words)))
        self.assertEqual([event.words for event in committed.events], ["550 no such user"])
        self.assertEqual(await self.words(message), [(1, State.REJECTED, "mts", "550 no such user")])

    async def test_u5_last(self) -> None:
        """Later words about a part replace earlier ones. The words of an upstream that was busy are for the
        administrator; they are no reason for the end of a message."""
        message = new(self.store)
        await self.accepted(message)
        await self.commit(outcomes(Requeued(message, "sim", 0.0, True, [busy("one")])))
        self.assertEqual(await self.words(message), [(1, State.QUEUED, "sim", "one")])
        await self.commit(Changes(claims=[message]))
        await self.commit(outcomes(Requeued(message, "sim", 0.0, True, [busy("two")])))
        self.assertEqual(await self.words(message), [(1, State.QUEUED, "sim", "two")])
        committed = await self.commit(outcomes(PartEnded(message, 0, State.EXPIRED, 0)))
        self.assertEqual([(event.state, event.words) for event in committed.events], [(State.EXPIRED, "")])

    async def test_u5_parts(self) -> None:
        """A message in several parts is reported with the words about the part that decided, whichever came last, also
        from earlier commits."""
        message = new(self.store, parts=3)
        await self.accepted(message)
        await self.commit(outcomes(sent(message, "a", 1), sent(message, "b", 2), sent(message, "c", 3)))
        await self.commit(receipts(receipt("b", State.UNDELIVERABLE, 1, raw=b"second")))
        await self.commit(receipts(receipt("c", State.UNDELIVERABLE, 2, raw=b"third")))
        committed = await self.commit(receipts(receipt("a")))
        ((event,),) = ([one for one in committed.events if one.state > State.DELIVERED],)
        self.assertEqual((event.error, event.words), (1, "second"))

    async def test_u5_purged(self) -> None:
        """Words are deleted with their message; words about an unknown message are not stored."""
        message = await self.on_its_way("a", path="")
        await self.commit(receipts(receipt("a", State.UNDELIVERABLE, raw=RAW)))
        self.clock.advance(100)
        self.assertEqual(await self.store.purge(START + 99, START + 99, 10), (1, 0))
        await self.commit(outcomes(PartEnded(message, 1, State.REJECTED, 1, [busy("late")])))
        self.assertEqual(await self.store.last_words([message.id]), {})
