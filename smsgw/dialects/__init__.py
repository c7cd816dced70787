"""Dialects: each provider's manner as one object, in a file of its own. Pure: tables, and functions without I/O.

A listener names its dialect in the configuration, an account that of its callbacks; the object decides everything in
which providers differ. Another package adds a dialect as a plugin (:mod:`smsgw.plugins`).
"""

from __future__ import annotations

from smsgw.dialects.manners import (
    CallbackContext,
    CallbackManner,
    CallbackRequest,
    Dialect,
    Excess,
    HttpManner,
    IdForm,
    ReceiptManner,
    SendMessageManner,
    SmppManner,
    SmtpManner,
    by_registered_delivery,
)
from smsgw.dialects.native import NATIVE
from smsgw.dialects.quicktel import QUICKTEL
from smsgw.dialects.rostelecom import ROSTELECOM
from smsgw.dialects.smsc import SMSC
from smsgw.dialects.standard import STANDARD

__all__ = [
    "NATIVE",
    "QUICKTEL",
    "ROSTELECOM",
    "SMSC",
    "STANDARD",
    "CallbackContext",
    "CallbackManner",
    "CallbackRequest",
    "Dialect",
    "Excess",
    "HttpManner",
    "IdForm",
    "ReceiptManner",
    "SendMessageManner",
    "SmppManner",
    "SmtpManner",
    "by_registered_delivery",
]
