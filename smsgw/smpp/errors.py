"""The faults of octets on an SMPP session, and the answer to each.

After :class:`Answerable` the start of the next PDU is known and the session goes on. After :class:`Unframed` it is
unknown and only closing the connection is safe (5.0 section 3.2.3).
"""

from __future__ import annotations

from smsgw.smpp.consts import RESPONSE, CommandId

_WITHOUT_RESPONSE = frozenset({CommandId.ALERT_NOTIFICATION, CommandId.OUTBIND})
_REQUESTS = frozenset(int(command) for command in CommandId if command < RESPONSE)


class PduError(Exception):
    """A PDU that cannot be encoded or decoded; ``why`` names the field and, when decoding, its offset in the frame."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Answerable(PduError):
    """One frame is faulty: answer it with ``status`` and go on with the next frame.

    ``decode`` raises it; ``decode_many`` and ``session.judge`` return it as a value.
    """

    def __init__(self, sequence_number: int, command_id: int, status: int, why: str) -> None:
        super().__init__(why)
        self.sequence_number = sequence_number
        self.command_id = command_id
        self.status = int(status)

    @property
    def answer_id(self) -> int | None:
        """The command_id to answer with; None if the faulty PDU is a response, which is never answered."""
        if self.command_id & RESPONSE:
            return None
        if self.command_id in _REQUESTS and self.command_id not in _WITHOUT_RESPONSE:
            return self.command_id | RESPONSE
        return int(CommandId.GENERIC_NACK)

    def __repr__(self) -> str:
        return (
            f"Answerable(sequence_number={self.sequence_number}, command_id=0x{self.command_id:08X}, "
            f"status=0x{self.status:02X}, why={self.why!r})"
        )


class Unframed(PduError):
    """The start of the next PDU is unknown: answer generic_nack with this status and number, then close."""

    def __init__(self, why: str, status: int, sequence_number: int = 0) -> None:
        super().__init__(why)
        self.status = int(status)
        self.sequence_number = sequence_number

    def __repr__(self) -> str:
        return f"Unframed(why={self.why!r}, status=0x{self.status:02X}, sequence_number={self.sequence_number})"
