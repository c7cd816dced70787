"""The state of the connectors' links: which are down, and since when."""

from __future__ import annotations

from typing import Final

import attrs
from twisted.internet.interfaces import IReactorTime

from smsgw.config import ConnectorSettings

GRACE: Final = 10.0
"""Seconds that a link may take to come up for the first time before its messages go elsewhere."""


@attrs.define(eq=False)
class Link:
    """The link of one connector. It keeps the connector's name in, or out of, two sets that routing reads.

    :param clock: its seconds are monotonic.
    :param down: names of connectors whose link is not usable now.
    :param refusing: names of connectors that have been down for longer than their ``refuse_after``.
    """

    settings: ConnectorSettings
    clock: IReactorTime
    _down: set[str]
    _refusing: set[str]
    _down_since: float | None = attrs.field(default=None, init=False)
    _was_up: bool = attrs.field(default=False, init=False)
    _closed: bool = attrs.field(default=False, init=False)

    @property
    def down(self) -> bool:
        """Whether the link was down at the last :meth:`watch`."""
        return self._down_since is not None

    def apply(self, settings: ConnectorSettings) -> None:
        """Use the ``refuse_after`` of `settings` from the next :meth:`watch` on."""
        self.settings = settings

    def close(self) -> None:
        """The gateway stops the connector: from now on :meth:`watch` changes nothing."""
        self._closed = True

    def forget(self) -> None:
        """The connector leaves: routing knows nothing of its link."""
        self._down.discard(self.settings.name)
        self._refusing.discard(self.settings.name)

    def watch(self, up: bool) -> None:
        """Note whether the link is up now."""
        if self._closed:
            return
        name = self.settings.name
        if up:
            self._was_up = True
            if self._down_since is not None:
                self._down_since = None
                self._down.discard(name)
                self._refusing.discard(name)
            return
        now = self.clock.seconds()
        if self._down_since is None:
            self._down_since = now
        elapsed = now - self._down_since
        if self._was_up or elapsed >= GRACE:
            self._down.add(name)
        if self.settings.refuse_after is not None and elapsed >= self.settings.refuse_after:
            self._refusing.add(name)
