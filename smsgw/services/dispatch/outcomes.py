"""Outcomes on their way into the store: the batch of one commit, and the outcomes of a message in several parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs

from smsgw.model.changes import PartEnded, PartSent, Requeued
from smsgw.model.lifecycle import State
from smsgw.model.message import Part
from smsgw.model.outcome import Busy, LastWords, Lost, quoted

Change = PartSent | PartEnded | Requeued
"""A change of a claimed message."""

NOT_SENT: Final = Busy(0.0, False, "the link is down")
"""The outcome of a claimed part that was not passed to the connector."""


def last_words(seq: int, state: State, connector: str, at: float, why: str) -> list[LastWords]:
    """The last words of an upstream about one part, if it said any."""
    return [LastWords(seq, state, connector, at, quoted(why))] if why else []


@attrs.define(eq=False)
class OutcomeBatch:
    """The changes of one commit of outcomes, and the slots of the window that it frees.

    :ivar freed: slots of parts that the connector had. :ivar unreserved: slots of parts that were not sent.
    :ivar requeued: the changes among them that queue a message again.
    :ivar at_once: whether one of `requeued` is for the same connector and due now. The connector just returned that
        message, so nothing is claimed for the connector before it is ready or the next tick.
    """

    changes: list[Change]
    freed: int = 0
    unreserved: int = 0
    requeued: Sequence[Requeued] = ()
    at_once: bool = False


def batch_of(changes: list[Change], freed: int = 0, unreserved: int = 0) -> OutcomeBatch:
    """A batch of changes that dispatch decided without an outcome."""
    return OutcomeBatch(changes, freed, unreserved, [one for one in changes if type(one) is Requeued])


@attrs.define(eq=False)
class SplitMessage:
    """A message in several parts of which some outcomes are known.

    :ivar open: parts without an outcome.
    :ivar returned: outcomes of parts that were not sent; they are decided together when the last outcome is known.
    :ivar slots, reserved: slots that the commit of that decision frees: of parts that the connector had, and of parts
        that were not sent. The message is claimed until then.
    """

    open: int
    returned: list[tuple[int, Busy | Lost]] = attrs.field(factory=list)
    slots: int = 0
    reserved: int = 0

    def keep(self, parts: Sequence[Part]) -> None:
        """Note parts that will not be sent now; their slots stay reserved until the other outcomes are known."""
        self.returned += [(part.seq, NOT_SENT) for part in parts]
        self.open -= len(parts)
        self.reserved += len(parts)
