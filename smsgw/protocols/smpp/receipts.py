"""Encodes receipts as deliver_sm in a dialect; the common part of equal receipts is encoded once."""

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
    """Cache of formatted dates by minute since 1970; most receipts have one of few minutes."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone

    def __missing__(self, minute: float) -> bytes:
        if len(self) > _MOST_MINUTES:
            self.clear()
        date = self[minute] = write_date(minute * 60.0, self._zone)
        return date


@attrs.frozen
class _Template:
    """The common part of receipts with the same state, error and kind.

    :ivar body: %-format of the body of the deliver_sm, with gaps for the addresses, the length of the text, the id, the
    dates, the excerpt and the TLV receipted_message_id.
    :ivar size: octets of the text without the id and the excerpt.
    :ivar id: %-format of the id.
    """

    body: bytes
    size: int
    id: bytes


class ReceiptWriter:
    """Encodes receipts; the common part of equal receipts is encoded once.

    :param manner: of the dialect. :param zone: of the dates.
    """

    def __init__(self, manner: SmppManner, zone: tzinfo) -> None:
        self._manner = manner
        self._echoed = manner.receipts.echoed
        self._excerpts = manner.receipts.excerpts
        self._minutes = _Minutes(zone)
        self._templates: dict[tuple[int, int, int, int], _Template] = {}

    def _template(self, state: State, error: int, kind: EventKind, version: int) -> _Template:
        if len(self._templates) > _MOST_FORMS:
            self._templates.clear()
        receipts = self._manner.receipts
        number = self._manner.states[state]
        bare = encode(DeliverSm(esm_class=receipts.esm_classes[kind]))[HEADER:]
        text = receipts.form(number, error)
        tlvs = b""
        if version >= VERSION_3_4:
            tlvs = _ID_TLV + write_tlvs(receipts.tlvs(number, error, version)).replace(b"%", b"%%")
        form = _Template(
            _ADDRESSES + bare[len(_NO_ADDRESSES) : -1] + b"%c" + text + tlvs,
            len(text % (b"", _DATE, _DATE, b"")),
            self._manner.ids[version].written,
        )
        self._templates[state, error, kind, version] = form
        return form

    def write(self, event: Event, version: int) -> WrittenDeliverSm:
        """Return the deliver_sm with the receipt for a message (3.4 section 5.2.12, appendix B).

        Its addresses are those of the message, swapped: the recipient in international form, the sender as stored. 3.3
        has no TLVs.
        """
        message = event.message
        assert type(message) is Message  # incoming texts take other return paths
        content = message.content
        state, error, kind = event.state, event.error, event.kind
        form = self._templates.get((state, error, kind, version)) or self._template(state, error, kind, version)
        minutes = self._minutes
        id = form.id % message.id
        excerpt = _excerpt(content, self._excerpts)
        gaps: tuple[int | bytes, ...] = (
            content.recipient_ton,
            content.recipient_npi,
            message.recipient.encode("latin-1", "replace"),
            content.sender_ton,
            content.sender_npi,
            content.sender.encode("latin-1", "replace"),
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
        """Return the TLVs of the submission that its receipts repeat; the first of each tag counts."""
        first: dict[int, bytes] = {}
        for tag, octets in passed(content):
            if tag in self._echoed:
                first.setdefault(tag, octets)
        return list(first.items())


def passed(content: Content) -> list[Tlv]:
    """Return the TLVs stored with a message."""
    return read_tlvs(content.tlvs, 0, len(content.tlvs))


def _excerpt(content: Content, most: int) -> bytes:
    """Return the beginning of the text in the default alphabet, at most `most` octets, for a receipt; empty for binary
    data. A character that the alphabet lacks is a question mark."""
    octets = content.octets
    if content.esm_class & _UDHI:
        octets = octets[udh.parse(octets).length :]
    if content.data_coding:
        alphabet = coding.alphabet(content.data_coding)
        if alphabet is coding.Alphabet.OCTETS:
            return b""
        if alphabet is not coding.Alphabet.GSM:
            octets = gsm0338.encode_known(coding.read(octets[: 4 * most], alphabet)[:most])
    octets = octets[:most]
    return octets[:-1] if octets and octets[-1] == gsm0338.ESC else octets


