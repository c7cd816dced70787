"""What an upstream can answer to one part: expected answers are values, not exceptions."""

from __future__ import annotations

import attrs


@attrs.define(eq=False)
class Sent:
    """The upstream took the part and will report on it under `remote_id` (its own words, unchanged)."""

    remote_id: str


@attrs.define(eq=False)
class Rejected:
    """The upstream will never take this part; `error` is the code shown to the sender, `why` is for people."""

    error: int
    why: str = ""


@attrs.define(eq=False)
class Busy:
    """The upstream asks to try again; `seconds` from now, or None for the connector's own back-off.

    `charged` tells whether this counts as an attempt of the message (a throttled connector does not charge it).
    """

    seconds: float | None = None
    charged: bool = True
    why: str = ""


@attrs.define(eq=False)
class Lost:
    """No answer came: the part may or may not have been taken."""

    why: str = ""


Outcome = Sent | Rejected | Busy | Lost
