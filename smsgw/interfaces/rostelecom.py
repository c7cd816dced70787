"""The Rostelecom API: what its resource asks of its delegate."""

from __future__ import annotations

import attrs
from twisted.internet.defer import Deferred
from zope.interface import Interface


@attrs.frozen
class ApiError:
    """The no of a JSON API: the word that says why, and the HTTP status it comes with."""

    reason: str
    status: int = 200


@attrs.frozen
class MessageStatus:
    """What a JSON API tells of one message.

    :ivar created_at, updated_at: seconds since 1970 of the acceptance and of the last change of state.
    :ivar pdu_count: parts, None where that is not known.
    :ivar status: ``delivered``, ``awaiting_report``, ``failed``, ``insufficient_balance`` or ``rejected``.
    :ivar error_code: why, shown only where the status is ``rejected``.
    """

    created_at: int
    updated_at: int
    msisdn: str
    pdu_count: int | None
    status: str
    text: str
    error_code: int | None = None


class IJsonDelegate(Interface):
    """What the JSON API asks of the program it is embedded in. A failed Deferred is answered ``system_error``."""

    def login(login: bytes, password: bytes, peer: str) -> Deferred[str | ApiError]:
        """The name of the account, if the credentials are right and may be used from the address `peer`.

        An empty login means that the password is an API key."""

    def submit(account: str, msisdn: str, shortcode: str, text: str) -> Deferred[str | ApiError]:
        """The id of the message (letters and digits), which is stored by then.

        `msisdn` is an international number, digits only; `shortcode` and `text` are as the client wrote them, the
        text perhaps empty: whether the sender may be used is looked at first."""

    def status(account: str, id: str) -> Deferred[MessageStatus | ApiError]:
        """What became of the message with this id; the same no for a wrong id and for another account's."""
