"""Resolves the sender of a message: the account's agreed senders, and the operators for which they are agreed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs

from smsgw.config import AccountSettings, Globs, Settings
from smsgw.model.address import sender_kind
from smsgw.model.errors import Refusal, Refused

_REMEMBERED: Final = 1000
"""Senders cached per account, agreed and refused."""


@attrs.frozen
class Sender:
    """A sender as it is sent to upstreams.

    :ivar operators: patterns of the recipients for which it is agreed; None for all recipients.
    """

    value: str
    ton: int
    npi: int
    operators: tuple[Globs, ...] | None

    def agreed_for(self, number: str) -> bool:
        """Whether this sender may send to `number` (004-190)."""
        return self.operators is None or any(numbers.matches(number) for numbers in self.operators)


class Senders:
    """Resolves the sender that a client gave into an agreed sender."""

    def __init__(self, settings: Settings) -> None:
        self.apply(settings)

    def apply(self, settings: Settings) -> None:
        """Replace the sender names and operators."""
        operators = settings.operators
        self._operators = {
            sender.name: tuple(operators[name].numbers for name in sender.operators) if sender.operators else None
            for sender in settings.senders.values()
        }
        self._known: dict[tuple[str, str], tuple[AccountSettings, Sender | Refused]] = {}

    def resolve(self, account: AccountSettings, written: str) -> Sender | Refused:
        """The agreed sender for what a client of `account` gave as `written`; empty: the account's default sender."""
        key = (account.name, written)
        known = self._known.get(key)
        if known is not None and known[0] is account:
            return known[1]
        answer = self._resolve(account, written)
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[key] = (account, answer)
        return answer

    def _resolve(self, account: AccountSettings, written: str) -> Sender | Refused:
        value = written or account.default_sender
        if not value:
            return Refused(Refusal.SENDER_NOT_AGREED, "no sender is given and the account has no default sender")
        kind = sender_kind(value)
        if kind is None:
            return Refused(
                Refusal.BAD_SENDER, "a sender is a name of at most 11 Latin letters or a number of at most 15 digits"
            )
        agreed = value if "*" in account.senders else _agreed(account.senders, value)
        if agreed is None:
            return Refused(Refusal.SENDER_NOT_AGREED)
        return Sender(agreed.removeprefix("+"), *kind, self._operators.get(agreed))


def _agreed(senders: Sequence[str], value: str) -> str | None:
    """The agreed spelling of `value`: case counts only where two agreed names differ in nothing else."""
    if value in senders:
        return value
    folded = value.casefold()
    return next((sender for sender in senders if sender.casefold() == folded), None)
