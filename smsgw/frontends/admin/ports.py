"""What the administrator's resources need of the gateway."""

from __future__ import annotations

from typing import Protocol

from twisted.internet.defer import Deferred


class AdminOperations(Protocol):
    """What an administrator may ask of the running gateway: :class:`smsgw.services.operations.Operations`."""

    def resend(self, id: int) -> Deferred[int]:
        """Send a message again."""

    def retry(self, connector: str) -> Deferred[int]:
        """Try a connector now."""

    def pause(self, connector: str) -> None:
        """Pause a connector."""

    def resume(self, connector: str) -> None:
        """End the pause of a connector."""

    def move(self, connector: str, other: str) -> Deferred[tuple[int, int]]:
        """Move the waiting messages of a connector to another."""


class ClockWatch(Protocol):
    """Knows of jumps of the wall clock."""

    @property
    def jump(self) -> float:
        """Seconds by which it jumped, 0 if it did not or the jump is accepted."""

    def accept_clock(self) -> float:
        """Accept the jump; returns its seconds, 0 if there is none."""
