"""Every engine keeps what every store promises."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from smsgw.interfaces import IMessageStore
from smsgw.stores import MessageStore
from smsgw.stores.memory import MemoryEngine, Tables
from smsgw.stores.sqlite import Inline, SqliteEngine, StoreThread
from smsgw.stores.sqlite.thread import Runner
from tests.stores.conformance import MessageStoreTests


class InlineTests(MessageStoreTests, TestCase):
    """SQLite, its work done at once: nothing depends on threads."""

    def runner(self) -> Runner:
        """Where the work is done."""
        return Inline()

    async def make_store(self) -> IMessageStore:
        self.path = self.mktemp()
        self.addCleanup(self.close)
        return await self.opened()

    async def opened(self) -> MessageStore:
        """A store on this test's directory."""
        store = MessageStore(SqliteEngine(self.path, self.runner()), "gw1", self.clock.seconds)
        await store.open()
        return store

    async def reopen(self) -> None:
        await self.store.close()
        self.store = await self.opened()

    def close(self) -> Deferred[None]:
        """After the test."""
        return self.store.close()


class ThreadTests(InlineTests):
    """SQLite in a thread, as the program does it."""

    def runner(self) -> Runner:
        from twisted.internet import reactor

        return StoreThread(reactor)


class MemoryTests(MessageStoreTests, TestCase):
    """Tables in memory, every step answered on a later turn of the reactor."""

    async def make_store(self) -> IMessageStore:
        self.tables = Tables()
        self.addCleanup(self.close)
        return await self.opened()

    async def opened(self) -> MessageStore:
        """A store on this test's tables."""
        from twisted.internet import reactor

        engine = MemoryEngine(self.tables, reactor.callLater)  # type: ignore[attr-defined]
        store = MessageStore(engine, "gw1", self.clock.seconds)
        await store.open()
        return store

    async def reopen(self) -> None:
        await self.store.close()
        self.store = await self.opened()

    def close(self) -> Deferred[None]:
        """After the test."""
        return self.store.close()
