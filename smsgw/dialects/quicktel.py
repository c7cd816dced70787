"""The dialect ``quicktel``: mail with the verb STATUS (provider document 000)."""

from __future__ import annotations

from typing import Final

import attrs

from smsgw.dialects import standard
from smsgw.dialects.manners import Dialect

EHLO: Final = ("SMTP Server", "8BITMIME", "STARTTLS", "AUTH LOGIN PLAIN", "Ok")
"""The five lines of the answer to EHLO (000-3)."""

SMTP: Final = attrs.evolve(
    standard.SMTP,
    settings={
        "greeting": "Message gateway",  # (000-2)
        "ehlo": EHLO,
        "plain_challenge": "Ok",  # (000-5)
        "auth_without_tls": True,  # (000-14)
        "text_limit": 480,  # (000-26)
    },
    login=(235, "Authentication successful."),  # (000-8)
    sender=(250, "Ok"),
    recipient=(250, "Ok"),
    accepted="{id} message accepted",  # (000-30)
)
"""Refusals and STATUS are as in ``standard``; positive replies have no enhanced codes."""

QUICKTEL: Final = Dialect(name="quicktel", smtp=SMTP)
