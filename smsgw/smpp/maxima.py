"""The maximum length of each field, and the command_status for a longer one.

The codec reads C-Octet Strings of up to 256 octets. The maxima of the specification are a separate table, which a
session may raise for peers that put long passwords, keys or e-mail addresses into their fields. ``codec.reader``
applies them while it decodes; ``length_fault`` applies them to a decoded PDU.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from smsgw.smpp.consts import Status
from smsgw.smpp.fields import CSTRING_LIMIT, CString, Destinations, DistributionList, Failures
from smsgw.smpp.pdus import PDUS, Pdu, body

Maxima: TypeAlias = Mapping[str, Mapping[str, int]]
"""Operation name -> field name -> the most octets of a C-Octet String, its NUL included."""

MAXIMA: Final[Maxima] = {
    cls.name: {name: wire.maximum for name, wire in body(cls) if isinstance(wire, CString)} for cls in PDUS
}
"""The maxima of the specification."""

_ADDRESS: Final = 21


def raise_maxima(raised: Mapping[str, int]) -> Maxima:
    """Return the maxima of the specification with some replaced.

    A key is a field (``"system_type"``) or a field of one operation (``"bind_transmitter.system_type"``); a value is in
    octets with the NUL. Raises ValueError for a field that does not exist, and for more octets than the codec reads
    (256).
    """
    maxima = {name: dict(fields) for name, fields in MAXIMA.items()}
    for place, most in raised.items():
        operation, _, field = place.rpartition(".")
        hits = [fields for name, fields in maxima.items() if operation in ("", name) and field in fields]
        if not hits or not 1 <= most <= CSTRING_LIMIT:
            raise ValueError(f"no field {place!r} can have at most {most} octets")
        for fields in hits:
            fields[field] = most
    return maxima


def length_fault(pdu: Pdu, maxima: Maxima = MAXIMA) -> tuple[int, str]:
    """Return the status and the name of the first field whose length is out of range, or 0 and an empty string.

    Times must be empty or of their exact length; submit_multi needs a destination.
    """
    limits = maxima[pdu.name]
    for name, wire in body(type(pdu)):
        value = getattr(pdu, name)
        if isinstance(wire, CString):
            if len(value) not in wire.lengths if wire.lengths else len(value) >= limits[name]:
                return wire.status, name
        elif isinstance(wire, Destinations) and not value:
            return int(Status.ESME_RINVNUMDESTS), "number_of_dests"
        elif isinstance(wire, Destinations | Failures):
            for entry in value:
                if isinstance(entry, DistributionList):
                    if len(entry.dl_name) >= _ADDRESS:
                        return int(Status.ESME_RINVDLNAME), "dl_name"
                elif len(entry.destination_addr) >= _ADDRESS:
                    return int(Status.ESME_RINVDSTADR), "destination_addr"
    return 0, ""
