"""What the ESME's end of an SMPP session is made with; the message centre's end is a listener of the configuration."""

from __future__ import annotations

import attrs

from smsgw.config import SessionSettings, SmppServerSettings

__all__ = ["SessionSettings", "SmppClientSettings", "SmppServerSettings"]


@attrs.frozen(kw_only=True, slots=False)
class SmppClientSettings(SessionSettings):
    """One link to a message centre, the ESME's end.

    :ivar requests: how many requests of ours may await their response.
    :ivar assume_version: without an sc_interface_version in the bind response take the version that we asked for, as
        many centres mean it, instead of assuming 3.3 and no TLVs by the letter (3.4 section 5.3.2.25).
    """

    session_init: float = 15.0
    enquire_link: float = 30.0
    inactivity: float = 0.0
    response: float = 60.0
    requests: int = 10
    assume_version: bool = False
