"""A mail to contact lists: sent a page at a time under one batch id, so that no list is ever in memory as a whole."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from smsgw.config import ListSettings
from smsgw.interfaces import IIntake, IMessageStore
from smsgw.model.errors import Refusal, Refused, StoreFull
from smsgw.model.message import Accepted, Options, Submission
from smsgw.services.contacts import pages

PATIENCE: Final = 300
"""Tries, a second apart, for a page that the gateway has no room for now, or that the account sends too fast."""

_FULL: Final = frozenset({Refusal.QUEUE_FULL, Refusal.OVER_RATE})
_PASSED_OVER: Final = frozenset({Refusal.BAD_RECIPIENT, Refusal.NO_ROUTE, Refusal.SENDER_NOT_AGREED_FOR_OPERATOR})
"""Refusals of a page of which no number can be reached: the others go on."""

_log = Logger()


class ListSender:
    """Sends mails to lists.

    A page is stored by one commit; the reply comes after the last. When something fails in between, what was stored
    stays, the mail program is told to try again, and a mail with a Message-ID then goes on where it ended: pages that
    were stored are not stored again.

    :param run: calls a function in a thread. :param listener: the name of the listener.
    :param as_states: refusals that its dialect does not tell at once.
    """

    def __init__(
        self,
        intake: IIntake,
        store: IMessageStore,
        run: Callable[..., Deferred[Any]],
        clock: IReactorTime,
        listener: str,
        as_states: frozenset[Refusal],
    ) -> None:
        self._intake = intake
        self._store = store
        self._run = run
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
        """The batch id that covers `numbers` (from `source`) and all of `lists` (from senders of their own), or why
        nothing was sent.

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
                try:
                    page = await self._run(next, some, None)
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
        return batch if sent else refused or Refused(Refusal.BAD_RECIPIENT, "nobody is on the list")

    @staticmethod
    def _sources(
        source: str, numbers: Sequence[str], lists: Sequence[ListSettings]
    ) -> Iterator[tuple[str, Iterator[list[str]]]]:
        """Senders, and pages of numbers."""
        if numbers:
            yield source, iter([list(numbers)])
        for one in lists:
            yield one.sender, pages(one)

    async def _stored(self, submission: Submission) -> Accepted | Refused:
        """The answer for one page, as soon as there is room."""
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
