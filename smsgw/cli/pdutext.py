"""Explains SMPP PDUs: every field by name with its value and meaning, and every fault with its offset."""

from __future__ import annotations

import string
import struct
from collections.abc import Iterator, Sequence
from typing import Any, Final

import attrs

from smsgw.cli.console import printable
from smsgw.cli.field_words import FIELDS, TLVS
from smsgw.smpp.codec import Framer, decode
from smsgw.smpp.consts import RESPONSE, VERSION_3_4, CommandId, DataCoding, EsmClass, Tag, describe
from smsgw.smpp.errors import Answerable
from smsgw.smpp.fields import DistributionList, SmeAddress, Unreadable, UnsuccessSme
from smsgw.smpp.maxima import MAXIMA, length_fault
from smsgw.smpp.pdus import BY_ID, HEADER, Bind, DataSm, DeliverSm, Outbind, Pdu, body, size
from smsgw.smpp.receipt import is_receipt, read_receipt
from smsgw.smpp.tlvs import tlv_value, write_tlvs
from smsgw.text import coding, udh

_HEADER: Final = struct.Struct(">IIII")
_WIDTH: Final = 23
_VISIBLE: Final = frozenset(string.printable.encode("ascii")) - frozenset(b"\t\n\r\v\f")
_SHORT: Final = frozenset({"dest_address", "unsuccess_sme"})


@attrs.define
class Explanation:
    """The explanation of octets.

    :ivar lines: the text. :ivar pdus: how many PDUs there are. :ivar faults: how many faults they have.
    """

    lines: list[str] = attrs.field(factory=list)
    pdus: int = 0
    faults: int = 0

    def say(self, name: str, value: str, meaning: str = "", indent: int = 2) -> None:
        """Add a field."""
        self.lines.append(f"{' ' * indent}{name:<{_WIDTH}} {value}{'  ' if meaning else ''}{meaning}".rstrip())

    def fault(self, what: str) -> None:
        """Add a fault."""
        self.faults += 1
        self.lines.append(f"  WRONG: {what}")


def explain(octets: bytes, version: int = VERSION_3_4, default: str = "gsm", secrets: bool = False) -> Explanation:
    """Explain consecutive PDUs as a peer of `version` would read them.

    :param default: alphabet of data_coding 0: ``gsm``, ``latin1`` or ``ascii``. :param secrets: show passwords.
    """
    explanation = Explanation()
    framer = Framer()
    at = 0
    for frame in framer.feed(octets):
        explanation.pdus += 1
        explanation.lines.append(f"PDU {explanation.pdus}: {len(frame)} octets from offset {at}")
        _Reader(explanation, version, default, secrets).frame(frame)
        explanation.lines.append("")
        at += len(frame)
    if framer.broken is not None:
        explanation.fault(f"at offset {at}: {framer.broken.why}; the start of the next PDU is unknown")
        explanation.lines.append("")
    elif at < len(octets):
        explanation.pdus += 1
        explanation.lines.append(f"PDU {explanation.pdus}: incomplete, from offset {at}")
        _Reader(explanation, version, default, secrets).cut_off(octets[at:])
        explanation.lines.append("")
    return explanation


@attrs.define
class _Reader:
    explanation: Explanation
    version: int
    default: str
    secrets: bool

    def frame(self, frame: bytes) -> None:
        """Explain one complete frame."""
        self._header(frame)
        try:
            pdu = decode(frame, self.version)
        except Answerable as wrong:
            self._readable_fields(frame)
            answer = "it is not answered" if wrong.answer_id is None else f"the answer is {describe(wrong.status)}"
            self.explanation.fault(f"{wrong.why} ({answer})")
            return
        if len(frame) > HEADER or not pdu.is_response:
            for name, _ in body(type(pdu)):
                self._field(name, getattr(pdu, name))
        for tag, value in pdu.tlvs:
            self._tlv(tag, value)
        self._rest(pdu, frame)
        self._text(pdu)
        if not pdu.is_response:
            status, name = length_fault(pdu, MAXIMA)
            if status:
                self.explanation.fault(f"the length of {name} is out of range (the answer is {describe(status)})")

    def cut_off(self, octets: bytes) -> None:
        """Explain an incomplete PDU."""
        if len(octets) >= HEADER:
            self._header(octets)
            self._readable_fields(octets)
        if len(octets) < 4:
            self.explanation.fault(f"only {len(octets)} of the 4 octets of command_length are there")
            return
        (length,) = struct.unpack_from(">I", octets)
        missing = length - len(octets)
        self.explanation.fault(f"command_length says {length} octets, {len(octets)} are there: {missing} are missing")

    def _header(self, octets: bytes) -> None:
        length, command_id, status, sequence_number = _HEADER.unpack_from(octets)
        known = command_id in BY_ID
        kind = ("response" if command_id & RESPONSE else "request") if not known else CommandId(command_id).name.lower()
        self.explanation.say("command_length", str(length))
        self.explanation.say("command_id", f"0x{command_id:08X}", kind if known else f"an unknown {kind}")
        self.explanation.say("command_status", f"0x{status:08X}", FIELDS["command_status"](status))
        self.explanation.say("sequence_number", str(sequence_number))

    def _readable_fields(self, frame: bytes) -> None:
        """Explain the fields before the one that cannot be read."""
        cls = BY_ID.get(_HEADER.unpack_from(frame)[1])
        if cls is None:
            self.explanation.say("body", _octets(frame[HEADER:]))
            return
        at = HEADER
        for name, wire in body(cls):
            try:
                value, at = wire.read(frame, at, name)
            except Unreadable:
                break
            self._field(name, value)
        unread = frame[at:]
        if unread:
            hidden = issubclass(cls, Bind | Outbind) and not self.secrets
            self.explanation.say("unread", _hidden(unread) if hidden else _octets(unread), f"from offset {at}")

    def _field(self, name: str, value: Any) -> None:
        if name in _SHORT:
            self.explanation.say(name, f"{len(value)} entries")
            for entry in value:
                self._entry(entry)
        elif name == "password" and not self.secrets and value:
            self.explanation.say(name, _hidden(value))
        elif name == "short_message":
            self.explanation.say(name, _octets(value), f"{len(value)} octets")
        else:
            meaning = FIELDS.get(name)
            shown = str(value) if isinstance(value, int) else _characters(value)
            if name in ("esm_class", "registered_delivery", "data_coding", "protocol_id", "interface_version"):
                shown = f"0x{value:02X}"
            self.explanation.say(name, shown, "" if meaning is None else meaning(value))

    def _entry(self, entry: SmeAddress | DistributionList | UnsuccessSme) -> None:
        if isinstance(entry, DistributionList):
            self.explanation.say("dl_name", _characters(entry.dl_name), indent=4)
            return
        ton, npi = (FIELDS[f"source_addr_{kind}"](getattr(entry, f"dest_addr_{kind}")) for kind in ("ton", "npi"))
        meaning = f"TON {entry.dest_addr_ton} {ton}, NPI {entry.dest_addr_npi} {npi}"
        if isinstance(entry, UnsuccessSme):
            meaning += f", {describe(entry.error_status_code)}"
        self.explanation.say("destination_addr", _characters(entry.destination_addr), meaning, indent=4)

    def _tlv(self, tag: int, octets: bytes) -> None:
        try:
            name = Tag(tag).name.lower()
        except ValueError:
            name = "unknown"
        value = tlv_value(tag, octets)
        if isinstance(value, int):
            shown = str(value)
        elif value != octets:
            shown = _characters(value)
        else:
            shown = _octets(octets)
        meaning = TLVS.get(tag)
        said = f"{len(octets)} octets" if meaning is None else meaning(value)
        self.explanation.say(f"TLV 0x{tag:04X} {name}", shown, said)

    def _rest(self, pdu: Pdu, frame: bytes) -> None:
        """Explain the octets after the fields and TLVs, or in place of them."""
        raw: bytes = getattr(pdu, "raw", b"")
        if raw:
            self.explanation.say("body", _octets(raw), "unreadable; a failed response needs no body")
            return
        if self.version < VERSION_3_4 or (len(frame) == HEADER and pdu.is_response):
            return
        stray = len(frame) - size(pdu)
        if stray == 1 and pdu.tlvs and frame.endswith(write_tlvs(pdu.tlvs)):
            self.explanation.say("ignored", _octets(b"\0"), "after the text, not counted by sm_length")
        elif stray > 0:
            self.explanation.say("ignored", _octets(frame[-stray:]), "too short for a TLV")

    def _text(self, pdu: Pdu) -> None:
        """Explain the user data: its header, its text, and the receipt in it."""
        octets = pdu.user_data()
        data_coding: int = getattr(pdu, "data_coding", 0)
        esm_class: int = getattr(pdu, "esm_class", 0)
        locking = single = 0
        if octets and esm_class & EsmClass.UDHI:
            header = udh.parse(octets)
            locking, single = header.locking, header.single
            for line in _header_words(header):
                self.explanation.say("user data header", line)
            for fault in header.faults:
                self.explanation.fault(f"user data header: {fault.value}")
            octets = octets[header.length :]
        if octets:
            text = coding.decode(octets, data_coding, self.default, locking, single)
            alphabet = coding.alphabet(data_coding, self.default)
            self.explanation.say("text", _quoted(text), f"{len(text)} characters, {alphabet}")
            if data_coding == DataCoding.UCS_2 and len(octets) % 2:
                self.explanation.fault(f"the text is UCS-2, two octets a character, but has {len(octets)} octets")
        if isinstance(pdu, DeliverSm | DataSm) and is_receipt(pdu):
            receipt = read_receipt(pdu)
            state = "in an unknown state" if receipt.state is None else FIELDS["message_state"](receipt.state)
            error = f", error {_quoted(receipt.error)}" if receipt.error else ""
            self.explanation.say("receipt", f"message {_quoted(receipt.message_id)} is {state}{error}")


def _header_words(header: udh.Header) -> Iterator[str]:
    said = header.concatenation
    if said is not None:
        yield f"part {said.part} of {said.total}, reference {said.reference} ({16 if said.wide else 8} bits)"
    if header.ports is not None:
        yield f"to port {header.ports.destination} from port {header.ports.source}"
    if header.locking or header.single:
        yield f"national tables: locking {header.locking}, single {header.single}"
    known = (udh.CONCATENATION_8, udh.CONCATENATION_16, udh.PORTS_8, udh.PORTS_16, udh.SINGLE_SHIFT, udh.LOCKING_SHIFT)
    for iei, data in header.elements:
        if iei not in known:
            yield f"element 0x{iei:02X}: {_octets(data)}"


def _octets(octets: bytes | Sequence[int]) -> str:
    return bytes(octets).hex(" ").upper() or "nothing"


def _hidden(octets: bytes) -> str:
    return f"({len(octets)} octets, hidden)"


def _characters(octets: bytes) -> str:
    """Format a C-Octet String as characters if all are printable, in hexadecimal otherwise."""
    return f'"{octets.decode("ascii")}"' if _VISIBLE.issuperset(octets) else _octets(octets)


def _quoted(text: str) -> str:
    return f'"{printable(text)}"'
