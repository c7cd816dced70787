"""Decoding and encoding of PDUs.

:class:`Framer` cuts a stream into frames. ``decode`` reads one frame, ``encode`` writes one PDU; ``decode_many`` and
``encode_many`` do so for all frames of one read and all PDUs of one write.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from smsgw.smpp.consts import VERSION_3_3, VERSION_3_4, VERSION_5_0, Status
from smsgw.smpp.errors import Answerable, PduError, Unframed
from smsgw.smpp.fields import Text, Unreadable
from smsgw.smpp.generate import UNUSUAL, UNWRITABLE, Decoder, Encoder, decoder, encoder
from smsgw.smpp.maxima import Maxima, length_fault, raise_maxima
from smsgw.smpp.pdus import BY_ID, HEADER, PDUS, GenericNack, Pdu, Response, SubmitMulti, WrittenDeliverSm, body
from smsgw.smpp.tlvs import TLV_TYPES, VENDOR_TAGS, Tlv, read_tlvs

LIMIT: Final = 128 * 1024
"""The largest PDU in octets that a Framer accepts by default."""

_HEADER: Final = struct.Struct(">IIII")
_LENGTH: Final = struct.Struct(">I")
_header_of: Final = _HEADER.unpack_from
_FOREIGN: Final = (
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
    """Cuts a stream into frames; bounds the length of a PDU below and above.

    ``feed`` returns the complete frames. A command_length below 16 or above ``limit`` is impossible and breaks the
    stream as soon as its four octets are there: ``feed`` returns the frames before it, sets ``broken`` to the Unframed
    to answer with before the connection is closed, and ignores all further input.
    """

    __slots__ = ("_held", "_length", "broken", "limit")

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self.broken: Unframed | None = None
        self._held = bytearray()
        self._length = 0

    @property
    def pending(self) -> int:
        """How many octets of an incomplete PDU are buffered."""
        return len(self._held)

    def feed(self, data: bytes) -> list[bytes]:
        """Take the octets of one read and return the frames that they complete, in order."""
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
        """Complete the buffered PDU; return how many octets of ``data`` it took."""
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
        """Mark the stream as broken; ``start`` is as much as was read of the impossible PDU's header."""
        self._held.clear()
        foreign = next((name for mark, name in _FOREIGN if start.startswith(mark)), None)
        if foreign is not None:
            self.broken = Unframed(f"not SMPP but {foreign}", Status.ESME_RINVCMDLEN)
            return
        bound = f"less than {HEADER}" if length < HEADER else f"more than {self.limit}"
        sequence_number = _HEADER.unpack(start)[3] if len(start) == HEADER else 0
        self.broken = Unframed(f"command_length {length} is {bound}", Status.ESME_RINVCMDLEN, sequence_number)


class _Decoders(dict[int, Decoder]):
    """The generated decoders by command_id, each generated at its first use."""

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
    """The generated encoders by class, each generated at its first use."""

    def __init__(self, version: int) -> None:
        self._version = version

    def __missing__(self, cls: type[Pdu]) -> Encoder:
        made = self[cls] = _finish if cls is WrittenDeliverSm else encoder(cls, self._version)
        return made


def _finish(pdu: Any) -> bytes:
    """Put the header before a body that is already encoded."""
    octets: bytes = pdu.body
    return _HEADER.pack(HEADER + len(octets), pdu.command_id, 0, pdu.sequence_number) + octets


_LISTS: Final = frozenset({SubmitMulti})
_END_IN_TEXT: Final = frozenset(cls for cls in PDUS if any(isinstance(wire, Text) for _, wire in body(cls)[-1:]))
_DECODERS: Final = _Decoders(tlvs=True)
_DECODERS_3_3: Final = _Decoders(tlvs=False)
_ENCODERS_3_3: Final = _Encoders(VERSION_3_3)
_ENCODERS_3_4: Final = _Encoders(VERSION_3_4)
_ENCODERS_5_0: Final = _Encoders(VERSION_5_0)


def _decline(*_frame: object) -> Pdu:
    """Decline every frame of a command, because only the careful reader checks the entries of lists."""
    raise ValueError("entries of a list")


def decode(frame: bytes, version: int = VERSION_3_4) -> Pdu:
    """Read one frame of a Framer. On a session of version 3.3, octets after the body are ignored.

    Raises only Answerable: for an unknown command_id, a body that ends too soon, a C-Octet String of more than 256
    octets or without NUL, and an sm_length or a TLV that runs past the end. The values of fields are not checked.
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
"""Decodes frames in order; the result for an unreadable frame is its Answerable."""


def reader(version: int = VERSION_3_4, raised: Mapping[str, int] | None = None) -> Reader:
    """Return a function that decodes the frames of a session of a version and checks requests against the maxima.

    A request with too long a field becomes an Answerable with the status of that field; the check does not slow
    decoding down. ``raised`` replaces some maxima, as in ``maxima.raise_maxima``. Raises ValueError as that does.
    """
    return _reader(version >= VERSION_3_4, tuple(sorted((raised or {}).items())))


@functools.cache
def _reader(tlvs: bool, raised: tuple[tuple[str, int], ...]) -> Reader:
    maxima = raise_maxima(dict(raised))
    return functools.partial(_read, _Decoders(tlvs, maxima), tlvs, maxima)


def decode_many(frames: Iterable[bytes], version: int = VERSION_3_4) -> list[Pdu | Answerable]:
    """Decode frames in order; the result for an unreadable frame is the Answerable that ``decode`` would raise."""
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
    """Encode one PDU. Version 3.3 has no TLVs.

    Whether a response with a non-zero status has a body depends on the version: ``Response.body_on_error``. Raises
    PduError, which names the field, for a value that does not fit: a NUL in a C-Octet String, an integer out of range,
    a text that is too long.
    """
    encoders = _ENCODERS_3_3 if version < VERSION_3_4 else _ENCODERS_3_4 if version < VERSION_5_0 else _ENCODERS_5_0
    try:
        return encoders[pdu.__class__](pdu)
    except UNWRITABLE as wrong:
        raise _unwritable(pdu, wrong) from None


def encode_many(pdus: Iterable[Pdu], version: int = VERSION_3_4) -> bytes:
    """Encode PDUs in order into one string for one write; raises PduError as ``encode`` does."""
    encoders = _ENCODERS_3_3 if version < VERSION_3_4 else _ENCODERS_3_4 if version < VERSION_5_0 else _ENCODERS_5_0
    pdu: Pdu = GenericNack()
    pieces = []
    try:
        for pdu in pdus:
            pieces.append(encoders[pdu.__class__](pdu))
    except UNWRITABLE as wrong:
        raise _unwritable(pdu, wrong) from None
    return b"".join(pieces)


def refusal(wrong: Answerable | Unframed) -> Response | None:
    """Return the response that reports a fault to the peer, or None for a faulty response, which is never answered."""
    if isinstance(wrong, Unframed):
        return GenericNack(wrong.sequence_number, wrong.status)
    if wrong.answer_id is None:
        return None
    cls = BY_ID[wrong.answer_id]
    assert issubclass(cls, Response)
    return cls(wrong.sequence_number, wrong.status)


def _read_with_care(frame: bytes, tlvs: bool, maxima: Maxima | None = None) -> Pdu | Answerable:
    """Read a frame that a generated decoder declined: report its fault, or read a rare shape."""
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
        pdu.tlvs = _read_tail(frame, end, tlvs, cls in _END_IN_TEXT)
    except Unreadable as wrong:
        return Answerable(sequence_number, command_id, wrong.status, wrong.why)
    if maxima is not None and not pdu.is_response:
        bad_length, name = length_fault(pdu, maxima)
        if bad_length:
            return Answerable(sequence_number, command_id, bad_length, f"the length of {name} is out of range")
    return pdu


def _read_failed(cls: type[Response], frame: bytes, status: int, sequence_number: int, tlvs: bool) -> Response:
    """Read a response with a non-zero status: its fields and TLVs, else TLVs in the place of the fields, else raw
    octets.

    The body of a failed response is optional, so some peers leave out the fields before the TLVs.
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


def _read_tail(frame: bytes, at: int, tlvs: bool, after_text: bool = False) -> Sequence[Tlv]:
    if not tlvs or at == len(frame):
        return ()
    try:
        return read_tlvs(frame, at, len(frame))
    except ValueError as wrong:
        found = _after_nul(frame, at) if after_text else None
        if found is None:
            raise Unreadable(Status.ESME_RINVTLVSTREAM, str(wrong)) from None
        return found


def _after_nul(frame: bytes, at: int) -> Sequence[Tlv] | None:
    """Return the TLVs after a NUL that ends the text and that sm_length does not count, as php-smpp writes it; None
    unless the tail is such a NUL and known or vendors' TLVs up to the last octet."""
    if frame[at]:
        return None
    try:
        found = read_tlvs(frame, at + 1, len(frame))
    except ValueError:
        return None
    known = all(tag in TLV_TYPES or tag in VENDOR_TAGS for tag, _ in found)
    return found if found and known and at + 1 + _width(found) == len(frame) else None


def _width(tlvs: Sequence[Tlv]) -> int:
    return sum(4 + len(octets) for _, octets in tlvs)


def _unwritable(pdu: Pdu, cause: Exception) -> PduError:
    """Return the PduError that names the value which cannot be encoded."""
    name = pdu.name
    try:
        for field, wire in body(type(pdu)):
            wire.write(getattr(pdu, field), field)
        for tag, octets in pdu.tlvs:
            if not isinstance(octets, bytes) or len(octets) > 0xFFFF or not 0 <= tag <= 0xFFFF:
                return PduError(f"{name}: TLV {tag!r} must have a tag of 2 octets and at most 65535 octets")
    except PduError as wrong:
        return PduError(f"{name}: {wrong.why}")
    return PduError(f"{name}: header or TLVs do not fit: {cause}")
