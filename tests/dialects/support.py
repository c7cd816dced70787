"""Values of a dialect for the tests of other layers."""

from __future__ import annotations

from smsgw.dialects.standard import RECEIPTS


def receipt_text(
    message_id: bytes, state: int, submitted: bytes, done: bytes, err: bytes = b"000", text: bytes = b""
) -> bytes:
    """The text of a receipt in the dialect standard."""
    return RECEIPTS.form(int(state), int(err)) % (message_id, submitted, done, text)
