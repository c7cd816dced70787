"""The port of the Rostelecom API: its delegate."""

from __future__ import annotations

import attrs
from twisted.internet.defer import Deferred
from zope.interface import Interface


@attrs.frozen
class ApiError:
    """A refusal of the Rostelecom API: the word for its reason, and its HTTP status."""

    reason: str
    status: int = 200


@attrs.frozen
class MessageStatus:
    """The status of one message in the Rostelecom API.

    :ivar created_at, updated_at: seconds since 1970 of the acceptance and of the last change of state.
    :ivar pdu_count: number of parts, None if it is not known.
    :ivar status: ``delivered``, ``awaiting_report``, ``failed``, ``insufficient_balance`` or ``rejected``.
    :ivar error_code: the error code, shown only if the status is ``rejected``.
    """

    created_at: int
    updated_at: int
    msisdn: str
    pdu_count: int | None
    status: str
    text: str
    error_code: int | None = None


class IJsonDelegate(Interface):
    """The delegate of the Rostelecom API. If a Deferred fails, the client gets ``system_error``."""

    def login(login: bytes, password: bytes, peer: str) -> Deferred[str | ApiError]:
        """Fire with the name of the account if the credentials are valid for the address `peer`.

        An empty login means that the password is an API key."""

    def submit(account: str, msisdn: str, shortcode: str, text: str) -> Deferred[str | ApiError]:
        """Fire with the id of the message (letters and digits) after it is stored.

        `msisdn` is an international number, digits only; `shortcode` and `text` are as the client wrote them. The
        text may be empty: the delegate checks the sender before the text."""

    def status(account: str, id: str) -> Deferred[MessageStatus | ApiError]:
        """Fire with the status of the message; an unknown id and the id of another account get the same refusal."""
