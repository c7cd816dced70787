"""Which links are down, and for how long."""

from __future__ import annotations

from typing import Final

import attrs
from twisted.internet.interfaces import IReactorTime

from smsgw.services.dispatch.upstream import Upstream

GRACE: Final = 10.0
"""Seconds that a link may take to come up for the first time before its messages go elsewhere."""


@attrs.define(eq=False)
class Links:
    """Keeps two sets of connector names true, which routing looks at.

    :ivar down: their link is not usable now.
    :ivar refusing: they have been down for longer than their ``refuse_after``.
    :ivar closing: from now on links go because we stop them, which is no news.
    """

    clock: IReactorTime
    down: set[str]
    refusing: set[str]
    closing: bool = False
    _known: set[str] = attrs.field(factory=set, init=False)
    """Those that have been up."""

    def watch(self, upstream: Upstream) -> None:
        """Note whether the link of `upstream` is up."""
        if self.closing:
            return
        name = upstream.name
        if upstream.connector.up:
            self._known.add(name)
            if upstream.down_since is not None:
                upstream.down_since = None
                self.down.discard(name)
                self.refusing.discard(name)
            return
        now = self.clock.seconds()
        if upstream.down_since is None:
            upstream.down_since = now
        if name in self._known or now - upstream.down_since >= GRACE:
            self.down.add(name)
        patience = upstream.settings.refuse_after
        if patience is not None and now - upstream.down_since >= patience:
            self.refusing.add(name)
