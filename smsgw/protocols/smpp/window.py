"""Our requests that await their response: sequence numbers, matching, expiry."""

from __future__ import annotations

import enum
from collections.abc import Sequence as Ordered
from typing import Final, TypeAlias

from smsgw.smpp.consts import Status
from smsgw.smpp.pdus import GenericNack, Pdu, Request, Response
from smsgw.smpp.session import Sequence

LOST: Final = -1
"""In place of a command_status: there is no response, and the peer may have processed the request."""

UNSENT: Final = int(Status.ESME_RX_R_APPN)
"""In place of a command_status, without a response: the PDU cannot be encoded and was not sent."""

Answer: TypeAlias = tuple[object, int, Pdu | None]
"""(token, command_status, response), as passed to the delegate."""


class SessionRequest(enum.Enum):
    """Tokens of the session's own requests; they do not count in the window."""

    BIND = "bind"
    ENQUIRE_LINK = "enquire_link"
    UNBIND = "unbind"


class RequestWindow:
    """The sent and unanswered requests, oldest first.

    The caller's clock stops while it does not read.
    """

    __slots__ = ("_own_requests", "_sequence", "_waiting", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self._waiting: dict[int, tuple[object, type[Response], float]] = {}
        self._sequence = Sequence(self._waiting)
        self._own_requests = 0

    def __len__(self) -> int:
        """How many requests await their response, without the session's own."""
        return len(self._waiting) - self._own_requests

    @property
    def idle(self) -> bool:
        """Whether no request awaits its response, the session's own included."""
        return not self._waiting

    def awaits(self, request: SessionRequest) -> bool:
        """Whether one of the session's own requests awaits its response."""
        return any(token is request for token, _, _ in self._waiting.values())

    def number(self, requests: Ordered[tuple[object, Pdu]], at: float) -> list[Pdu]:
        """Number requests, and await from `at` on the responses of those that have one."""
        waiting, next_number = self._waiting, self._sequence.next
        pdus = []
        for token, pdu in requests:
            pdu.sequence_number = number = next_number()
            response = pdu.response if isinstance(pdu, Request) else None
            if response is not None:
                waiting[number] = (token, response, at)
            pdus.append(pdu)
        return pdus

    def begin(self, request: SessionRequest, pdu: Request, at: float) -> Request:
        """Number one of the session's own requests, and await its response."""
        self._own_requests += 1
        self.number([(request, pdu)], at)
        return pdu

    def forget(self, number: int) -> None:
        """Remove a request that was not sent."""
        self._waiting.pop(number, None)

    def match(self, pdu: Pdu) -> Answer | None:
        """Return the answer to the request that a response belongs to; None if there is none.

        A response of the wrong type ends the request as lost, because its effect is unknown. A generic_nack ends it
        with its status; status 0 becomes ESME_RUNKNOWNERR.
        """
        entry = self._waiting.pop(pdu.sequence_number, None)
        if entry is None:
            return None
        token, response, _ = entry
        if token.__class__ is SessionRequest:
            self._own_requests -= 1
        if pdu.__class__ is response:
            return token, pdu.command_status, pdu
        if isinstance(pdu, GenericNack):
            return token, pdu.command_status or int(Status.ESME_RUNKNOWNERR), pdu
        return token, LOST, None

    def fail(self, number: int) -> Answer | None:
        """End a request as lost; return its answer, None if there is no such request."""
        entry = self._waiting.pop(number, None)
        if entry is None:
            return None
        if entry[0].__class__ is SessionRequest:
            self._own_requests -= 1
        return entry[0], LOST, None

    def expire(self, before: float) -> list[Answer]:
        """End the requests sent at or before a time as lost."""
        late = []
        for number, (_, _, at) in self._waiting.items():
            if at > before:
                break
            late.append(number)
        return [answer for number in late if (answer := self.fail(number)) is not None]

    def lose(self) -> list[Answer]:
        """End all requests as lost."""
        return [answer for number in list(self._waiting) if (answer := self.fail(number)) is not None]
