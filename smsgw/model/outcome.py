"""The outcomes of sending one part: expected answers of an upstream are values. And the upstream's last words on a
part."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import attrs

from smsgw.model.lifecycle import State


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


LONGEST_WORDS: Final = 200
"""Octets in UTF-8 of the longest words that are kept of an upstream."""

_TEXT_OF_MESSAGE: Final = " text:"


@attrs.frozen
class LastWords:
    """The last words of an upstream about one part that it did not take, or did not deliver.

    :ivar seq: the number of the part.
    :ivar state: the final state that the words gave; QUEUED if the part was to be sent again, or if the gateway decided
        on it.
    :ivar connector: the connector to the upstream. :ivar at: absolute time. :ivar text: printable, at most
        :data:`LONGEST_WORDS`.
    """

    seq: int
    state: State
    connector: str
    at: float
    text: str


def quoted(text: str) -> str:
    """The text of an upstream in a form that can be stored and printed: other characters become escapes, and the end is
    cut off behind :data:`LONGEST_WORDS` octets."""
    text = text[:LONGEST_WORDS].strip()
    if not text.isprintable():
        text = "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)
    return text.encode("utf-8")[:LONGEST_WORDS].decode("utf-8", "ignore")


def quoted_receipt(raw: bytes) -> str:
    """The text of a receipt without its end, which repeats the beginning of the message (SMPP 3.4, appendix B)."""
    text = raw.decode("utf-8", "backslashreplace")
    end = text.lower().find(_TEXT_OF_MESSAGE)
    return quoted(text if end < 0 else text[:end])


def reason(words: Iterable[LastWords], state: State) -> str:
    """The words with which an upstream ended a message in `state`: those about the lowest-numbered part that ended so;
    empty if there are none."""
    return next((one.text for one in sorted(words, key=lambda one: one.seq) if one.state is state), "")
