"""What a message carries besides its fate: sender, coding, user data; packed into one value for the store."""

from __future__ import annotations

from struct import Struct
from typing import Final

import attrs

from smsgw.text import coding, udh

_HEAD: Final = Struct(">BBBBBBBBHHBBH")
_VERSION: Final = 1
LABELLED: Final = 2
"""First octet of packed content that has labels."""

_LABELS: Final = Struct(">HHH")
_UDHI: Final = 0x40


@attrs.frozen
class Labels:
    """What a client attached to a message, for itself and for people.

    :ivar callback: URL to call on changes of state instead of the account's; empty for the account's.
    :ivar reference: the client's own name for the message, told back to it. :ivar comment: a note for people.
    """

    callback: str = ""
    reference: str = ""
    comment: str = ""


@attrs.define(eq=True)
class Content:
    """The immutable content of a message.

    :ivar source: the sender as upstreams shall see it, with its TON and NPI.
    :ivar parts: user data per part, unpacked octets in `data_coding`, without a concatenation header of ours
        (with `esm_class` 0x40 the client's own header stands at the start of the only part).
    :ivar reference: concatenation reference shared by the parts (0-65535), the same on every attempt, so that
        a part sent again completes the set on the handset.
    :ivar tlvs: encoded TLVs to pass on unchanged. :ivar labels: of the client, None for none.
    """

    source: str
    source_ton: int
    source_npi: int
    dest_ton: int
    dest_npi: int
    data_coding: int
    esm_class: int
    parts: tuple[bytes, ...]
    reference: int = 0
    protocol_id: int = 0
    service_type: str = ""
    tlvs: bytes = b""
    labels: Labels | None = None

    def text(self) -> str:
        """The text for people and front ends, without the client's user data header; never raises."""
        octets = b"".join(self.parts)
        if self.esm_class & _UDHI:
            header = udh.parse(octets)
            return coding.decode(
                octets[header.length :], self.data_coding, locking=header.locking, single=header.single
            )
        return coding.decode(octets, self.data_coding)

    def pack(self) -> bytearray:
        """The content as one value: fixed head, labels if there are any, lengths of the parts, then the octets
        themselves. The driver of SQLite takes a bytearray quicker than bytes."""
        source = self.source.encode("utf-8")
        service_type = self.service_type.encode("latin-1") if self.service_type else b""
        parts = self.parts
        labels = self.labels
        head = _HEAD.pack(
            _VERSION if labels is None else LABELLED,
            self.source_ton,
            self.source_npi,
            self.dest_ton,
            self.dest_npi,
            self.data_coding,
            self.esm_class,
            self.protocol_id,
            self.reference,
            len(parts),
            len(source),
            len(service_type),
            len(self.tlvs),
        )
        if labels is not None:
            words = [word.encode("utf-8") for word in (labels.callback, labels.reference, labels.comment)]
            head += b"".join((_LABELS.pack(*map(len, words)), *words))
        head += source
        if service_type or self.tlvs:
            head += service_type + self.tlvs
        if len(parts) == 1:
            return bytearray(head + parts[0])
        lengths = Struct(f">{len(parts)}H").pack(*map(len, parts))
        return bytearray(b"".join((head, lengths, *parts)))

    @classmethod
    def unpack(cls, octets: bytes) -> Content:
        """Read what :meth:`pack` wrote.

        :raises ValueError: when it was written by a version this one does not know.
        """
        (
            version,
            source_ton,
            source_npi,
            dest_ton,
            dest_npi,
            data_coding,
            esm_class,
            protocol_id,
            reference,
            count,
            source_size,
            service_type_size,
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
        source = octets[at : at + source_size].decode("utf-8")
        at += source_size
        service_type = octets[at : at + service_type_size].decode("latin-1")
        at += service_type_size
        tlvs = octets[at : at + tlvs_size]
        at += tlvs_size
        if count == 1:
            parts: tuple[bytes, ...] = (octets[at:],)
        else:
            lengths = Struct(f">{count}H").unpack_from(octets, at)
            at += 2 * count
            slices = []
            for length in lengths:
                slices.append(octets[at : at + length])
                at += length
            parts = tuple(slices)
        return cls(
            source,
            source_ton,
            source_npi,
            dest_ton,
            dest_npi,
            data_coding,
            esm_class,
            parts,
            reference,
            protocol_id,
            service_type,
            tlvs,
            labels,
        )
