"""Sends a mail to contact lists in pages under one batch id, so that a list is never in memory as a whole."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Final

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from smsgw.config import ListSettings
from smsgw.interfaces import IIntake, IMessageStore
from smsgw.model.errors import Refusal, Refused, StoreFull
from smsgw.model.message import Accepted, Options, Submission
from smsgw.services.contacts import pages
from smsgw.services.fairworkers import FairWorkers

PATIENCE: Final = 300
"""Tries, a second apart, of a page that is refused because the queue is full or the account's rate is exceeded."""

_FULL: Final = frozenset({Refusal.QUEUE_FULL, Refusal.OVER_RATE})
_PASSED_OVER: Final = frozenset({Refusal.BAD_RECIPIENT, Refusal.NO_ROUTE, Refusal.SENDER_NOT_AGREED_FOR_OPERATOR})
"""Refusals of a page without a valid number; the other pages are still sent."""

_log = Logger()


class ListSender:
    """Sends mails to lists.

    Each page is stored by one commit; the reply follows the last. If a page fails, the stored pages remain and the mail
    program gets a temporary error. When it repeats a mail with a Message-ID, the stored pages are not stored again.

    :param workers: threads, in which the accounts take turns. :param listener: the name of the listener.
    :param as_states: refusals that become states in its dialect.
    """

    def __init__(
        self,
        intake: IIntake,
        store: IMessageStore,
        workers: FairWorkers,
        clock: IReactorTime,
        listener: str,
        as_states: frozenset[Refusal],
    ) -> None:
        self._intake = intake
        self._store = store
        self._workers = workers
        self._clock = clock
        self._listener = listener
        self._as_states = as_states

    async def send(
        self,
        account: str,
        source: str,
        numbers: Sequence[str],
        lists: Sequence[ListSettings],
        text: str,
        text_limit: int,
        message_id: str,
    ) -> int | Refused:
        """Send to `numbers` (from `source`) and all `lists` (from their own senders); return the batch id, or the
        refusal if no page was accepted.

        :raises smsgw.model.errors.GatewayError: the store failed; some pages may have been stored.
        """
        batch = self._store.next_id()
        digest = hashlib.sha256("\0".join((source, *numbers, *(one.name for one in lists), text)).encode()).digest()
        prefix = f"mail:{hashlib.sha256(message_id.encode()).hexdigest()[:32]}" if message_id else ""
        refused: Refused | None = None
        sent = False
        place = 0
        for sender, some in self._sources(source, numbers, lists):
            while True:
                reading = self._workers.run(account, next, some, None)
                if reading is None:
                    return Refused(Refusal.QUEUE_FULL)
                try:
                    page = await reading
                except (OSError, ValueError) as error:
                    _log.error("a contact list of {account} cannot be read: {why}", account=account, why=str(error))
                    return Refused(Refusal.STORE_DOWN, "a contact list cannot be read now")
                if page is None:
                    break
                key = f"{prefix}:{place}" if prefix else ""
                place += 1
                options = Options(key=key, digest=digest if key else b"", batch=batch)
                submission = Submission(
                    account,
                    "",
                    sender,
                    page,
                    text,
                    text_limit=text_limit,
                    as_states=self._as_states,
                    options=options,
                    login=account,
                    listener=self._listener,
                )
                answer = await self._stored(submission)
                if isinstance(answer, Accepted):
                    batch = answer.id
                    sent = True
                elif answer.refusal in _PASSED_OVER:
                    refused = refused or answer
                else:
                    return answer
        return batch if sent else refused or Refused(Refusal.BAD_RECIPIENT, "the contact list is empty")

    @staticmethod
    def _sources(
        source: str, numbers: Sequence[str], lists: Sequence[ListSettings]
    ) -> Iterator[tuple[str, Iterator[list[str]]]]:
        """Yield each sender with its pages of numbers."""
        if numbers:
            yield source, iter([list(numbers)])
        for one in lists:
            yield one.sender, pages(one)

    async def _stored(self, submission: Submission) -> Accepted | Refused:
        """Submit one page, again while it is refused for lack of room; return the result."""
        tries = 0
        while True:
            answer: Accepted | Refused
            try:
                (answer,) = await self._intake.submit([submission])
            except StoreFull:
                answer = Refused(Refusal.QUEUE_FULL)
            if isinstance(answer, Accepted) or answer.refusal not in _FULL or tries >= PATIENCE:
                return answer
            tries += 1
            await deferLater(self._clock, 1.0)
