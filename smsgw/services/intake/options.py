"""Validates what a client attaches to a message: lengths, and the hosts that the account allows for callbacks."""

from __future__ import annotations

from typing import Final

from smsgw.config import AccountSettings
from smsgw.model.callbackurl import host_of
from smsgw.model.content import Labels
from smsgw.model.errors import Refusal, Refused
from smsgw.model.message import Options
from smsgw.services.intake.content import INSISTED

LONGEST_CALLBACK: Final = 2048
"""The most characters of a message's own callback address."""

LONGEST_REFERENCE: Final = 255
"""The most characters of a client's reference for a message."""

LONGEST_COMMENT: Final = 1000
"""The most characters of a comment."""

_BAD_CALLBACK: Final = Refused(Refusal.BAD_CALLBACK)


def validate(options: Options, account: AccountSettings) -> Refused | None:
    """The refusal if `account` may not send with these options, else None."""
    if options.encoding not in INSISTED:
        return Refused(Refusal.BAD_ENCODING, f"encoding: one of {', '.join(filter(None, INSISTED))}, or none")
    labels = options.labels
    return None if labels is None else _unfit_labels(labels, account)


def _unfit_labels(labels: Labels, account: AccountSettings) -> Refused | None:
    if len(labels.reference) > LONGEST_REFERENCE:
        return Refused(Refusal.CANNOT_REGISTER, f"the reference is longer than {LONGEST_REFERENCE} characters")
    if len(labels.comment) > LONGEST_COMMENT:
        return Refused(Refusal.CANNOT_REGISTER, f"the comment is longer than {LONGEST_COMMENT} characters")
    if labels.callback and not _at_allowed_host(labels.callback, account):
        return _BAD_CALLBACK
    try:
        f"{labels.reference}{labels.comment}".encode()
    except UnicodeEncodeError:
        return Refused(Refusal.CANNOT_REGISTER, "the reference or the comment has a lone surrogate")
    return None


def _at_allowed_host(url: str, account: AccountSettings) -> bool:
    """Whether a message's own callback is at one of the account's ``callback_hosts``; if the account has none, at the
    host of its callback."""
    if len(url) > LONGEST_CALLBACK:
        return False
    try:
        host = host_of(url)
        allowed = account.callback_hosts or ((host_of(account.callback),) if account.callback else ())
    except ValueError:
        return False
    return host in {one.lower() for one in allowed}
