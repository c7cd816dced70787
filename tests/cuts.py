"""Texts in parts."""

from __future__ import annotations

from collections.abc import Sequence

from smsgw.model.content import WHOLE, Cut, Form


def cut_into(parts: Sequence[bytes], data_coding: int = 0) -> Cut:
    """A cut into these parts."""
    return Cut(Form.UDH8, data_coding, tuple(parts), 7) if len(parts) > 1 else WHOLE
