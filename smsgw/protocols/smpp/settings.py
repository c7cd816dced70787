"""Settings of the ESME's end of an SMPP session; those of the message centre's end are a listener of the
configuration."""

from __future__ import annotations

import attrs

from smsgw.config import SessionSettings, SmppServerSettings

__all__ = ["SessionSettings", "SmppClientSettings", "SmppServerSettings"]


@attrs.frozen(kw_only=True, slots=False)
class SmppClientSettings(SessionSettings):
    """Settings of a link to a message centre, the ESME's end.

    :ivar requests: our window: the most requests that await their response.
    :ivar assume_version: if the bind response has no sc_interface_version, assume the version that we asked for, as
    most message centres mean it. The specification (3.4 section 5.3.2.25) wants 3.3 without TLVs assumed.
    """

    session_init: float = 15.0
    enquire_link: float = 30.0
    inactivity: float = 0.0
    response: float = 60.0
    pdu_rate: float = 0.0
    requests: int = 10
    assume_version: bool = False
