"""Every PDU of SMPP 3.3, 3.4 and 5.0, declared once.

A class lists its mandatory fields in wire order, named as in the specification; the codec, sizes, printing, maxima and
the strategies of the tests are derived from these lists. All attributes have defaults. C-Octet Strings are ``bytes``
without their NUL; ``tlvs`` holds (tag, octets) in order of arrival, unknown tags included. Positional arguments are
sequence_number, command_status (responses only), then the body; ``tlvs`` is keyword-only.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final

import attrs

from smsgw.smpp.consts import VERSIONS, CommandId, Status, Tag
from smsgw.smpp.fields import (
    DistributionList,
    SmeAddress,
    UnsuccessSme,
    Wire,
    cstr,
    destinations,
    failures,
    int1,
    text,
    time,
    wire_of,
)
from smsgw.smpp.tlvs import Tlv, tlv_value

HEADER: Final = 16
"""Octets of the header that every PDU begins with."""

_PAYLOAD: Final = int(Tag.MESSAGE_PAYLOAD)
_SECRET: Final = frozenset({"password"})
_ADDRESSES: Final = frozenset({"source_addr", "destination_addr", "esme_addr"})
_TEXT: Final = frozenset({"short_message", "tlvs", "raw", "body"})


class BodyOnError(enum.Enum):
    """Whether a response with a non-zero command_status is written with its body: mandatory fields and TLVs."""

    NEVER = "never"
    GIVEN = "given"
    """Only if the caller filled in a field or a TLV."""
    ALWAYS = "always"
    """The mandatory fields are written even if they are empty."""


_NEVER, _GIVEN, _ALWAYS = BodyOnError.NEVER, BodyOnError.GIVEN, BodyOnError.ALWAYS


@attrs.define(eq=False, repr=False)
class Pdu:
    """One protocol data unit; ``sequence_number`` ties a response to its request."""

    sequence_number: int = 0
    tlvs: Sequence[Tlv] = attrs.field(default=(), kw_only=True)

    command_id: ClassVar[int]
    name: ClassVar[str]
    is_response: ClassVar[bool] = False

    def __init_subclass__(cls, *, command: CommandId | None = None) -> None:
        if command is not None:
            cls.command_id = int(command)
            cls.name = command.name.lower()

    def tlv(self, tag: int) -> Any:
        """Return the first value of a tag, read by its declared type (int or bytes), or None if it is absent.

        Of a repeated tag the first value counts. An Integer of an unexpected width is returned as an int if it has 1-4
        octets, else as bytes; a C-Octet String loses one NUL at its end, if there is one.
        """
        for present, octets in self.tlvs:
            if present == tag:
                return tlv_value(tag, octets)
        return None

    def user_data(self) -> bytes:
        """Return the octets of the text: message_payload if present, else short_message, else an empty string."""
        for tag, octets in self.tlvs:
            if tag == _PAYLOAD:
                return octets
        text: bytes = getattr(self, "short_message", b"")
        return text

    def items(self) -> Iterator[tuple[str, Any]]:
        """Yield (name, value) of every attribute in wire order, the TLVs last, including secrets."""
        for attribute in attrs.fields(type(self)):
            if attribute.name != "tlvs":
                yield attribute.name, getattr(self, attribute.name)
        yield "tlvs", self.tlvs

    def __repr__(self) -> str:
        """Show the attributes that differ from their defaults, without passwords and text and with shortened
        addresses."""
        shown = [f"sequence_number={self.sequence_number}"]
        for name, value in self.items():
            if name != "sequence_number" and value:
                shown.append(f"{name}={_masked(name, value)}")
        return f"{type(self).__name__}({', '.join(shown)})"


def _masked(name: str, value: Any) -> str:
    if name in _SECRET:
        return "***"
    if name in _ADDRESSES:
        return repr(value[:4] + b"..." + value[-2:] if len(value) > 6 else b"...")
    if name == "tlvs":
        return "[" + ", ".join(f"0x{tag:04X}:{len(octets)}" for tag, octets in value) + "]"
    if name in _TEXT:
        return f"<{len(value)} octets>"
    if isinstance(value, list | tuple):
        return f"<{len(value)} entries>"
    return repr(value)


@attrs.define(eq=False, repr=False)
class Response(Pdu):
    """The answer to a request; ``command_status`` 0 means success."""

    command_status: int = 0
    raw: bytes = attrs.field(default=b"", kw_only=True)
    """The unreadable body of a failed response; never encoded."""

    is_response: ClassVar[bool] = True
    body_on_error: ClassVar[Mapping[int, BodyOnError]] = dict.fromkeys(VERSIONS, _NEVER)
    """By version. 3.3 leaves out no body. 3.4 leaves out those of the bind responses and of submit_sm_resp (3.4
    sections 4.1 and 4.4.2). 5.0 leaves out all (5.0 section 3.2.1.3), but TLVs may give the reason of an error."""

    def __init_subclass__(
        cls,
        *,
        command: CommandId | None = None,
        on_error: tuple[BodyOnError, BodyOnError, BodyOnError] | None = None,
        **rest: Any,
    ) -> None:
        """``on_error`` sets :attr:`body_on_error` for 3.3, 3.4 and 5.0."""
        super().__init_subclass__(command=command, **rest)
        if on_error is not None:
            cls.body_on_error = dict(zip(VERSIONS, on_error, strict=True))


@attrs.define(eq=False, repr=False)
class Request(Pdu):
    """A request or notification; ``response`` is the class of its response, None if it has none."""

    response: ClassVar[type[Response] | None] = None

    def __init_subclass__(
        cls, *, command: CommandId | None = None, response: type[Response] | None = None, **rest: Any
    ) -> None:
        super().__init_subclass__(command=command, **rest)
        if response is not None:
            cls.response = response


@attrs.define(eq=False, repr=False)
class GenericNack(Response, command=CommandId.GENERIC_NACK):
    """The answer to a PDU with an unknown command_id or an impossible length."""


@attrs.define(eq=False, repr=False)
class BindResp(Response, on_error=(_ALWAYS, _NEVER, _NEVER)):
    """The fields of the three bind responses: the name of the message centre; TLV sc_interface_version."""

    system_id: bytes = cstr(16, Status.ESME_RINVSYSID)


@attrs.define(eq=False, repr=False)
class BindReceiverResp(BindResp, command=CommandId.BIND_RECEIVER_RESP):
    """The answer to bind_receiver."""


@attrs.define(eq=False, repr=False)
class BindTransmitterResp(BindResp, command=CommandId.BIND_TRANSMITTER_RESP):
    """The answer to bind_transmitter."""


@attrs.define(eq=False, repr=False)
class BindTransceiverResp(BindResp, command=CommandId.BIND_TRANSCEIVER_RESP):
    """The answer to bind_transceiver."""


@attrs.define(eq=False, repr=False)
class Bind(Request):
    """The fields of the three bind requests."""

    system_id: bytes = cstr(16, Status.ESME_RINVSYSID)
    password: bytes = cstr(9, Status.ESME_RINVPASWD)
    system_type: bytes = cstr(13, Status.ESME_RINVSYSTYP, usually_empty=True)
    interface_version: int = int1()
    addr_ton: int = int1()
    addr_npi: int = int1()
    address_range: bytes = cstr(41, usually_empty=True)


@attrs.define(eq=False, repr=False)
class BindReceiver(Bind, command=CommandId.BIND_RECEIVER, response=BindReceiverResp):
    """Open a session that only receives messages."""


@attrs.define(eq=False, repr=False)
class BindTransmitter(Bind, command=CommandId.BIND_TRANSMITTER, response=BindTransmitterResp):
    """Open a session that only submits messages."""


@attrs.define(eq=False, repr=False)
class BindTransceiver(Bind, command=CommandId.BIND_TRANSCEIVER, response=BindTransceiverResp):
    """Open a session for both directions."""


@attrs.define(eq=False, repr=False)
class Outbind(Request, command=CommandId.OUTBIND):
    """The message centre asks the ESME to bind; answered by a bind request or by closing."""

    system_id: bytes = cstr(16, Status.ESME_RINVSYSID)
    password: bytes = cstr(9, Status.ESME_RINVPASWD)


@attrs.define(eq=False, repr=False)
class UnbindResp(Response, command=CommandId.UNBIND_RESP):
    """The answer to unbind."""


@attrs.define(eq=False, repr=False)
class Unbind(Request, command=CommandId.UNBIND, response=UnbindResp):
    """End the session in an orderly way."""


@attrs.define(eq=False, repr=False)
class EnquireLinkResp(Response, command=CommandId.ENQUIRE_LINK_RESP):
    """The answer to enquire_link."""


@attrs.define(eq=False, repr=False)
class EnquireLink(Request, command=CommandId.ENQUIRE_LINK, response=EnquireLinkResp):
    """Ask whether the peer is alive."""


@attrs.define(eq=False, repr=False)
class ShortMessage(Request):
    """The fields of submit_sm and deliver_sm: one message from one address to another."""

    service_type: bytes = cstr(6, Status.ESME_RINVSERTYP, usually_empty=True)
    source_addr_ton: int = int1()
    source_addr_npi: int = int1()
    source_addr: bytes = cstr(21, Status.ESME_RINVSRCADR)
    dest_addr_ton: int = int1()
    dest_addr_npi: int = int1()
    destination_addr: bytes = cstr(21, Status.ESME_RINVDSTADR)
    esm_class: int = int1()
    protocol_id: int = int1()
    priority_flag: int = int1()
    schedule_delivery_time: bytes = time(Status.ESME_RINVSCHED)
    validity_period: bytes = time(Status.ESME_RINVEXPIRY)
    registered_delivery: int = int1()
    replace_if_present_flag: int = int1()
    data_coding: int = int1()
    sm_default_msg_id: int = int1()
    short_message: bytes = text()


@attrs.define(eq=False, repr=False)
class SubmitSmResp(Response, command=CommandId.SUBMIT_SM_RESP, on_error=(_ALWAYS, _GIVEN, _GIVEN)):
    """The answer to submit_sm with the id of the message."""

    message_id: bytes = cstr(65, Status.ESME_RINVMSGID)


@attrs.define(eq=False, repr=False)
class SubmitSm(ShortMessage, command=CommandId.SUBMIT_SM, response=SubmitSmResp):
    """Submit one message to the message centre (MT)."""


@attrs.define(eq=False, repr=False)
class DeliverSmResp(Response, command=CommandId.DELIVER_SM_RESP, on_error=(_ALWAYS, _ALWAYS, _GIVEN)):
    """The answer to deliver_sm; its message_id is unused and normally empty."""

    message_id: bytes = cstr(65, Status.ESME_RINVMSGID, usually_empty=True)


@attrs.define(eq=False, repr=False)
class DeliverSm(ShortMessage, command=CommandId.DELIVER_SM, response=DeliverSmResp):
    """Deliver an incoming message (MO) or a receipt to the ESME."""


@attrs.define(eq=False, repr=False)
class WrittenDeliverSm(Request, command=CommandId.DELIVER_SM, response=DeliverSmResp):
    """A deliver_sm whose ``body``, TLVs included, is already encoded for one version.

    It makes frequent receipts cheap: the fields that are equal in all of them are encoded once.
    """

    body: bytes = b""


@attrs.define(eq=False, repr=False)
class SubmitMultiResp(Response, command=CommandId.SUBMIT_MULTI_RESP, on_error=(_ALWAYS, _ALWAYS, _GIVEN)):
    """The answer to submit_multi with the destinations that the message centre refused."""

    message_id: bytes = cstr(65, Status.ESME_RINVMSGID)
    unsuccess_sme: Sequence[UnsuccessSme] = failures()


@attrs.define(eq=False, repr=False)
class SubmitMulti(Request, command=CommandId.SUBMIT_MULTI, response=SubmitMultiResp):
    """Submit one message for many destinations to the message centre."""

    service_type: bytes = cstr(6, Status.ESME_RINVSERTYP, usually_empty=True)
    source_addr_ton: int = int1()
    source_addr_npi: int = int1()
    source_addr: bytes = cstr(21, Status.ESME_RINVSRCADR)
    dest_address: Sequence[SmeAddress | DistributionList] = destinations()
    esm_class: int = int1()
    protocol_id: int = int1()
    priority_flag: int = int1()
    schedule_delivery_time: bytes = time(Status.ESME_RINVSCHED)
    validity_period: bytes = time(Status.ESME_RINVEXPIRY)
    registered_delivery: int = int1()
    replace_if_present_flag: int = int1()
    data_coding: int = int1()
    sm_default_msg_id: int = int1()
    short_message: bytes = text()


@attrs.define(eq=False, repr=False)
class DataSmResp(Response, command=CommandId.DATA_SM_RESP, on_error=(_ALWAYS, _ALWAYS, _GIVEN)):
    """The answer to data_sm; its TLVs give the reason of a failed delivery in transaction mode."""

    message_id: bytes = cstr(65, Status.ESME_RINVMSGID)


@attrs.define(eq=False, repr=False)
class DataSm(Request, command=CommandId.DATA_SM, response=DataSmResp):
    """Send one message in either direction; its text is in message_payload."""

    service_type: bytes = cstr(6, Status.ESME_RINVSERTYP, usually_empty=True)
    source_addr_ton: int = int1()
    source_addr_npi: int = int1()
    source_addr: bytes = cstr(65, Status.ESME_RINVSRCADR)
    dest_addr_ton: int = int1()
    dest_addr_npi: int = int1()
    destination_addr: bytes = cstr(65, Status.ESME_RINVDSTADR)
    esm_class: int = int1()
    registered_delivery: int = int1()
    data_coding: int = int1()


@attrs.define(eq=False, repr=False)
class QuerySmResp(Response, command=CommandId.QUERY_SM_RESP, on_error=(_ALWAYS, _ALWAYS, _NEVER)):
    """The answer to query_sm: the state of the message and the time at which it became final."""

    message_id: bytes = cstr(65, Status.ESME_RINVMSGID)
    final_date: bytes = time(Status.ESME_RINVEXPIRY, short=True)
    message_state: int = int1()
    error_code: int = int1()


@attrs.define(eq=False, repr=False)
class QuerySm(Request, command=CommandId.QUERY_SM, response=QuerySmResp):
    """Ask for the state of a message."""

    message_id: bytes = cstr(65, Status.ESME_RINVMSGID)
    source_addr_ton: int = int1()
    source_addr_npi: int = int1()
    source_addr: bytes = cstr(21, Status.ESME_RINVSRCADR)


@attrs.define(eq=False, repr=False)
class CancelSmResp(Response, command=CommandId.CANCEL_SM_RESP):
    """The answer to cancel_sm."""


@attrs.define(eq=False, repr=False)
class CancelSm(Request, command=CommandId.CANCEL_SM, response=CancelSmResp):
    """Cancel one pending message, or with an empty message_id all messages between two addresses."""

    service_type: bytes = cstr(6, Status.ESME_RINVSERTYP, usually_empty=True)
    message_id: bytes = cstr(65, Status.ESME_RINVMSGID)
    source_addr_ton: int = int1()
    source_addr_npi: int = int1()
    source_addr: bytes = cstr(21, Status.ESME_RINVSRCADR)
    dest_addr_ton: int = int1()
    dest_addr_npi: int = int1()
    destination_addr: bytes = cstr(21, Status.ESME_RINVDSTADR)


@attrs.define(eq=False, repr=False)
class ReplaceSmResp(Response, command=CommandId.REPLACE_SM_RESP):
    """The answer to replace_sm."""


@attrs.define(eq=False, repr=False)
class ReplaceSm(Request, command=CommandId.REPLACE_SM, response=ReplaceSmResp):
    """Replace the text, schedule or validity of a pending message; its data_coding stays."""

    message_id: bytes = cstr(65, Status.ESME_RINVMSGID)
    source_addr_ton: int = int1()
    source_addr_npi: int = int1()
    source_addr: bytes = cstr(21, Status.ESME_RINVSRCADR)
    schedule_delivery_time: bytes = time(Status.ESME_RINVSCHED)
    validity_period: bytes = time(Status.ESME_RINVEXPIRY)
    registered_delivery: int = int1()
    sm_default_msg_id: int = int1()
    short_message: bytes = text()


@attrs.define(eq=False, repr=False)
class AlertNotification(Request, command=CommandId.ALERT_NOTIFICATION):
    """Notify the ESME that a handset can be reached again; it has no response."""

    source_addr_ton: int = int1()
    source_addr_npi: int = int1()
    source_addr: bytes = cstr(65, Status.ESME_RINVSRCADR)
    esme_addr_ton: int = int1()
    esme_addr_npi: int = int1()
    esme_addr: bytes = cstr(65, Status.ESME_RINVDSTADR)


@attrs.define(eq=False, repr=False)
class BroadcastSmResp(Response, command=CommandId.BROADCAST_SM_RESP, on_error=(_ALWAYS, _ALWAYS, _GIVEN)):
    """The answer to broadcast_sm; its TLVs pair failed areas with their errors."""

    message_id: bytes = cstr(65, Status.ESME_RINVMSGID)


@attrs.define(eq=False, repr=False)
class BroadcastSm(Request, command=CommandId.BROADCAST_SM, response=BroadcastSmResp):
    """Send a text to all handsets of some areas; text, areas and repetition are TLVs."""

    service_type: bytes = cstr(6, Status.ESME_RINVSERTYP, usually_empty=True)
    source_addr_ton: int = int1()
    source_addr_npi: int = int1()
    source_addr: bytes = cstr(21, Status.ESME_RINVSRCADR)
    message_id: bytes = cstr(65, Status.ESME_RINVMSGID, usually_empty=True)
    priority_flag: int = int1()
    schedule_delivery_time: bytes = time(Status.ESME_RINVSCHED)
    validity_period: bytes = time(Status.ESME_RINVEXPIRY)
    replace_if_present_flag: int = int1()
    data_coding: int = int1()
    sm_default_msg_id: int = int1()


@attrs.define(eq=False, repr=False)
class QueryBroadcastSmResp(Response, command=CommandId.QUERY_BROADCAST_SM_RESP, on_error=(_ALWAYS, _ALWAYS, _NEVER)):
    """The answer to query_broadcast_sm; its TLVs pair areas with their success in per cent."""

    message_id: bytes = cstr(65, Status.ESME_RINVMSGID)


@attrs.define(eq=False, repr=False)
class QueryBroadcastSm(Request, command=CommandId.QUERY_BROADCAST_SM, response=QueryBroadcastSmResp):
    """Ask for the state of a broadcast."""

    message_id: bytes = cstr(65, Status.ESME_RINVMSGID)
    source_addr_ton: int = int1()
    source_addr_npi: int = int1()
    source_addr: bytes = cstr(21, Status.ESME_RINVSRCADR)


@attrs.define(eq=False, repr=False)
class CancelBroadcastSmResp(Response, command=CommandId.CANCEL_BROADCAST_SM_RESP):
    """The answer to cancel_broadcast_sm."""


@attrs.define(eq=False, repr=False)
class CancelBroadcastSm(Request, command=CommandId.CANCEL_BROADCAST_SM, response=CancelBroadcastSmResp):
    """End a broadcast."""

    service_type: bytes = cstr(6, Status.ESME_RINVSERTYP, usually_empty=True)
    message_id: bytes = cstr(65, Status.ESME_RINVMSGID)
    source_addr_ton: int = int1()
    source_addr_npi: int = int1()
    source_addr: bytes = cstr(21, Status.ESME_RINVSRCADR)


PDUS: Final[tuple[type[Pdu], ...]] = (
    GenericNack,
    BindReceiver,
    BindReceiverResp,
    BindTransmitter,
    BindTransmitterResp,
    QuerySm,
    QuerySmResp,
    SubmitSm,
    SubmitSmResp,
    DeliverSm,
    DeliverSmResp,
    Unbind,
    UnbindResp,
    ReplaceSm,
    ReplaceSmResp,
    CancelSm,
    CancelSmResp,
    BindTransceiver,
    BindTransceiverResp,
    Outbind,
    EnquireLink,
    EnquireLinkResp,
    SubmitMulti,
    SubmitMultiResp,
    AlertNotification,
    DataSm,
    DataSmResp,
    BroadcastSm,
    BroadcastSmResp,
    QueryBroadcastSm,
    QueryBroadcastSmResp,
    CancelBroadcastSm,
    CancelBroadcastSmResp,
)
"""Every PDU class."""

BY_ID: Final[dict[int, type[Pdu]]] = {cls.command_id: cls for cls in PDUS}
"""The class of each known command_id."""


def _declared(cls: type[Pdu]) -> tuple[tuple[str, Wire], ...]:
    wires = ((attribute.name, wire_of(attribute)) for attribute in attrs.fields(cls))
    return tuple((name, wire) for name, wire in wires if wire is not None)


_BODIES: Final = {cls: _declared(cls) for cls in (*PDUS, WrittenDeliverSm)}


def body(cls: type[Pdu]) -> tuple[tuple[str, Wire], ...]:
    """Return the mandatory fields of a PDU class in wire order, each with its wire type."""
    return _BODIES[cls]


def size(pdu: Pdu) -> int:
    """Return the octets of a PDU when its body and TLVs are encoded."""
    fields = sum(wire.size(getattr(pdu, name)) for name, wire in body(type(pdu)))
    return HEADER + fields + sum(4 + len(octets) for _, octets in pdu.tlvs)
