"""What the conformance suite of stores is built on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from smsgw.interfaces import IMessageStore
from smsgw.model.changes import Changes, Committed
from smsgw.model.lifecycle import State
from smsgw.model.message import EventKind, Message
from tests.stores.support import START, as_tuples, new, outcomes, sent

if TYPE_CHECKING:
    Case = TestCase
else:
    Case = object

ENROUTE, FINAL = EventKind.ENROUTE, EventKind.FINAL

CHANGING = {"state", "changed", "sent", "remote_id", "claimed", "attempts", "unsent"}


def fields(message: Message) -> dict[str, object]:
    """All of a message that never changes."""
    return {name: value for name, value in attrs.asdict(message).items() if name not in CHANGING}


class StoreCase(Case):
    """A fresh store per test, on a clock of the test's."""

    store: IMessageStore
    clock: Clock

    async def make_store(self) -> IMessageStore:
        """A fresh, open store whose time is that of ``self.clock``."""
        raise NotImplementedError

    async def reopen(self) -> None:
        """Close ``self.store`` and open it again on the same data, as a restart of the program does."""
        raise NotImplementedError

    def setUp(self) -> Deferred[None]:  # type: ignore[override]
        """Make the store."""
        self.clock = Clock()
        self.clock.advance(START)

        async def make() -> None:
            self.store = await self.make_store()

        return Deferred.fromCoroutine(make())

    async def commit(self, changes: Changes) -> Committed:
        """One call, alone."""
        return await self.store.commit(changes)

    async def accepted(self, *messages: Message) -> None:
        """These are stored."""
        await self.commit(Changes(accepts=[*messages]))

    async def on_its_way(self, remote_id: str, **how: object) -> Message:
        """A message of one part that the upstream took."""
        message = new(self.store, **how)  # type: ignore[arg-type]
        await self.accepted(message)
        await self.commit(outcomes(sent(message, remote_id)))
        return message

    async def found(self, id: int) -> Message:
        """The message as it is stored now."""
        ((message,),) = await self.store.find(None, [id])
        return message

    async def states(self, *messages: Message) -> list[State]:
        """Their states now."""
        return [(await self.found(message.id)).state for message in messages]

    async def queue(self, connector: str = "sim", account: str = "demo") -> list[int]:
        """Ids of what waits and is due, in order."""
        return [m.id for m in await self.store.queue_page(connector, account, (-1000, 0), 1000)]

    async def claimed(self) -> list[tuple[int, int]]:
        """What a restart would find claimed: (id, seq)."""
        await self.reopen()
        return [(part.message.id, part.seq) for part in await self.store.recover_claims(0, 1000)]

    async def owed(self, path: str = "smpp", account: str = "demo") -> list[tuple[int, int, State, int]]:
        """Events not yet acknowledged."""
        return as_tuples(await self.store.events(account, path, (0, 0), 1000))
