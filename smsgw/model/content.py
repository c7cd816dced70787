"""The content of a message: sender, coding and the uncut text; and its cut into parts.

Both are immutable, and each is packed into one value for the store. The content stays as it was accepted; the cut
depends on the chosen connector.
"""

from __future__ import annotations

from enum import IntEnum
from struct import Struct
from typing import Final

import attrs

from smsgw.text import coding, udh

_HEAD: Final = Struct(">BBBBBBBBBBBH")
_VERSION: Final = 1
LABELLED: Final = 2
"""First octet of packed content that has labels."""

_LABELS: Final = Struct(">HHH")
_CUT: Final = Struct(">BBHH")
_OWN_OCTETS: Final = 0x80
_UDHI: Final = 0x40


@attrs.frozen
class Labels:
    """Labels that a client attached to a message.

    :ivar callback: URL to call on changes of state instead of the account's; empty for the account's.
    :ivar reference: the client's own name for the message, reported back to it. :ivar comment: a note for people.
    """

    callback: str = ""
    reference: str = ""
    comment: str = ""


@attrs.define(eq=True)
class Content:
    """The immutable content of a message.

    :ivar sender: the sender as it is sent to upstreams, with its TON and NPI.
    :ivar octets: the whole user data, unpacked octets in `data_coding`, without a concatenation header of the gateway
        (with `esm_class` 0x40 they begin with a header of the client).
    :ivar recipient: the recipient as the client wrote it, empty if that is the number in international form.
    :ivar tlvs: encoded TLVs to pass on unchanged. :ivar labels: the client's labels, None for none.
    """

    sender: str
    sender_ton: int
    sender_npi: int
    recipient_ton: int
    recipient_npi: int
    data_coding: int
    esm_class: int
    octets: bytes
    protocol_id: int = 0
    service_type: str = ""
    tlvs: bytes = b""
    labels: Labels | None = None
    recipient: str = ""

    def text(self) -> str:
        """The text without the client's user data header, for people and front ends; never raises."""
        octets = self.octets
        if self.esm_class & _UDHI:
            header = udh.parse(octets)
            return coding.decode(
                octets[header.length :], self.data_coding, locking=header.locking, single=header.single
            )
        return coding.decode(octets, self.data_coding)

    def pack(self) -> bytearray:
        """The content as one value: a fixed head, the labels if there are any, then the fields of variable length, the
        octets last. The SQLite driver binds a bytearray faster than bytes."""
        sender = self.sender.encode("utf-8")
        service_type = self.service_type.encode("latin-1") if self.service_type else b""
        recipient = self.recipient.encode("utf-8") if self.recipient else b""
        labels = self.labels
        head = _HEAD.pack(
            _VERSION if labels is None else LABELLED,
            self.sender_ton,
            self.sender_npi,
            self.recipient_ton,
            self.recipient_npi,
            self.data_coding,
            self.esm_class,
            self.protocol_id,
            len(sender),
            len(service_type),
            len(recipient),
            len(self.tlvs),
        )
        if labels is not None:
            words = [word.encode("utf-8") for word in (labels.callback, labels.reference, labels.comment)]
            head += b"".join((_LABELS.pack(*map(len, words)), *words))
        head += sender
        if service_type or recipient or self.tlvs:
            head += service_type + recipient + self.tlvs
        return bytearray(head + self.octets)

    @classmethod
    def unpack(cls, octets: bytes) -> Content:
        """The content that :meth:`pack` wrote.

        :raises ValueError: a version that this one does not know wrote it.
        """
        (
            version,
            sender_ton,
            sender_npi,
            recipient_ton,
            recipient_npi,
            data_coding,
            esm_class,
            protocol_id,
            sender_size,
            service_type_size,
            recipient_size,
            tlvs_size,
        ) = _HEAD.unpack_from(octets)
        at = _HEAD.size
        labels = None
        if version != _VERSION:
            if version != LABELLED:
                raise ValueError(f"content of version {version}; this program knows versions {_VERSION}, {LABELLED}")
            words = []
            sizes = _LABELS.unpack_from(octets, at)
            at += _LABELS.size
            for size in sizes:
                words.append(octets[at : at + size].decode("utf-8"))
                at += size
            labels = Labels(*words)
        sender = octets[at : at + sender_size].decode("utf-8")
        at += sender_size
        service_type = recipient = ""
        tlvs = b""
        if service_type_size or recipient_size or tlvs_size:
            service_type = octets[at : at + service_type_size].decode("latin-1")
            at += service_type_size
            recipient = octets[at : at + recipient_size].decode("utf-8")
            at += recipient_size
            tlvs = octets[at : at + tlvs_size]
            at += tlvs_size
        return cls(
            sender,
            sender_ton,
            sender_npi,
            recipient_ton,
            recipient_npi,
            data_coding,
            esm_class,
            octets[at:],
            protocol_id,
            service_type,
            tlvs,
            labels,
            recipient,
        )


class Form(IntEnum):
    """How the parts of a text are tied."""

    SINGLE = 0
    """There is one part, without a concatenation header."""
    UDH8 = 1
    """By a user data header with a reference of 8 bits (3GPP TS 23.040, 9.2.3.24.1)."""


@attrs.frozen
class Cut:
    """How a text is cut into parts for an upstream.

    :ivar data_coding: of the parts. :ivar parts: user data of each part, unpacked octets in that coding, without a
        concatenation header; empty if the only part is the whole text.
    :ivar reference: concatenation reference shared by the parts (0-65535), the same on every attempt, so that a part
        sent again completes the set on the handset.
    """

    form: Form = Form.SINGLE
    data_coding: int = 0
    parts: tuple[bytes, ...] = ()
    reference: int = 0

    def pack(self, text: bytes) -> bytes:
        """The cut as one value, empty for the whole text. The octets of the parts are left out if, joined, they equal
        `text`, the octets of the content."""
        parts = self.parts
        if not parts:
            return b""
        octets = b"".join(parts)
        own = b"" if octets == text else octets
        form = self.form | (_OWN_OCTETS if own else 0)
        head = _CUT.pack(form, self.data_coding, self.reference, len(parts))
        return head + Struct(f">{len(parts)}H").pack(*map(len, parts)) + own

    @classmethod
    def unpack(cls, packed: bytes, text: bytes) -> Cut:
        """The cut that :meth:`pack` wrote with the same `text`."""
        if not packed:
            return WHOLE
        form, data_coding, reference, count = _CUT.unpack_from(packed)
        lengths = Struct(f">{count}H").unpack_from(packed, _CUT.size)
        octets = packed[_CUT.size + 2 * count :] if form & _OWN_OCTETS else text
        parts = []
        at = 0
        for length in lengths:
            parts.append(octets[at : at + length])
            at += length
        return cls(Form(form & ~_OWN_OCTETS), data_coding, tuple(parts), reference)


WHOLE: Final = Cut()
"""The cut of a message of one part, which is the whole text."""
