"""Incoming messages, calls and keys: assigned to an account, stored, and reported to it.

A message belongs to the account that has the number it came to. So does a call; at a number that accounts share, a call
belongs to the account that waits for a call from that phone. Keys pressed during a voice message belong to the account
that sent that message.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from twisted.internet.defer import Deferred, DeferredLock, ensureDeferred, succeed

from smsgw.config import Settings
from smsgw.interfaces import IMessageStore
from smsgw.model.address import NATIONAL, normalise
from smsgw.model.changes import Changes, Confirmation
from smsgw.model.errors import Refusal, Refused
from smsgw.model.message import CALLBACK, Incoming, IncomingKind
from smsgw.services.commits import Commits
from smsgw.services.metrics import ServiceMetrics

if TYPE_CHECKING:
    from smsgw.services.accounts import Accounts

WAIT: Final = 600.0
"""Seconds for which an account waits for a call."""

_NO_ACCOUNT: Final = Refused(Refusal.NO_ROUTE, "no account has this number")
_NO_CALLS: Final = Refused(Refusal.NO_ROUTE, "no account waits for a call to this number")
_NOT_ANSWERED: Final = Refused(Refusal.NO_ROUTE, "the message that these keys answer is unknown")
_DISABLED: Final = Refused(Refusal.NO_ROUTE, "the account of this number is gone or disabled")
_NONE_TAKES_CALLS: Final = Refused(Refusal.NO_ROUTE, "no number of the gateway takes calls for this account")
_ALL_TAKEN: Final = Refused(
    Refusal.QUEUE_FULL, "other accounts wait for a call from this phone at every number, try again later"
)
_BAD_PHONE: Final = Refused(Refusal.BAD_RECIPIENT, "the phone that is to call is not a number")


class IncomingSink(Protocol):
    """Takes incoming messages, calls and keys."""

    def incoming(self, connector: str, incoming: Sequence[Incoming]) -> Deferred[list[Refused | None]]:
        """The same as :meth:`smsgw.interfaces.IConnectorSink.incoming`."""


class IncomingRouter:
    """Assigns incoming messages, calls and keys to accounts, and stores which accounts wait for a call.

    :param now: absolute seconds since 1970.
    """

    def __init__(
        self,
        settings: Settings,
        store: IMessageStore,
        commits: Commits,
        accounts: Accounts,
        now: Callable[[], float],
        metrics: ServiceMetrics | None = None,
    ) -> None:
        self._store = store
        self._metrics = metrics or ServiceMetrics()
        self._commits = commits
        self._accounts = accounts
        self._now = now
        self._choosing = DeferredLock()
        self.apply(settings)

    def apply(self, settings: Settings) -> None:
        """Replace the numbers; accounts that wait for a call go on waiting."""
        self._numbers = settings.numbers
        self._national = NATIONAL[settings.gateway.country]

    def incoming(self, connector: str, incoming: Sequence[Incoming]) -> Deferred[list[Refused | None]]:
        """Store what subscribers sent, with the fields that the gateway fills in: id, account, path, callback.

        :return: fires after the synced commit; for each item None, or why it was refused and not stored.
        :raises StoreDown: or UnknownOutcome, through the Deferred: the upstream shall repeat all of them.
        """
        return ensureDeferred(self._incoming(connector, incoming))

    async def _incoming(self, connector: str, incoming: Sequence[Incoming]) -> list[Refused | None]:
        answers = [await self._assign(one) for one in incoming]
        stored = [one for one, refused in zip(incoming, answers, strict=True) if refused is None]
        if stored:
            for one in stored:
                one.id = self._store.next_id()
            await self._commits.commit(Changes(incoming=stored))
        for one, refused in zip(incoming, answers, strict=True):
            result = "stored" if refused is None else "refused"
            self._metrics.received[connector, one.kind.name.lower(), result] += 1
        return answers

    async def _assign(self, one: Incoming) -> Refused | None:
        """Fill in the account and the path of its report; or return why no account takes the item."""
        one.sender = self._number(one.sender)
        one.recipient = self._number(one.recipient)
        if one.kind is IncomingKind.KEYS:
            refused = await self._as_answer(one)
        else:
            refused = await self._at_number(one)
        if refused is not None:
            return refused
        account = self._accounts.get(one.account)
        if account is None or not account.settings.enabled:
            return _DISABLED
        one.path = CALLBACK if account.settings.callback or one.callback else ""
        return None

    async def _as_answer(self, keys: Incoming) -> Refused | None:
        """Assign keys to the account of the message during which they were pressed (002-130)."""
        (found,) = await self._store.find(None, [keys.answers])
        if len(found) != 1 or found[0].id != keys.answers:
            return _NOT_ANSWERED
        message = found[0]
        keys.account = message.account
        keys.sender = keys.sender or message.recipient
        keys.recipient = keys.recipient or message.content.sender
        if message.content.labels is not None:
            keys.callback = message.content.labels.callback
        return None

    async def _at_number(self, one: Incoming) -> Refused | None:
        """Assign a message or call to the account of its number; a call to a shared number to the account that waits
        for it."""
        number = self._numbers.get(one.recipient)
        if number is None:
            return _NO_ACCOUNT
        one.account = number.account
        if one.kind is IncomingKind.CALL:
            if not number.calls:
                return _NO_CALLS
            if not one.account:
                one.account = await self._store.find_confirmation(one.sender, one.recipient, self._now())
            return None if one.account else _NO_CALLS
        if not one.account:
            return _NO_ACCOUNT
        if one.answers:
            (found,) = await self._store.find(one.account, [one.answers])
            if not found:
                one.answers = 0
        return None

    def expect(self, account: str, phone: str) -> Deferred[Confirmation | Refused]:
        """Wait :data:`WAIT` seconds for a call from `phone` to one of our numbers. Fires after the synced commit, with
        the number to call, or with a refusal (BAD_RECIPIENT, NO_ROUTE, QUEUE_FULL).

        :raises StoreDown: or UnknownOutcome, through the Deferred.
        """
        number = normalise(phone, self._national)
        if number is None:
            return succeed(_BAD_PHONE)
        return ensureDeferred(self._expect(account, number))

    async def _expect(self, account: str, phone: str) -> Confirmation | Refused:
        """Choose one at a time, so that two accounts never wait for the same phone at the same shared number."""
        async with self._choosing:
            return await self._choose(account, phone)

    async def _choose(self, account: str, phone: str) -> Confirmation | Refused:
        candidates = [one for one in self._numbers.values() if one.calls and one.account in ("", account)]
        candidates.sort(key=lambda one: not one.account)
        if not candidates:
            return _NONE_TAKES_CALLS
        now = self._now()
        for number in candidates:
            if await self._store.find_confirmation(phone, number.name, now) in ("", account):
                confirmation = Confirmation(account, phone, number.name, now + WAIT)
                await self._commits.commit(Changes(confirmations=[confirmation]))
                return confirmation
        return _ALL_TAKEN

    def _number(self, written: str) -> str:
        """A number in international form; a name or a short code stays as it is, without a plus."""
        return normalise(written, self._national) or written.removeprefix("+")
