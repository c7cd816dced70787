"""The differences between ACME's message centre and plain SMPP."""

from __future__ import annotations

from typing import Final

import attrs

from smsgw.dialects import CallbackContext, CallbackManner, CallbackRequest, Dialect, Excess, IdForm
from smsgw.dialects.standard import RECEIPTS, SMPP
from smsgw.model import Event, Message, Refusal
from smsgw.smpp import CommandId, QuerySm

NO_SUCH_NUMBER: Final = 0x0420
"""ACME's command_status for a recipient that cannot get messages."""

PADDED: Final = IdForm(b"%010d", also=(b"%d",))
"""Ten digits, in every version; query_sm may leave the zeros out."""


def write_callback(url: str, event: Event, context: CallbackContext) -> CallbackRequest | None:
    """Return GET with id and state of a message; None for what subscribers send, which ACME does not report."""
    if not isinstance(event.message, Message):
        return None
    values = f"uid={event.message.id:010d}&state={event.state.word}"
    return CallbackRequest(b"GET", f"{url}{'&' if '?' in url else '?'}{values}")


ACME: Final = Dialect(
    name="acme",
    smpp=attrs.evolve(
        SMPP,
        settings={
            "connections": 1,
            "maxima": {"password": 65},
            "nacked": frozenset({int(CommandId.CANCEL_SM)}),
        },
        statuses={**SMPP.statuses, Refusal.BAD_RECIPIENT: NO_SUCH_NUMBER},
        ids=dict.fromkeys(SMPP.ids, PADDED),
        receipts=attrs.evolve(RECEIPTS, text="ACME id:{id} at:{submitted} over:{done} stat:{stat} err:{err:d}"),
        operations=frozenset({QuerySm}),
        excess=Excess.UNBIND_OLDEST,
    ),
    callback=CallbackManner(write=write_callback),
)
