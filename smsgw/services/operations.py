"""What an administrator asks of the running gateway: to send again, to try now, to pause, to move messages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Final

import attrs
from twisted.internet.defer import Deferred

from smsgw.interfaces import IConnector, IMessageStore, IRetrying
from smsgw.model.content import Labels
from smsgw.model.errorcodes import ErrorCode
from smsgw.model.errors import NotPossible, Refusal
from smsgw.model.lifecycle import FINAL, Notify, State
from smsgw.model.message import Message
from smsgw.services.dispatch import Dispatch
from smsgw.services.routing import Router

PAGE: Final = 1_000
"""Messages handled in one commit."""

_FIRST: Final = (-(1 << 31), 0)
"""Below every (-priority, id) of a queue."""


class Operations:
    """Carries out the wishes. Each method that fails leaves the messages as they were, or a part of them done.

    :param connectors: all of them by name. :param now: absolute seconds since 1970.
    """

    def __init__(
        self,
        store: IMessageStore,
        dispatch: Dispatch,
        router: Router,
        connectors: Mapping[str, IConnector],
        now: Callable[[], float],
    ) -> None:
        self._store = store
        self._dispatch = dispatch
        self._router = router
        self._connectors = connectors
        self._now = now

    def pause(self, connector: str) -> None:
        """Send nothing more over a connector until :meth:`resume` or a restart; new messages prefer the other
        connectors of their routes.

        :raises NotPossible: there is no such connector.
        """
        self._check(connector)
        self._dispatch.pause(connector)

    def resume(self, connector: str) -> None:
        """End the pause of a connector.

        :raises NotPossible: there is no such connector.
        """
        self._check(connector)
        self._dispatch.resume(connector)

    def retry(self, connector: str) -> Deferred[int]:
        """Try now, not after the pauses that follow failures: the link, and the messages that wait for another attempt.
        Fires with the number of these messages.

        :raises NotPossible: (through the Deferred, as StoreDown and UnknownOutcome) there is no such connector.
        """
        return Deferred.fromCoroutine(self._retry(connector))

    async def _retry(self, connector: str) -> int:
        self._check(connector)
        if IRetrying.providedBy(self._connectors[connector]):
            self._connectors[connector].retry()  # type: ignore[attr-defined]
        count = 0
        async for page in self._pausing(connector):
            count += len(await self._dispatch.requeue(page, connector))
        return count

    def move(self, connector: str, other: str) -> Deferred[tuple[int, int]]:
        """Queue the messages that wait for `connector`, or pause before another attempt, for `other`. Fires with the
        numbers of those that moved and of those that stay: partly sent messages that `other` cannot finish, and those
        that are about to be sent. Scheduled and held messages are not touched.

        :raises NotPossible: (through the Deferred, as StoreDown and UnknownOutcome) there is no such connector.
        """
        return Deferred.fromCoroutine(self._move(connector, other))

    async def _move(self, connector: str, other: str) -> tuple[int, int]:
        self._check(other)
        if connector == other:
            raise NotPossible("a connector cannot take over its own messages")
        waiting = await self._store.queue_depth(connector)
        if connector not in self._dispatch and not waiting:
            self._check(connector)
        moved = seen = 0
        async for page in self._pausing(connector):
            seen += len(page)
            moved += await self._move_page(page, other)
        for account, count in waiting.items():
            after = _FIRST
            while count > 0:
                page = await self._store.queue_page(connector, account, after, min(count, PAGE))
                if not page:
                    break
                after = (-page[-1].priority, page[-1].id)
                count -= len(page)
                seen += len(page)
                moved += await self._move_page(page, other)
        return moved, seen - moved

    async def _move_page(self, page: Sequence[Message], other: str) -> int:
        movable = [message for message in page if self._router.may_move(message, other)]
        return len(await self._dispatch.requeue(movable, other)) if movable else 0

    async def _pausing(self, connector: str) -> AsyncIterator[list[Message]]:
        """Pages of the messages that pause before another attempt."""
        after: tuple[float, int] | None = (0.0, 0)
        while after is not None:
            page, after = await self._store.retry_page(connector, after, PAGE)
            if page:
                yield page

    def resend(self, id: int) -> Deferred[int]:
        """Send a message again: one that pauses before another attempt or is held, now; of one that ended without
        being delivered, a copy with a new id, of which its account gets no report. Fires with the id of the message
        that is sent.

        :raises NotPossible: (through the Deferred, as StoreDown and UnknownOutcome) the message is unknown, delivered,
            or still on its way.
        """
        return Deferred.fromCoroutine(self._resend(id))

    async def _resend(self, id: int) -> int:
        ((*found,),) = await self._store.find(None, [id])
        if len(found) != 1 or found[0].id != id:
            raise NotPossible(Refusal.UNKNOWN_ID.value, unknown=True)
        message = found[0]
        state = message.state
        if state is State.DELIVERED:
            raise NotPossible("the message is delivered")
        if state is State.REFUSED and message.error != ErrorCode.NO_ROUTE:
            raise NotPossible("the gateway refused the message; its client has to submit another one")
        if state in FINAL:
            return await self._copy(message)
        if message.claimed:
            raise NotPossible(f"the message is with {message.connector}, whose answer is awaited")
        if state is State.ENROUTE and not message.unsent:
            raise NotPossible(f"{message.connector} took the message, and its receipt is awaited")
        if state is State.SCHEDULED:
            raise NotPossible("the message is scheduled; it is not due yet")
        if message.due <= self._now() or not await self._dispatch.requeue([message], message.connector):
            raise NotPossible(f"the message waits for {message.connector} already")
        return id

    async def _copy(self, message: Message) -> int:
        now = self._now()
        content = message.content
        labels = content.labels or Labels()
        comment = f"resent from {message.id}"
        copy = attrs.evolve(
            message,
            id=self._store.next_id(),
            path="",
            notify=Notify.NOTHING,
            connector=self._router.reroute(message),
            state=State.QUEUED,
            claimed=False,
            attempts=0,
            expires=now + message.expires - message.created if message.expires else 0.0,
            created=now,
            changed=now,
            due=0.0,
            error=0,
            batch=0,
            content=attrs.evolve(content, labels=attrs.evolve(labels, comment=comment)),
            sent=0.0,
            remote_id="",
            unsent=(),
        )
        if copy.connector not in self._dispatch:
            raise NotPossible(Refusal.NO_ROUTE.value)
        await self._dispatch.accept([copy])
        return copy.id

    def _check(self, connector: str) -> None:
        if connector not in self._dispatch:
            raise NotPossible(f"there is no connector {connector}", unknown=True)
