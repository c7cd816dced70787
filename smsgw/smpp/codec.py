"""Octets to PDUs and back.

:class:`Framer` cuts a stream into frames; ``decode`` and ``encode`` turn one frame into one PDU and back;
``decode_many`` and ``encode_many`` do so for what one read brought and one write takes.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterable, Sequence
from typing import Final

from smsgw.smpp.consts import VERSION_3_4, Status
from smsgw.smpp.errors import Answerable, PduError, Unframed
from smsgw.smpp.fields import Unreadable
from smsgw.smpp.generate import UNUSUAL, UNWRITABLE, Decoder, Encoder, decoder, encoder
from smsgw.smpp.pdus import BY_ID, HEADER, PDUS, GenericNack, Pdu, Response, body
from smsgw.smpp.tlvs import Tlv, read_tlvs

LIMIT: Final = 128 * 1024
"""Octets of the largest PDU that a Framer takes unless told otherwise."""

_HEADER: Final = struct.Struct(">IIII")
_LENGTH: Final = struct.Struct(">I")
_INTRUDERS: Final = (
    (b"\x16\x03", "a TLS handshake"),
    (b"SSH-", "an SSH client"),
    *((verb, "an HTTP request") for verb in (b"GET ", b"POST", b"PUT ", b"HEAD", b"OPTI", b"DELE", b"PATC", b"CONN")),
    (b"PRI ", "an HTTP/2 client"),
    (b"HTTP", "an HTTP reply"),
    (b"EHLO", "an SMTP client"),
    (b"HELO", "an SMTP client"),
)


_UNKNOWN_OR_UNUSUAL: Final = (KeyError, *UNUSUAL)


class Framer:
    """Cuts a stream into frames, bounded at both ends.

    ``feed`` returns the frames that are complete. When a command_length is impossible (less than 16, or above
    ``limit``: its four octets decide, nothing is kept) the frames before it are still returned, ``broken`` holds the
    Unframed to answer and close with, and whatever is fed later is ignored.
    """

    __slots__ = ("_held", "_length", "broken", "limit")

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self.broken: Unframed | None = None
        self._held = bytearray()
        self._length = 0

    @property
    def pending(self) -> int:
        """Octets held of a PDU that is not complete."""
        return len(self._held)

    def feed(self, data: bytes) -> list[bytes]:
        """Take what was read and return the frames that are now complete, in order."""
        frames: list[bytes] = []
        if self.broken is not None:
            return frames
        at = self._complete(data, frames) if self._held else 0
        size = len(data)
        limit = self.limit
        length_at = _LENGTH.unpack_from
        while size - at >= 4:
            (length,) = length_at(data, at)
            if not HEADER <= length <= limit:
                self._break(data[at : at + HEADER], length)
                return frames
            end = at + length
            if end > size:
                self._length = length
                break
            frames.append(data[at:end])
            at = end
        if at < size:
            self._held += data[at:]
        return frames

    def _complete(self, data: bytes, frames: list[bytes]) -> int:
        """Give the PDU that is held what it lacks; return how many octets of the data that took."""
        held = self._held
        at = 0
        if len(held) < 4:
            at = 4 - len(held)
            held += data[:at]
            if len(held) < 4:
                return len(data)
            (self._length,) = _LENGTH.unpack_from(held)
            if not HEADER <= self._length <= self.limit:
                self._break(bytes(held) + data[at : at + HEADER - 4], self._length)
                return len(data)
        end = at + self._length - len(held)
        if end > len(data):
            held += data[at:]
            return len(data)
        frames.append(b"".join((held, data[at:end])))
        held.clear()
        return end

    def _break(self, start: bytes, length: int) -> None:
        """Give the stream up; ``start`` is what is there of the header of the impossible PDU."""
        self._held.clear()
        intruder = next((who for mark, who in _INTRUDERS if start.startswith(mark)), None)
        if intruder is not None:
            self.broken = Unframed(f"not SMPP but {intruder}: {start!r}", Status.ESME_RINVCMDLEN)
            return
        bound = f"less than {HEADER}" if length < HEADER else f"more than {self.limit}"
        sequence_number = _HEADER.unpack(start)[3] if len(start) == HEADER else 0
        self.broken = Unframed(f"command_length {length} is {bound}", Status.ESME_RINVCMDLEN, sequence_number)


def _key(cls: type[Pdu]) -> bytes:
    return cls.command_id.to_bytes(4, "big")


_DECODERS: Final[dict[bytes, Decoder]] = {_key(cls): decoder(cls) for cls in PDUS}
_ENCODERS: Final[dict[type[Pdu], Encoder]] = {cls: encoder(cls) for cls in PDUS}


@functools.cache
def _decoders_3_3() -> dict[bytes, Decoder]:
    return {_key(cls): decoder(cls, tlvs=False) for cls in PDUS}


@functools.cache
def _encoders_3_3() -> dict[type[Pdu], Encoder]:
    return {cls: encoder(cls, version_3_3=True) for cls in PDUS}


def decode(frame: bytes, version: int = VERSION_3_4) -> Pdu:
    """Read one frame as a Framer cuts it; for a peer of version 3.3 whatever follows the body is ignored.

    Raises Answerable, and nothing else: unknown command_id, a body that ends too soon, a C-Octet String of more than
    256 octets or without NUL, sm_length or a TLV past the end. Values are not judged: see ``maxima``.
    """
    decoders = _DECODERS if version >= VERSION_3_4 else _decoders_3_3()
    try:
        return decoders[frame[4:8]](frame)
    except _UNKNOWN_OR_UNUSUAL:
        pass
    return _read_with_care(frame, version >= VERSION_3_4)


def decode_many(frames: Iterable[bytes], version: int = VERSION_3_4) -> list[Pdu | Answerable]:
    """Read frames in order; what ``decode`` would raise stands as a value in its place."""
    decoders = _DECODERS if version >= VERSION_3_4 else _decoders_3_3()
    found: list[Pdu | Answerable] = []
    for frame in frames:
        try:
            found.append(decoders[frame[4:8]](frame))
        except _UNKNOWN_OR_UNUSUAL:
            try:
                found.append(_read_with_care(frame, version >= VERSION_3_4))
            except Answerable as wrong:
                found.append(wrong)
    return found


def encode(pdu: Pdu, version: int = VERSION_3_4) -> bytes:
    """Write one PDU; for a peer of version 3.3 without TLVs and with a body in every response.

    A response with a non-zero status is a header only, unless it is one of those whose body then has a meaning
    (submit_sm_resp, submit_multi_resp, data_sm_resp, broadcast_sm_resp) and one was filled in. Raises PduError, with
    the field, for a value that does not fit: a NUL in a C-Octet String, an integer out of range, too long a text.
    """
    encoders = _ENCODERS if version >= VERSION_3_4 else _encoders_3_3()
    try:
        return encoders[pdu.__class__](pdu)
    except UNWRITABLE as unfit:
        raise _unwritable(pdu, unfit) from None


def encode_many(pdus: Iterable[Pdu], version: int = VERSION_3_4) -> bytes:
    """Write PDUs in order as one piece for one write; raises as ``encode`` does."""
    encoders = _ENCODERS if version >= VERSION_3_4 else _encoders_3_3()
    pdu: Pdu = GenericNack()
    pieces = []
    try:
        for pdu in pdus:
            pieces.append(encoders[pdu.__class__](pdu))
    except UNWRITABLE as unfit:
        raise _unwritable(pdu, unfit) from None
    return b"".join(pieces)


def refusal(wrong: Answerable | Unframed) -> Pdu | None:
    """Return the PDU that tells the peer of its fault, or None where a fault is never answered."""
    if isinstance(wrong, Unframed):
        return GenericNack(wrong.sequence_number, wrong.status)
    answer_id = wrong.answer_id
    if answer_id is None:
        return None
    return BY_ID[answer_id](wrong.sequence_number, wrong.status)


def _read_with_care(frame: bytes, tlvs: bool) -> Pdu:
    """Read a frame that a generated decoder declined: tell what is wrong with it, or read a shape they leave out."""
    if len(frame) < HEADER:
        raise Answerable(0, 0, Status.ESME_RINVCMDLEN, f"a frame of {len(frame)} octets is shorter than a header")
    _, command_id, status, sequence_number = _HEADER.unpack_from(frame)
    cls = BY_ID.get(command_id)
    if cls is None:
        raise Answerable(
            sequence_number, command_id, Status.ESME_RINVCMDID, f"unknown command_id 0x{command_id:08X} at offset 4"
        )
    if issubclass(cls, Response) and status:
        return _read_failed(cls, frame, status, sequence_number, tlvs)
    pdu = cls(sequence_number)
    try:
        end = _read_body(pdu, frame)
        pdu.tlvs = _read_tail(frame, end, tlvs)
    except Unreadable as wrong:
        raise Answerable(sequence_number, command_id, wrong.status, wrong.why) from None
    return pdu


def _read_failed(cls: type[Response], frame: bytes, status: int, sequence_number: int, tlvs: bool) -> Response:
    """Read a response with a non-zero status, whose body may be there, or only its TLVs, or something else."""
    if len(frame) == HEADER:
        return cls(sequence_number, status)
    for whole in (True, False):
        pdu = cls(sequence_number, status)
        try:
            end = _read_body(pdu, frame)
            pdu.tlvs = _read_tail(frame, end, tlvs)
        except Unreadable:
            pass
        else:
            if not whole or not tlvs or len(frame) == end + _width(pdu.tlvs):
                return pdu
        pdu = cls(sequence_number, status)
        try:
            pdu.tlvs = _read_tail(frame, HEADER, tlvs)
        except Unreadable:
            pass
        else:
            if pdu.tlvs and len(frame) == HEADER + _width(pdu.tlvs):
                return pdu
    return cls(sequence_number, status, raw=frame[HEADER:])


def _read_body(pdu: Pdu, frame: bytes) -> int:
    at = HEADER
    for name, wire in body(type(pdu)):
        value, at = wire.read(frame, at, name)
        setattr(pdu, name, value)
    return at


def _read_tail(frame: bytes, at: int, tlvs: bool) -> Sequence[Tlv]:
    if not tlvs or at == len(frame):
        return ()
    try:
        return read_tlvs(frame, at, len(frame))
    except ValueError as wrong:
        raise Unreadable(Status.ESME_RINVTLVSTREAM, str(wrong)) from None


def _width(tlvs: Sequence[Tlv]) -> int:
    return sum(4 + len(octets) for _, octets in tlvs)


def _unwritable(pdu: Pdu, unfit: Exception) -> PduError:
    """Say which value of a PDU cannot be written."""
    name = pdu.name
    try:
        for field, wire in body(type(pdu)):
            wire.write(getattr(pdu, field), field)
        for tag, octets in pdu.tlvs:
            if not isinstance(octets, bytes) or len(octets) > 0xFFFF or not 0 <= tag <= 0xFFFF:
                return PduError(f"{name}: TLV {tag!r} must have a tag of 2 octets and at most 65535 octets")
    except PduError as wrong:
        return PduError(f"{name}: {wrong.why}")
    return PduError(f"{name}: header or TLVs do not fit: {unfit}")
