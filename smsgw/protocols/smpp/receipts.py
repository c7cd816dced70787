"""Receipts as deliver_sm, in the manner of a dialect; what is the same in many of them is encoded once."""

from __future__ import annotations

from datetime import tzinfo
from typing import Final

import attrs

from smsgw.dialects import SmppManner
from smsgw.model.content import Content
from smsgw.model.lifecycle import State
from smsgw.model.message import Event, EventKind, Message
from smsgw.smpp.codec import encode
from smsgw.smpp.consts import VERSION_3_4, EsmClass, Tag
from smsgw.smpp.pdus import HEADER, DeliverSm, WrittenDeliverSm
from smsgw.smpp.receipt import write_date
from smsgw.smpp.tlvs import Tlv, read_tlvs, write_tlvs
from smsgw.text import coding, gsm0338, udh

_UDHI: Final = int(EsmClass.UDHI)
_NO_ADDRESSES: Final = b"\0" + 2 * b"\0\0\0"
_ADDRESSES: Final = b"\0" + 2 * b"%c%c%b\0"  # service_type; TON, NPI and address of source and destination
_ID_TLV: Final = Tag.RECEIPTED_MESSAGE_ID.to_bytes(2, "big") + b"\0%c%b\0"
_DATE: Final = b"YYMMDDhhmm"
_MOST_MINUTES: Final = 10_000
_MOST_FORMS: Final = 1_000


class _Minutes(dict[float, bytes]):
    """Dates of receipts by minute since 1970; a gateway tells many events of few minutes."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone

    def __missing__(self, minute: float) -> bytes:
        if len(self) > _MOST_MINUTES:
            self.clear()
        date = self[minute] = write_date(minute * 60.0, self._zone)
        return date


@attrs.frozen
class _Form:
    """What receipts that say the same have in common.

    :ivar body: of the deliver_sm, with gaps for the addresses, the length of the text, and what that and the TLV
        receipted_message_id name. :ivar size: octets of the text without the id and the excerpt.
    :ivar id: the form of the id.
    """

    body: bytes
    size: int
    id: bytes


class ReceiptWriter:
    """Writes receipts; what is the same in many of them is encoded once.

    :param manner: of the dialect. :param zone: of the dates.
    """

    def __init__(self, manner: SmppManner, zone: tzinfo) -> None:
        self._manner = manner
        self._echoed = manner.receipts.echoed
        self._excerpts = manner.receipts.excerpts
        self._minutes = _Minutes(zone)
        self._forms: dict[tuple[int, int, int, int], _Form] = {}

    def _form(self, state: State, error: int, kind: EventKind, version: int) -> _Form:
        if len(self._forms) > _MOST_FORMS:
            self._forms.clear()
        receipts = self._manner.receipts
        number = self._manner.states[state]
        bare = encode(DeliverSm(esm_class=receipts.esm_classes[kind]))[HEADER:]
        text = receipts.form(number, error)
        tlvs = b""
        if version >= VERSION_3_4:
            tlvs = _ID_TLV + write_tlvs(receipts.tlvs(number, error, version)).replace(b"%", b"%%")
        form = _Form(
            _ADDRESSES + bare[len(_NO_ADDRESSES) : -1] + b"%c" + text + tlvs,
            len(text % (b"", _DATE, _DATE, b"")),
            self._manner.ids[version].written,
        )
        self._forms[state, error, kind, version] = form
        return form

    def write(self, event: Event, version: int) -> WrittenDeliverSm:
        """The deliver_sm that tells the sender of a message what became of it (3.4 section 5.2.12, appendix B).

        The addresses are those of the message, swapped: the number in international form, the sender as it was
        agreed. 3.3 has no TLVs.
        """
        message = event.message
        assert type(message) is Message  # what comes from subscribers takes other ways
        content = message.content
        state, error, kind = event.state, event.error, event.kind
        form = self._forms.get((state, error, kind, version)) or self._form(state, error, kind, version)
        minutes = self._minutes
        id = form.id % message.id
        excerpt = _excerpt(content, self._excerpts)
        gaps: tuple[int | bytes, ...] = (
            content.dest_ton,
            content.dest_npi,
            message.dst.encode("latin-1", "replace"),
            content.source_ton,
            content.source_npi,
            content.source.encode("latin-1", "replace"),
            form.size + len(id) + len(excerpt),
            id,
            minutes[message.created // 60.0],
            minutes[event.at // 60.0],
            excerpt,
        )
        if version < VERSION_3_4:
            return WrittenDeliverSm(0, form.body % gaps)
        body = form.body % (*gaps, len(id) + 1, id)
        if content.tlvs:
            body += write_tlvs(self._echo(content))
        return WrittenDeliverSm(0, body)

    def _echo(self, content: Content) -> list[Tlv]:
        """The TLVs of the submission that its receipts carry; the first of each tag."""
        first: dict[int, bytes] = {}
        for tag, octets in passed(content):
            if tag in self._echoed:
                first.setdefault(tag, octets)
        return list(first.items())


def passed(content: Content) -> list[Tlv]:
    """The TLVs that a message carries along."""
    return read_tlvs(content.tlvs, 0, len(content.tlvs))


def _excerpt(content: Content, most: int) -> bytes:
    """The first characters of the text in the default alphabet, in which receipts are; nothing of binary data."""
    octets = content.parts[0]
    if content.esm_class & _UDHI:
        octets = octets[udh.parse(octets).length :]
    if content.data_coding:
        alphabet = coding.alphabet(content.data_coding)
        if alphabet is coding.Alphabet.OCTETS:
            return b""
        if alphabet is not coding.Alphabet.GSM:
            return coding.read(octets[: 4 * most], alphabet)[:most].encode("ascii", "replace")
    octets = octets[:most]
    return octets[:-1] if octets and octets[-1] == gsm0338.ESC else octets


