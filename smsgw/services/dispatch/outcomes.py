"""Outcomes: what one commit says about them, and those of a message that wait for one another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs

from smsgw.model.changes import PartEnded, PartSent, Requeued
from smsgw.model.message import Part
from smsgw.model.outcome import Busy, Lost

Change = PartSent | PartEnded | Requeued
"""What a commit can say about a claimed message."""

NOT_SENT: Final = Busy(0.0, False, "the link is down")
"""The outcome of a claimed part that the connector never got."""


@attrs.define(eq=False)
class OutcomeBatch:
    """What one commit says about outcomes, and the slots of the window that it frees.

    :ivar freed: slots of parts that the connector had. :ivar unreserved: slots of parts that were not sent.
    :ivar requeued: those of the changes that queue a message again.
    :ivar at_once: whether one of these goes to the same connector and is due now: the connector just returned it, so
        nothing is claimed for it before it says that it is ready, or the next tick.
    """

    changes: list[Change]
    freed: int = 0
    unreserved: int = 0
    requeued: Sequence[Requeued] = ()
    at_once: bool = False


def batch_of(changes: list[Change], freed: int = 0, unreserved: int = 0) -> OutcomeBatch:
    """A batch of changes that dispatch decided itself."""
    return OutcomeBatch(changes, freed, unreserved, [one for one in changes if type(one) is Requeued])


@attrs.define(eq=False)
class SplitMessage:
    """A message of several parts whose outcomes come one by one.

    :ivar open: parts without an outcome.
    :ivar returned: outcomes of parts that were not sent; they are decided together when the last one is known.
    :ivar slots, reserved: slots that the commit of that decision frees: of parts that the connector had, and of parts
        that were not sent. The whole message is claimed until then.
    """

    open: int
    returned: list[tuple[int, Busy | Lost]] = attrs.field(factory=list)
    slots: int = 0
    reserved: int = 0

    def keep(self, parts: Sequence[Part]) -> None:
        """These parts are not sent any more; their slots stay reserved until the others' outcomes are known."""
        self.returned += [(part.seq, NOT_SENT) for part in parts]
        self.open -= len(parts)
        self.reserved += len(parts)
