"""What a reload calls."""

from __future__ import annotations

from typing import Protocol

from smsgw.config import Settings


class Configured(Protocol):
    """A part that uses the configuration."""

    def apply(self, settings: Settings) -> None:
        """Use `settings` from now on, or raise ConfigErrors and change nothing."""
