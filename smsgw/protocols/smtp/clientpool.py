"""Sessions with one ESMTP server that are used again: a few at a time, mails wait for their turn."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred, DeferredList, DeferredSemaphore, ensureDeferred

from smsgw.protocols.smtp.client import SmtpClient
from smsgw.protocols.smtp.failures import SmtpFailed
from smsgw.protocols.smtp.serverreply import ServerReply


class SmtpPool:
    """Hands mails to sessions, each of which takes one at a time.

    :param connect: opens a session; fails with :class:`~smsgw.protocols.smtp.failures.SmtpFailed`.
    :param most: sessions at a time.
    """

    def __init__(self, connect: Callable[[], Deferred[SmtpClient]], most: int) -> None:
        self._connect = connect
        self._turns = DeferredSemaphore(most)
        self._idle: list[SmtpClient] = []

    def send(self, sender: str, recipients: Sequence[str], message: bytes) -> Deferred[list[ServerReply]]:
        """As :meth:`smsgw.protocols.smtp.client.SmtpClient.send`, when a session is free."""
        return self._turns.run(lambda: ensureDeferred(self._send(sender, recipients, message)))

    def close(self) -> Deferred[None]:
        """Take leave of the server. Fires when every idle session is closed; call it when no mail is under way."""
        leaving = [session.quit() for session in self._idle]
        self._idle.clear()
        return DeferredList(leaving).addCallback(lambda _: None)

    async def _send(self, sender: str, recipients: Sequence[str], message: bytes) -> list[ServerReply]:
        session = await self._session()
        try:
            return await session.send(sender, recipients, message)
        finally:
            if session.usable:
                self._idle.append(session)

    async def _session(self) -> SmtpClient:
        """An idle session that still lives, else a new one."""
        while self._idle:
            session = self._idle.pop()
            try:
                await session.reset()
            except SmtpFailed:
                continue  # the server closed it meanwhile
            return session
        return await self._connect()
