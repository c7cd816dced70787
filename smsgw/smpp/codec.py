"""Octets to PDUs and back.

:class:`Framer` cuts a stream into frames; ``decode`` and ``encode`` turn one frame into one PDU and back;
``decode_many`` and ``encode_many`` do so for what one read brought and one write takes.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from smsgw.smpp.consts import VERSION_3_4, Status
from smsgw.smpp.errors import Answerable, PduError, Unframed
from smsgw.smpp.fields import Unreadable
from smsgw.smpp.generate import UNUSUAL, UNWRITABLE, Decoder, Encoder, decoder, encoder
from smsgw.smpp.maxima import Maxima, raise_maxima, unfit
from smsgw.smpp.pdus import BY_ID, HEADER, GenericNack, Pdu, Response, SubmitMulti, WrittenDeliverSm, body
from smsgw.smpp.tlvs import TLV_TYPES, Tlv, read_tlvs

LIMIT: Final = 128 * 1024
"""Octets of the largest PDU that a Framer takes unless told otherwise."""

_HEADER: Final = struct.Struct(">IIII")
_LENGTH: Final = struct.Struct(">I")
_header_of: Final = _HEADER.unpack_from
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
            self.broken = Unframed(f"not SMPP but {intruder}", Status.ESME_RINVCMDLEN)
            return
        bound = f"less than {HEADER}" if length < HEADER else f"more than {self.limit}"
        sequence_number = _HEADER.unpack(start)[3] if len(start) == HEADER else 0
        self.broken = Unframed(f"command_length {length} is {bound}", Status.ESME_RINVCMDLEN, sequence_number)


class _Decoders(dict[int, Decoder]):
    """The generated decoders by command_id, each written when it is first wanted."""

    def __init__(self, tlvs: bool, maxima: Maxima | None = None) -> None:
        self._tlvs = tlvs
        self._maxima = maxima

    def __missing__(self, command_id: int) -> Decoder:
        cls = BY_ID[command_id]
        limits = None if self._maxima is None or issubclass(cls, Response) else self._maxima[cls.name]
        made = _decline if limits is not None and cls in _LISTS else decoder(cls, tlvs=self._tlvs, limits=limits)
        self[command_id] = made
        return made


class _Encoders(dict[type[Pdu], Encoder]):
    """The generated encoders by class, each written when it is first wanted."""

    def __init__(self, version_3_3: bool) -> None:
        self._version_3_3 = version_3_3

    def __missing__(self, cls: type[Pdu]) -> Encoder:
        made = self[cls] = _finish if cls is WrittenDeliverSm else encoder(cls, version_3_3=self._version_3_3)
        return made


def _finish(pdu: Any) -> bytes:
    """Put the header before a body that is written already."""
    octets: bytes = pdu.body
    return _HEADER.pack(HEADER + len(octets), pdu.command_id, 0, pdu.sequence_number) + octets


_LISTS: Final = frozenset({SubmitMulti})
_DECODERS: Final = _Decoders(tlvs=True)
_DECODERS_3_3: Final = _Decoders(tlvs=False)
_ENCODERS: Final = _Encoders(version_3_3=False)
_ENCODERS_3_3: Final = _Encoders(version_3_3=True)


def _decline(*_frame: object) -> Pdu:
    """Leave every frame of a command to the careful reader, which also looks into lists."""
    raise ValueError("entries of a list")


def decode(frame: bytes, version: int = VERSION_3_4) -> Pdu:
    """Read one frame as a Framer cuts it; for a peer of version 3.3 whatever follows the body is ignored.

    Raises Answerable, and nothing else: unknown command_id, a body that ends too soon, a C-Octet String of more than
    256 octets or without NUL, sm_length or a TLV past the end. Values are not judged.
    """
    decoders = _DECODERS if version >= VERSION_3_4 else _DECODERS_3_3
    try:
        _, command_id, status, sequence_number = _header_of(frame)
        return decoders[command_id](frame, status, sequence_number)
    except _UNKNOWN_OR_UNUSUAL:
        found = _read_with_care(frame, version >= VERSION_3_4)
    if isinstance(found, Answerable):
        raise found
    return found


Reader: TypeAlias = Callable[[Iterable[bytes]], list[Pdu | Answerable]]
"""Reads frames in order; a frame that cannot be read gives the Answerable in its place."""


def reader(version: int = VERSION_3_4, raised: Mapping[str, int] | None = None) -> Reader:
    """Return a function that decodes frames for a peer of a version and applies the maxima to requests as it goes.

    A request with a field that is too long becomes an Answerable with the status of that field; looking for that does
    not make decoding slower. ``raised`` replaces some maxima, as in ``maxima.raise_maxima``.
    """
    return _reader(version >= VERSION_3_4, tuple(sorted((raised or {}).items())))


@functools.cache
def _reader(tlvs: bool, raised: tuple[tuple[str, int], ...]) -> Reader:
    maxima = raise_maxima(dict(raised))
    return functools.partial(_read, _Decoders(tlvs, maxima), tlvs, maxima)


def decode_many(frames: Iterable[bytes], version: int = VERSION_3_4) -> list[Pdu | Answerable]:
    """Read frames in order; what ``decode`` would raise stands as a value in its place."""
    tlvs = version >= VERSION_3_4
    return _read(_DECODERS if tlvs else _DECODERS_3_3, tlvs, None, frames)


def _read(decoders: _Decoders, tlvs: bool, maxima: Maxima | None, frames: Iterable[bytes]) -> list[Pdu | Answerable]:
    header_of = _header_of
    found: list[Pdu | Answerable] = []
    for frame in frames:
        try:
            _, command_id, status, sequence_number = header_of(frame)
            found.append(decoders[command_id](frame, status, sequence_number))
        except _UNKNOWN_OR_UNUSUAL:
            found.append(_read_with_care(frame, tlvs, maxima))
    return found


def encode(pdu: Pdu, version: int = VERSION_3_4) -> bytes:
    """Write one PDU; for a peer of version 3.3 without TLVs and with a body in every response.

    A response with a non-zero status is a header only, unless it is one of those whose body then has a meaning
    (submit_sm_resp, submit_multi_resp, data_sm_resp, broadcast_sm_resp) and one was filled in. Raises PduError, with
    the field, for a value that does not fit: a NUL in a C-Octet String, an integer out of range, too long a text.
    """
    encoders = _ENCODERS if version >= VERSION_3_4 else _ENCODERS_3_3
    try:
        return encoders[pdu.__class__](pdu)
    except UNWRITABLE as unfit:
        raise _unwritable(pdu, unfit) from None


def encode_many(pdus: Iterable[Pdu], version: int = VERSION_3_4) -> bytes:
    """Write PDUs in order as one piece for one write; raises as ``encode`` does."""
    encoders = _ENCODERS if version >= VERSION_3_4 else _ENCODERS_3_3
    pdu: Pdu = GenericNack()
    pieces = []
    try:
        for pdu in pdus:
            pieces.append(encoders[pdu.__class__](pdu))
    except UNWRITABLE as unfit:
        raise _unwritable(pdu, unfit) from None
    return b"".join(pieces)


def refusal(wrong: Answerable | Unframed) -> Response | None:
    """Return the PDU that tells the peer of its fault, or None where a fault is never answered."""
    if isinstance(wrong, Unframed):
        return GenericNack(wrong.sequence_number, wrong.status)
    if wrong.answer_id is None:
        return None
    cls = BY_ID[wrong.answer_id]
    assert issubclass(cls, Response)
    return cls(wrong.sequence_number, wrong.status)


def _read_with_care(frame: bytes, tlvs: bool, maxima: Maxima | None = None) -> Pdu | Answerable:
    """Read a frame that a generated decoder declined: say what is wrong with it, or read a shape they leave out."""
    if len(frame) < HEADER:
        return Answerable(0, 0, Status.ESME_RINVCMDLEN, f"a frame of {len(frame)} octets is shorter than a header")
    _, command_id, status, sequence_number = _HEADER.unpack_from(frame)
    cls = BY_ID.get(command_id)
    if cls is None:
        return Answerable(
            sequence_number, command_id, Status.ESME_RINVCMDID, f"unknown command_id 0x{command_id:08X} at offset 4"
        )
    if issubclass(cls, Response) and status:
        return _read_failed(cls, frame, status, sequence_number, tlvs)
    pdu = cls(sequence_number)
    try:
        end = _read_body(pdu, frame)
        pdu.tlvs = _read_tail(frame, end, tlvs)
    except Unreadable as wrong:
        return Answerable(sequence_number, command_id, wrong.status, wrong.why)
    if maxima is not None and not pdu.is_response:
        unfit_status, name = unfit(pdu, maxima)
        if unfit_status:
            return Answerable(sequence_number, command_id, unfit_status, f"{name} has not the length it may have")
    return pdu


def _read_failed(cls: type[Response], frame: bytes, status: int, sequence_number: int, tlvs: bool) -> Response:
    """Read a response with a non-zero status: fields and TLVs, or TLVs where the fields belong, or what is left.

    The body of a failed response is optional, so that a peer with TLVs to send may leave out the fields before them.
    """
    rest = cls(sequence_number, status)
    if len(frame) == HEADER:
        return rest
    rest.raw = frame[HEADER:]
    whole, alone = cls(sequence_number, status), cls(sequence_number, status)
    try:
        end = _read_body(whole, frame)
        whole.tlvs = _read_tail(frame, end, tlvs)
        if not tlvs or len(frame) == end + _width(whole.tlvs):
            return whole
        rest = whole
    except Unreadable:
        pass
    try:
        alone.tlvs = _read_tail(frame, HEADER, tlvs)
        if len(frame) == HEADER + _width(alone.tlvs) and all(tag in TLV_TYPES for tag, _ in alone.tlvs):
            return alone
    except Unreadable:
        pass
    return rest


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
