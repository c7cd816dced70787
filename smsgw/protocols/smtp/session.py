"""The session and the envelope of an ESMTP client, as the delegate sees them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs


@attrs.define(eq=False)
class Envelope:
    """One mail transaction: from an accepted MAIL to the reply after the data, RSET or EHLO.

    :ivar parameters: of the MAIL command, keywords in upper case.
    :ivar recipients: those that the delegate accepted, in order.
    :ivar data: for the delegate.
    """

    sender: str
    parameters: Mapping[str, str]
    recipients: list[str] = attrs.field(factory=list)
    data: Any = None


@attrs.define(eq=False)
class Session:
    """One session: a connection, or its part from STARTTLS on, which knows nothing of the clear-text part.

    :ivar peer: the client's IP address as text; empty on a UNIX socket.
    :ivar tls: whether the connection is encrypted.
    :ivar ehlo: the client's name from EHLO or HELO; empty before.
    :ivar authenticated: whether a login was answered 235.
    :ivar account: set by the delegate at the login.
    :ivar data: for the delegate.
    :ivar envelope: the open transaction, or None.
    """

    peer: str
    tls: bool
    ehlo: str = ""
    authenticated: bool = False
    account: Any = None
    data: Any = None
    envelope: Envelope | None = None
