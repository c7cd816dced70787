"""The packed values of a message: ``data``, which never changes after acceptance, and ``cut``.

A value that is asked for only together with its message costs less here than in a column of its own, because every
change of state writes all columns of the row again. The first octet of ``data`` is the version of its form, so that a
later version can hold more values.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from smsgw.model.content import WHOLE, Content, Cut, Form, Labels
from smsgw.model.message import Message

_HEAD: Final = Struct(">BBBBBBBBBBBBBH")
_VERSION: Final = 1
LABELLED: Final = 2
"""First octet of packed data that has labels."""

_LABELS: Final = Struct(">HHH")
_CUT: Final = Struct(">BBHH")
_OWN_OCTETS: Final = 0x80


def pack(message: Message) -> bytearray:
    """The content, the notify bits and the listener of a message as one value: a fixed head, the labels if there are
    any, then the fields of variable length, the octets last. The SQLite driver binds a bytearray faster than bytes."""
    content = message.content
    sender = content.sender.encode("utf-8")
    service_type = content.service_type.encode("latin-1") if content.service_type else b""
    recipient = content.recipient.encode("utf-8") if content.recipient else b""
    listener = message.listener.encode("utf-8")
    labels = content.labels
    head = _HEAD.pack(
        _VERSION if labels is None else LABELLED,
        message.notify,
        content.sender_ton,
        content.sender_npi,
        content.recipient_ton,
        content.recipient_npi,
        content.data_coding,
        content.esm_class,
        content.protocol_id,
        len(sender),
        len(service_type),
        len(recipient),
        len(listener),
        len(content.tlvs),
    )
    if labels is not None:
        words = [word.encode("utf-8") for word in (labels.callback, labels.reference, labels.comment)]
        head += b"".join((_LABELS.pack(*map(len, words)), *words))
    head += sender + listener
    if service_type or recipient or content.tlvs:
        head += service_type + recipient + content.tlvs
    return bytearray(head + content.octets)


def unpack(octets: bytes) -> tuple[Content, int, str]:
    """The content, the notify bits and the listener that :func:`pack` packed.

    :raises ValueError: a version that this one does not know packed it.
    """
    (
        version,
        notify,
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
        listener_size,
        tlvs_size,
    ) = _HEAD.unpack_from(octets)
    at = _HEAD.size
    labels = None
    if version != _VERSION:
        if version != LABELLED:
            raise ValueError(f"a message of version {version}; this program knows versions {_VERSION}, {LABELLED}")
        words = []
        sizes = _LABELS.unpack_from(octets, at)
        at += _LABELS.size
        for size in sizes:
            words.append(octets[at : at + size].decode("utf-8"))
            at += size
        labels = Labels(*words)
    sender = octets[at : at + sender_size].decode("utf-8")
    at += sender_size
    listener = octets[at : at + listener_size].decode("utf-8")
    at += listener_size
    service_type = recipient = ""
    tlvs = b""
    if service_type_size or recipient_size or tlvs_size:
        service_type = octets[at : at + service_type_size].decode("latin-1")
        at += service_type_size
        recipient = octets[at : at + recipient_size].decode("utf-8")
        at += recipient_size
        tlvs = octets[at : at + tlvs_size]
        at += tlvs_size
    content = Content(
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
    return content, notify, listener


def pack_cut(cut: Cut, text: bytes) -> bytes:
    """The cut as one value, empty for the whole text. The octets of the parts are left out if, joined, they equal
    `text`, the octets of the content."""
    parts = cut.parts
    if not parts:
        return b""
    octets = b"".join(parts)
    own = b"" if octets == text else octets
    form = cut.form | (_OWN_OCTETS if own else 0)
    head = _CUT.pack(form, cut.data_coding, cut.reference, len(parts))
    return head + Struct(f">{len(parts)}H").pack(*map(len, parts)) + own


def unpack_cut(packed: bytes, text: bytes) -> Cut:
    """The cut that :func:`pack_cut` packed with the same `text`."""
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
    return Cut(Form(form & ~_OWN_OCTETS), data_coding, tuple(parts), reference)
