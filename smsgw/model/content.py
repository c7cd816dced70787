"""The content of a message: sender, coding and the uncut text; and its cut into parts.

Both are immutable. The content stays as it was accepted; the cut depends on the chosen connector.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import attrs

from smsgw.text import coding, udh

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


WHOLE: Final = Cut()
"""The cut of a message of one part, which is the whole text."""
