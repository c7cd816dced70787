"""Values that the pumps of all connectors share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
from twisted.internet.interfaces import IReactorTime

from smsgw.interfaces import IMessageStore
from smsgw.model.message import Message
from smsgw.services.clock import CheckedClock
from smsgw.services.commits import Commits
from smsgw.services.dispatch.metrics import DispatchMetrics


@attrs.define(eq=False, kw_only=True)
class Context:
    """The shared values of all pumps.

    :ivar clock: its seconds are monotonic.
    :ivar reroute: returns the connector for a message now: its own while that is up, else another of its route.
    :ivar memory: parts of waiting messages kept in memory per connector.
    :ivar down, refusing: names of connectors, kept by each :class:`~smsgw.services.dispatch.links.Link`.
    :ivar paused: names of connectors that an administrator has paused.
    :ivar requeued: called with messages that are queued for another connector now.
    :ivar finished: called after every commit.
    """

    store: IMessageStore
    commits: Commits
    clock: IReactorTime
    time: CheckedClock
    reroute: Callable[[Message], str]
    memory: int
    down: set[str]
    refusing: set[str]
    paused: set[str]
    requeued: Callable[[Sequence[Message]], None]
    finished: Callable[[], None]
    metrics: DispatchMetrics
