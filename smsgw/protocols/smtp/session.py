"""What an ESMTP server knows of a client, as its delegate sees it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs


@attrs.define(eq=False)
class Envelope:
    """One mail transaction: from an accepted MAIL to the answer at the end of the data, RSET or EHLO.

    :ivar parameters: of the MAIL command, keywords in upper case.
    :ivar recipients: those that the delegate accepted, in order.
    :ivar data: the delegate's own.
    """

    sender: str
    parameters: Mapping[str, str]
    recipients: list[str] = attrs.field(factory=list)
    data: Any = None


@attrs.define(eq=False)
class Session:
    """One connection, or what began anew with STARTTLS: a session never knows what was said before the encryption.

    :ivar peer: the client's IP address as text; empty where there is none (UNIX sockets).
    :ivar tls: whether the connection is encrypted.
    :ivar ehlo: the name the client gave itself; empty before EHLO or HELO.
    :ivar authenticated: whether a login was answered 235.
    :ivar account: the delegate's to set at the login.
    :ivar data: the delegate's own.
    :ivar envelope: the transaction under way.
    """

    peer: str
    tls: bool
    ehlo: str = ""
    authenticated: bool = False
    account: Any = None
    data: Any = None
    envelope: Envelope | None = None
