"""A pool of sessions with one ESMTP server; mails wait for a free session."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred, DeferredList, DeferredSemaphore, ensureDeferred

from smsgw.protocols.smtp.client import SmtpClient
from smsgw.protocols.smtp.failures import SmtpFailed
from smsgw.protocols.smtp.serverreply import ServerReply


class SmtpPool:
    """Sends mails over its sessions, one at a time over each.

    :param connect: opens a session; fails with :class:`~smsgw.protocols.smtp.failures.SmtpFailed`.
    :param most: highest number of sessions.
    """

    def __init__(self, connect: Callable[[], Deferred[SmtpClient]], most: int) -> None:
        self._connect = connect
        self._turns = DeferredSemaphore(most)
        self._idle: list[SmtpClient] = []

    def send(self, sender: str, recipients: Sequence[str], message: bytes) -> Deferred[list[ServerReply]]:
        """Send one mail when a session is free; for parameters and errors see
        :meth:`smsgw.protocols.smtp.client.SmtpClient.send`."""
        return self._turns.run(lambda: ensureDeferred(self._send(sender, recipients, message)))

    def close(self) -> Deferred[None]:
        """Quit all idle sessions; the Deferred fires when they are closed. Call it when no mail is being sent."""
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
        """Return an idle session that is still open, else a new one."""
        while self._idle:
            session = self._idle.pop()
            try:
                await session.reset()
            except SmtpFailed:
                continue  # the server closed it meanwhile
            return session
        return await self._connect()
