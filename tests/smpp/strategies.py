"""PDUs for property tests, derived from the same declarations as the codec."""

from typing import Any

from hypothesis import strategies as st

from smsgw.smpp.consts import Tag
from smsgw.smpp.fields import (
    CString,
    Destinations,
    DistributionList,
    Failures,
    Integer,
    SmeAddress,
    Text,
    UnsuccessSme,
    Wire,
)
from smsgw.smpp.pdus import PDUS, Pdu, Response, body
from smsgw.smpp.tlvs import TLV_TYPES, Kind, Tlv, TlvType

octet = st.integers(0, 0xFF)
word = st.integers(0, 0xFFFF_FFFF)
sequence_numbers = word


def characters(most: int) -> st.SearchStrategy[bytes]:
    """Octets that a C-Octet String of `most` octets, NUL included, can hold."""
    return st.lists(st.integers(1, 0xFF), max_size=most - 1).map(bytes)


ADDRESSES = characters(21)
ENTRIES = st.builds(SmeAddress, octet, octet, ADDRESSES) | st.builds(DistributionList, ADDRESSES)


def of_wire(wire: Wire) -> st.SearchStrategy[Any]:
    """Values that a field can have."""
    if isinstance(wire, Integer):
        return st.integers(0, 256**wire.octets - 1)
    if isinstance(wire, CString):
        return st.just(b"") | characters(wire.maximum)
    if isinstance(wire, Text):
        return st.binary(max_size=255)
    if isinstance(wire, Destinations):
        return st.lists(ENTRIES, max_size=5).map(tuple)
    assert isinstance(wire, Failures)
    return st.lists(st.builds(UnsuccessSme, octet, octet, ADDRESSES, word), max_size=5).map(tuple)


def of_tlv_type(declared: TlvType) -> st.SearchStrategy[int | bytes]:
    """Values that the specification allows to a tag."""
    if declared.kind is Kind.INTEGER:
        return st.integers(0, 256**declared.most - 1)
    if declared.kind is Kind.STRING:
        return st.lists(st.integers(1, 0xFF), min_size=declared.least - 1, max_size=min(declared.most, 300) - 1).map(
            bytes
        )
    return st.binary(min_size=declared.least, max_size=min(declared.most, 300))


known_tlvs = st.sampled_from(sorted(TLV_TYPES)).flatmap(
    lambda tag: st.tuples(st.just(tag), of_tlv_type(TLV_TYPES[tag]))
)
raw_tlvs: st.SearchStrategy[Tlv] = st.tuples(
    st.sampled_from([int(tag) for tag in Tag]) | st.integers(0, 0xFFFF), st.binary(max_size=40)
)


def of_class(cls: type[Pdu]) -> st.SearchStrategy[Pdu]:
    """PDUs of one class, with any values that can be written."""
    fields: dict[str, st.SearchStrategy[Any]] = {name: of_wire(wire) for name, wire in body(cls)}
    fields["sequence_number"] = sequence_numbers
    fields["tlvs"] = st.lists(raw_tlvs, max_size=4)
    if issubclass(cls, Response):
        fields["command_status"] = st.just(0) | word
    return st.builds(cls, **fields)


any_pdu = st.sampled_from(PDUS).flatmap(of_class)


def values(pdu: Pdu) -> dict[str, Any]:
    """All attributes of a PDU, for comparison."""
    return {**dict(pdu.items()), "tlvs": list(pdu.tlvs), "class": type(pdu)}
