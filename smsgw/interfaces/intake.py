"""Intake: the one way in for what is to be sent, and the rules that may refuse it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import Interface

from smsgw.model.errors import Refused
from smsgw.model.message import Accepted, Submission


class IIntake(Interface):
    """The one way in: every submission of every front end comes through here."""

    def submit(submissions: Sequence[Submission]) -> Deferred[list[Accepted | Refused]]:
        """Check, route, split and store.

        All checks run before this returns, and room in the store's queue is reserved at the call. The result has
        the length and order of `submissions` and comes after the synced commit, per caller in the order of calls.

        A store that is full refuses every submission of the call with QUEUE_FULL.

        :raises smsgw.model.errors.StoreDown: (through the Deferred) nothing was kept.
        :raises smsgw.model.errors.UnknownOutcome: (through the Deferred) it may have been kept.
            In both cases every submission of the call gets the temporary answer.
        """


class IPolicy(Interface):
    """A rule that may refuse or change a submission. Synchronous, no I/O, in configured order."""

    def check(account: Any, submissions: Sequence[Submission]) -> list[Refused | None]:
        """Per submission None to let it pass, or why not. An exception refuses that one as temporary."""
