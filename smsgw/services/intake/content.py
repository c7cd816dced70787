"""Makes the content of messages from a submission's text: alphabet, user data, parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from smsgw.model.content import WHOLE, Content, Cut, Form
from smsgw.model.errors import Refusal, Refused
from smsgw.model.message import Submission
from smsgw.services.senders import Sender
from smsgw.smpp.consts import Tag
from smsgw.smpp.tlvs import read_tlvs
from smsgw.text import coding, parts, udh

ALWAYS_ONE_PART: Final = 140
"""Octets that fit in one part in every alphabet."""

LONGEST_PART: Final = 254
"""The most octets of user data with a header of the client's: it is not cut, and a short message has no room for
more."""

INSISTED: Final[Mapping[str, int | None]] = {"": None, "gsm": 0x00, "ucs2": 0x08}
"""data_coding for the encoding that a client asks for in :class:`~smsgw.model.message.Options`; None: the gateway
chooses."""

FORBIDDEN_PROTOCOLS: Final = frozenset({0x32, 0x7F})
"""protocol_id values that control the handset (3GPP TS 23.040 section 9.2.3.9): Internet mail, whose long sender some
handsets cannot process, and SIM data download."""

FORBIDDEN_CODINGS: Final = frozenset({0x16, 0xF6})
"""data_coding of 8-bit data for the SIM (message class 2), which a SIM data download has."""

FORBIDDEN_PORTS: Final = frozenset({2948, 2949})
"""Ports of WAP push, which can change settings of a handset or install programs."""

_UDHI: Final = 0x40
# An element that names 16-bit ports contains these octets; most messages contain none and are not parsed.
_PORTS: Final = bytes((udh.PORTS_16, 4))
_PORT: Final = Tag.DEST_PORT.to_bytes(2, "big")
_NO_TEXT: Final = Refused(Refusal.EMPTY_TEXT)
_KNOWN: Final = frozenset(octet for octet in range(256) if coding.known(octet))


def build(submission: Submission, sender: Sender) -> tuple[Content, Cut] | Refused:
    """The content of a submission's messages, and its cut. User data that an ESME submitted passes as it came."""
    octets, data_coding, esm_class = submission.octets, submission.data_coding, submission.esm_class
    options = submission.options
    if submission.protocol_id in FORBIDDEN_PROTOCOLS:
        return Refused(Refusal.CANNOT_REGISTER, f"protocol_id 0x{submission.protocol_id:02X} is not allowed")
    if data_coding in FORBIDDEN_CODINGS:
        return Refused(Refusal.CANNOT_REGISTER, f"data_coding 0x{data_coding:02X} is not allowed")
    if ((esm_class & _UDHI and _PORTS in octets) or _PORT in submission.tlvs) and (port := _forbidden_port(submission)):
        return Refused(Refusal.CANNOT_REGISTER, f"port {port} is not allowed")
    text = submission.text
    if text is not None:
        if submission.text_limit and len(text) > submission.text_limit:
            return Refused(
                Refusal.TEXT_TOO_LONG, f"{len(text)} characters; at most {submission.text_limit} are allowed"
            )
        try:
            data_coding, octets = coding.encode(text, None if options is None else INSISTED[options.encoding])
        except coding.NotEncodable as error:
            return Refused(Refusal.BAD_ENCODING, str(error))
    elif data_coding not in _KNOWN:
        return Refused(Refusal.BAD_ENCODING, f"data_coding 0x{data_coding:02X} is not known")
    if not octets:
        return _NO_TEXT
    content = Content(
        sender.value,
        sender.ton,
        sender.npi,
        1,
        1,
        data_coding,
        esm_class,
        octets,
        submission.protocol_id,
        submission.service_type,
        submission.tlvs,
        None if options is None else options.labels,
    )
    if len(octets) <= ALWAYS_ONE_PART:
        return content, WHOLE
    made = cut(content)
    return made if isinstance(made, Refused) else (content, made)


def _forbidden_port(submission: Submission) -> int:
    """The first forbidden port in the user data header or the TLVs, 0 for none."""
    tlvs = read_tlvs(submission.tlvs, 0, len(submission.tlvs))
    found = [int.from_bytes(octets, "big") for tag, octets in tlvs if tag == Tag.DEST_PORT]
    header = udh.parse(submission.octets) if submission.esm_class & _UDHI else None
    if header is not None and header.ports is not None:
        found.append(header.ports.destination)
    return next((port for port in found if port in FORBIDDEN_PORTS), 0)


def cut(content: Content) -> Cut | Refused:
    """Cut the text into parts; :func:`with_reference` sets the concatenation reference when the id is known.

    User data is cut only if it is longer than one part and has no header.
    """
    octets = content.octets
    if len(octets) <= ALWAYS_ONE_PART or content.esm_class & _UDHI:
        if len(octets) > LONGEST_PART:
            return Refused(Refusal.TEXT_TOO_LONG, f"{len(octets)} octets with a header of their own")
        return WHOLE
    try:
        pieces = parts.split(octets, coding.alphabet(content.data_coding), parts.NARROW)
    except parts.TooManyParts as error:
        return Refused(Refusal.TEXT_TOO_LONG, str(error))
    return Cut(Form.UDH8, content.data_coding, tuple(pieces)) if len(pieces) > 1 else WHOLE


def with_reference(made: Cut, number: int) -> Cut:
    """A cut into several parts, with a concatenation reference taken from the id of its message."""
    return Cut(made.form, made.data_coding, made.parts, number & 0xFFFF)
