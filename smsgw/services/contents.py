"""What a submission's text becomes on the air: alphabet, user data, parts."""

from __future__ import annotations

from typing import Final

from smsgw.model.content import Content
from smsgw.model.errors import Refusal, Refused
from smsgw.model.message import Submission
from smsgw.services.senders import Sender
from smsgw.text import coding, parts

ALWAYS_ONE_PART: Final = 140
"""Octets that fit one part in every alphabet."""

FORBIDDEN_PROTOCOLS: Final = frozenset({0x7F})
"""protocol_id values that reach into the handset rather than its owner (SIM data download)."""

_UDHI: Final = 0x40
_NO_TEXT: Final = Refused(Refusal.EMPTY_TEXT)
_KNOWN: Final = frozenset(octet for octet in range(256) if coding.known(octet))


def made(submission: Submission, sender: Sender) -> Content | Refused:
    """The content of a submission's messages, cut into parts; the concatenation reference comes with the id.

    User data that an ESME submitted passes as it came; it is cut only when it is longer than one part and brings
    no header of its own.
    """
    octets, data_coding, esm_class = submission.octets, submission.data_coding, submission.esm_class
    if submission.protocol_id in FORBIDDEN_PROTOCOLS:
        return Refused(Refusal.CANNOT_REGISTER, f"protocol_id 0x{submission.protocol_id:02X} is not allowed")
    text = submission.text
    if text is not None:
        if submission.text_limit and len(text) > submission.text_limit:
            return Refused(
                Refusal.TEXT_TOO_LONG, f"{len(text)} characters; at most {submission.text_limit} are allowed"
            )
        try:
            data_coding, octets = coding.encode(text)
        except coding.NotEncodable as error:
            return Refused(Refusal.BAD_ENCODING, str(error))
    elif data_coding not in _KNOWN:
        return Refused(Refusal.BAD_ENCODING, f"data_coding 0x{data_coding:02X} is not known")
    if not octets:
        return _NO_TEXT
    pieces: tuple[bytes, ...]
    if len(octets) <= ALWAYS_ONE_PART or esm_class & _UDHI:
        pieces = (octets,)
    else:
        try:
            pieces = tuple(parts.split(octets, coding.alphabet(data_coding), parts.NARROW))
        except parts.TooManyParts as error:
            return Refused(Refusal.TEXT_TOO_LONG, str(error))
    return Content(
        sender.value,
        sender.ton,
        sender.npi,
        1,
        1,
        data_coding,
        esm_class,
        pieces,
        0,
        submission.protocol_id,
        submission.service_type,
        submission.tlvs,
    )


def referenced(content: Content, number: int) -> Content:
    """The content with a concatenation reference taken from the id of its message, where it needs one."""
    if len(content.parts) == 1:
        return content
    return Content(
        content.source,
        content.source_ton,
        content.source_npi,
        content.dest_ton,
        content.dest_npi,
        content.data_coding,
        content.esm_class,
        content.parts,
        number & 0xFFFF,
        content.protocol_id,
        content.service_type,
        content.tlvs,
    )
