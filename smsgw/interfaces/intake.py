"""The ports of intake and of policies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import Interface

from smsgw.model.errors import Refused
from smsgw.model.message import Accepted, Submission


class IIntake(Interface):
    """Accepts or refuses the submissions of all front ends."""

    def submit(submissions: Sequence[Submission]) -> Deferred[list[Accepted | Refused]]:
        """Check, route, split and store.

        All checks run before this returns, and room in the store's queue is reserved at the call. The Deferred fires
        after the synced commit with a list of the length and order of `submissions`, per caller in the order of calls.

        If the store is full, every submission of the call is refused with QUEUE_FULL.

        :raises smsgw.model.errors.StoreDown: (through the Deferred) no submission was stored.
        :raises smsgw.model.errors.UnknownOutcome: (through the Deferred) the submissions may have been stored.
            In both cases the front end answers every submission of the call with a temporary error.
        """


class IPolicy(Interface):
    """A rule that may refuse or change submissions. Synchronous, without I/O; policies run in configured order."""

    def check(account: Any, submissions: Sequence[Submission]) -> list[Refused | None]:
        """Return None or the refusal for each submission. An exception refuses the submission temporarily."""
