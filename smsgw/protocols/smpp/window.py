"""Requests of ours that await their response: numbers, matching, and what becomes of those that wait in vain."""

from __future__ import annotations

import enum
from collections.abc import Sequence as Ordered
from typing import Final, TypeAlias

from smsgw.smpp.consts import Status
from smsgw.smpp.pdus import GenericNack, Pdu, Request, Response
from smsgw.smpp.session import Sequence

LOST: Final = -1
"""Instead of a command_status: no response will come, and the request may have been taken."""

UNSENT: Final = int(Status.ESME_RX_R_APPN)
"""Instead of a command_status, without a response: the PDU cannot be encoded and was not sent."""

Answer: TypeAlias = tuple[object, int, Pdu | None]
"""(token, command_status, response), as a delegate is told."""


class SessionRequest(enum.Enum):
    """Tokens of the requests that a session makes for itself; they do not fill the window."""

    BIND = "bind"
    ENQUIRE_LINK = "enquire_link"
    UNBIND = "unbind"


class Window:
    """What was sent and not yet answered, oldest first.

    Times are those of the caller, who stops counting while it does not read.
    """

    __slots__ = ("_errands", "_sequence", "_waiting", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self._waiting: dict[int, tuple[object, type[Response], float]] = {}
        self._sequence = Sequence(self._waiting)
        self._errands = 0

    def __len__(self) -> int:
        """How many requests await their response, the session's own errands left out."""
        return len(self._waiting) - self._errands

    @property
    def idle(self) -> bool:
        """Whether nothing at all is awaited."""
        return not self._waiting

    def awaits(self, errand: SessionRequest) -> bool:
        """Whether this errand has not come back yet."""
        return any(token is errand for token, _, _ in self._waiting.values())

    def number(self, requests: Ordered[tuple[object, Pdu]], at: float) -> list[Pdu]:
        """Give each its number, and wait from `at` on for those that something answers."""
        waiting, next_number = self._waiting, self._sequence.next
        pdus = []
        for token, pdu in requests:
            pdu.sequence_number = number = next_number()
            response = pdu.response if isinstance(pdu, Request) else None
            if response is not None:
                waiting[number] = (token, response, at)
            pdus.append(pdu)
        return pdus

    def begin(self, errand: SessionRequest, pdu: Request, at: float) -> Request:
        """Give one of the session's own requests its number, and wait for it."""
        self._errands += 1
        self.number([(errand, pdu)], at)
        return pdu

    def forget(self, number: int) -> None:
        """It was never sent."""
        self._waiting.pop(number, None)

    def match(self, pdu: Pdu) -> Answer | None:
        """Whose answer this is; None if nobody asked.

        A response of the wrong type ends the request as lost: what it did is anybody's guess. A generic_nack ends it
        with its status, which is never taken for success.
        """
        entry = self._waiting.pop(pdu.sequence_number, None)
        if entry is None:
            return None
        token, response, _ = entry
        if token.__class__ is SessionRequest:
            self._errands -= 1
        if pdu.__class__ is response:
            return token, pdu.command_status, pdu
        if isinstance(pdu, GenericNack):
            return token, pdu.command_status or int(Status.ESME_RUNKNOWNERR), pdu
        return token, LOST, None

    def fail(self, number: int) -> Answer | None:
        """Its response came and cannot be read: whose request was that?"""
        entry = self._waiting.pop(number, None)
        if entry is None:
            return None
        if entry[0].__class__ is SessionRequest:
            self._errands -= 1
        return entry[0], LOST, None

    def expire(self, before: float) -> list[Answer]:
        """Give up those sent at or before a time."""
        late = []
        for number, (_, _, at) in self._waiting.items():
            if at > before:
                break
            late.append(number)
        return [answer for number in late if (answer := self.fail(number)) is not None]

    def lose(self) -> list[Answer]:
        """The link is gone: nothing more will come."""
        return [answer for number in list(self._waiting) if (answer := self.fail(number)) is not None]
