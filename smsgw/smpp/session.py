"""The rules of an SMPP session, pure: states, the PDUs that each end may send in each, versions, sequence numbers.

A session holds a :class:`SessionState`, looks up ``allowed(sender, state)`` once per change of state, and calls
:func:`judge` only for PDUs outside that set.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Container
from typing import Final

from smsgw.smpp.consts import RESPONSE, VERSION_3_3, VERSION_3_4, VERSION_5_0, CommandId, Status
from smsgw.smpp.errors import Answerable
from smsgw.smpp.pdus import Bind, Pdu


class Role(enum.Enum):
    """One end of a session."""

    ESME = "ESME"
    MC = "MC"


class SessionState(enum.Enum):
    """The state of a session (5.0 section 2.2), the same at both ends."""

    OPEN = "open"
    OUTBOUND = "outbound"
    """The message centre has connected and sent outbind; a bind request is awaited."""
    BOUND_TX = "bound_tx"
    BOUND_RX = "bound_rx"
    BOUND_TRX = "bound_trx"
    UNBOUND = "unbound"
    """unbind has been answered; the connection is still up."""
    CLOSED = "closed"

    @property
    def bound(self) -> bool:
        """Whether a bind is in force."""
        return self in _BOUND

    @property
    def submits(self) -> bool:
        """Whether the ESME may submit messages."""
        return self in _SUBMITS

    @property
    def receives(self) -> bool:
        """Whether the message centre may deliver messages."""
        return self in _RECEIVES


_UNBOUND_YET: Final = frozenset({SessionState.OPEN, SessionState.OUTBOUND})
_SUBMITS: Final = frozenset({SessionState.BOUND_TX, SessionState.BOUND_TRX})
_RECEIVES: Final = frozenset({SessionState.BOUND_RX, SessionState.BOUND_TRX})
_BOUND: Final = _SUBMITS | _RECEIVES
_LEAVING: Final = _BOUND | {SessionState.UNBOUND}
_CONNECTED: Final = _UNBOUND_YET | _LEAVING
_ONLY_OPEN: Final = frozenset({SessionState.OPEN})
_NEVER: Final[frozenset[SessionState]] = frozenset()

# 5.0 section 2.4, the operation matrix, with three decisions: an unbind_resp may be sent by a bound end and after
# crossed unbinds; replace_sm follows submit_sm; a session accepts one bind.
MATRIX: Final[dict[CommandId, tuple[frozenset[SessionState], frozenset[SessionState]]]] = {
    #                                        the ESME may send in    the MC may send in
    CommandId.BIND_RECEIVER:                 (_UNBOUND_YET,          _NEVER),
    CommandId.BIND_RECEIVER_RESP:            (_NEVER,                _UNBOUND_YET),
    CommandId.BIND_TRANSMITTER:              (_UNBOUND_YET,          _NEVER),
    CommandId.BIND_TRANSMITTER_RESP:         (_NEVER,                _UNBOUND_YET),
    CommandId.BIND_TRANSCEIVER:              (_UNBOUND_YET,          _NEVER),
    CommandId.BIND_TRANSCEIVER_RESP:         (_NEVER,                _UNBOUND_YET),
    CommandId.OUTBIND:                       (_NEVER,                _ONLY_OPEN),
    CommandId.UNBIND:                        (_BOUND,                _BOUND),
    CommandId.UNBIND_RESP:                   (_LEAVING,              _LEAVING),
    CommandId.SUBMIT_SM:                     (_SUBMITS,              _NEVER),
    CommandId.SUBMIT_SM_RESP:                (_NEVER,                _SUBMITS),
    CommandId.SUBMIT_MULTI:                  (_SUBMITS,              _NEVER),
    CommandId.SUBMIT_MULTI_RESP:             (_NEVER,                _SUBMITS),
    CommandId.DATA_SM:                       (_SUBMITS,              _RECEIVES),
    CommandId.DATA_SM_RESP:                  (_RECEIVES,             _SUBMITS),
    CommandId.DELIVER_SM:                    (_NEVER,                _RECEIVES),
    CommandId.DELIVER_SM_RESP:               (_RECEIVES,             _NEVER),
    CommandId.QUERY_SM:                      (_SUBMITS,              _NEVER),
    CommandId.QUERY_SM_RESP:                 (_NEVER,                _SUBMITS),
    CommandId.CANCEL_SM:                     (_SUBMITS,              _NEVER),
    CommandId.CANCEL_SM_RESP:                (_NEVER,                _SUBMITS),
    CommandId.REPLACE_SM:                    (_SUBMITS,              _NEVER),
    CommandId.REPLACE_SM_RESP:               (_NEVER,                _SUBMITS),
    CommandId.ALERT_NOTIFICATION:            (_NEVER,                _RECEIVES),
    CommandId.BROADCAST_SM:                  (_SUBMITS,              _NEVER),
    CommandId.BROADCAST_SM_RESP:             (_NEVER,                _SUBMITS),
    CommandId.QUERY_BROADCAST_SM:            (_SUBMITS,              _NEVER),
    CommandId.QUERY_BROADCAST_SM_RESP:       (_NEVER,                _SUBMITS),
    CommandId.CANCEL_BROADCAST_SM:           (_SUBMITS,              _NEVER),
    CommandId.CANCEL_BROADCAST_SM_RESP:      (_NEVER,                _SUBMITS),
    CommandId.ENQUIRE_LINK:                  (_CONNECTED,            _CONNECTED),
    CommandId.ENQUIRE_LINK_RESP:             (_CONNECTED,            _CONNECTED),
    CommandId.GENERIC_NACK:                  (_CONNECTED,            _CONNECTED),
}  # fmt: skip
"""For each operation, the states in which the ESME and the MC may send it; all else is illegal."""

BOUND_BY: Final[dict[int, SessionState]] = {
    CommandId.BIND_TRANSMITTER: SessionState.BOUND_TX,
    CommandId.BIND_RECEIVER: SessionState.BOUND_RX,
    CommandId.BIND_TRANSCEIVER: SessionState.BOUND_TRX,
}
"""The state of a session after a positive answer to each bind request."""


SINCE: Final[dict[CommandId, int]] = {
    CommandId.BIND_TRANSCEIVER: VERSION_3_4,
    CommandId.OUTBIND: VERSION_3_4,
    CommandId.ALERT_NOTIFICATION: VERSION_3_4,
    CommandId.DATA_SM: VERSION_3_4,
    CommandId.BROADCAST_SM: VERSION_5_0,
    CommandId.QUERY_BROADCAST_SM: VERSION_5_0,
    CommandId.CANCEL_BROADCAST_SM: VERSION_5_0,
}
"""The operations that are newer than 3.3, and the first version of each."""


@functools.cache
def allowed(sender: Role, state: SessionState, version: int = VERSION_5_0) -> frozenset[int]:
    """Return the command_ids that one end may send in a state, on a session of a version."""
    column = 0 if sender is Role.ESME else 1
    return frozenset(
        int(command) for command, row in MATRIX.items() if state in row[column] and _since(command) <= version
    )


def _since(command_id: int) -> int:
    if command_id == CommandId.GENERIC_NACK:
        return VERSION_3_3
    return SINCE.get(CommandId(command_id & ~RESPONSE), VERSION_3_3)


def judge(pdu: Pdu, sender: Role, state: SessionState, version: int = VERSION_5_0) -> Answerable | None:
    """Return None for a PDU that its sender may send in this state, else the Answerable to answer with.

    A request is answered ESME_RINVBNDSTS by its own response (by generic_nack if it has none), a bind on a bound
    session ESME_RALYBND, an operation newer than the session's version ESME_RINVCMDID. A misplaced response has
    ``answer_id`` None and is ignored. (5.0 sections 2.4, 2.8)
    """
    command_id = pdu.command_id
    if command_id in allowed(sender, state, version):
        return None
    status = Status.ESME_RINVBNDSTS
    if isinstance(pdu, Bind) and state.bound:
        status = Status.ESME_RALYBND
    elif _since(command_id) > version:
        status = Status.ESME_RINVCMDID
    why = f"{pdu.name} from the {sender.value} while {state.value}, version 0x{version:02X}"
    return Answerable(pdu.sequence_number, command_id, int(status), why)


def negotiate(announced: int, offered: int = VERSION_5_0) -> int:
    """Return the version of a session (0x33, 0x34 or 0x50): the lower of both ends' interface_version octets."""
    return min(_version(announced), _version(offered))


def _version(octet: int) -> int:
    if octet < VERSION_3_4:
        return VERSION_3_3
    return VERSION_5_0 if octet >= VERSION_5_0 else VERSION_3_4


class Sequence:
    """Sequence numbers of our requests on one connection: 1 to 0x7FFFFFFF, then again from 1.

    ``in_use`` holds the numbers of requests that still await their response; :meth:`next` skips them.
    """

    __slots__ = ("_in_use", "_last")

    LAST: Final = 0x7FFF_FFFF

    def __init__(self, in_use: Container[int] = (), last: int = 0) -> None:
        self._in_use = in_use
        self._last = last

    def next(self) -> int:
        """Return the next free number."""
        number = self._last
        while True:
            number = number + 1 if number < self.LAST else 1
            if number not in self._in_use:
                self._last = number
                return number
