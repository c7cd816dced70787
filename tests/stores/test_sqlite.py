"""The SQLite store."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from smsgw.interfaces import IMessageStore
from smsgw.stores.groupcommit import Inline, Runner, StoreThread
from smsgw.stores.sqlite import SqliteStore
from tests.stores.conformance import MessageStoreTests


class InlineTests(MessageStoreTests, TestCase):
    """What every store promises, its work done at once: nothing depends on threads."""

    def runner(self) -> Runner:
        """Where the work is done."""
        return Inline()

    async def make_store(self) -> IMessageStore:
        self.path = self.mktemp()
        self.addCleanup(self.close)
        return self.opened()

    def opened(self) -> SqliteStore:
        """A store on this test's directory."""
        store = SqliteStore(self.path, "gw1", self.clock.seconds, self.runner())
        store.open()
        return store

    async def reopen(self) -> None:
        await self.store.close()
        self.store = self.opened()

    def close(self) -> Deferred[None]:
        """After the test."""
        return self.store.close()


class ThreadTests(InlineTests):
    """The same in a thread, as the program does it."""

    def runner(self) -> Runner:
        from twisted.internet import reactor

        return StoreThread(reactor)
