"""The outcomes of sending one part: expected answers of an upstream are values."""

from __future__ import annotations

import attrs


@attrs.define(eq=False)
class Sent:
    """The upstream took the part; its receipts carry `remote_id` (the upstream's id, unchanged)."""

    remote_id: str


@attrs.define(eq=False)
class Rejected:
    """The upstream refused the part permanently; `error` is the code for the sender, `why` is for the administrator."""

    error: int
    why: str = ""


@attrs.define(eq=False)
class Busy:
    """The part was not taken and is to be tried again, `seconds` from now, or None for the connector's own back-off.

    `charged` is True if this counts as an attempt of the message (a throttled connector does not count it).
    """

    seconds: float | None = None
    charged: bool = True
    why: str = ""


@attrs.define(eq=False)
class Lost:
    """No answer came: the part may or may not have been taken."""

    why: str = ""


Outcome = Sent | Rejected | Busy | Lost
