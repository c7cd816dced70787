"""The disk that holds the store: whether it has room, and whether the open files are still there."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import attrs

from smsgw.stores.sqlite.walfile import MAGICS

LOW_WATER: Final = 256 * 1024 * 1024
"""Octets free on the disk below which new messages are refused, so that accepted messages can be finished."""

ENOUGH: Final = 1.25
"""The multiple of the low water that must be free before new messages are accepted again."""


def free_octets(path: Path) -> int:
    """Octets free on the disk of `path`."""
    system = os.statvfs(path)
    return system.f_bavail * system.f_frsize


@attrs.define(eq=False)
class Disk:
    """The room on the disk of `path`.

    :ivar low_water: octets free below which the disk is short.
    :ivar short: whether it is, as of the last look. :ivar free: octets free; 0 if the disk does not say.
    """

    path: Path
    low_water: int
    short: bool = attrs.field(default=False, init=False)
    free: int = attrs.field(default=0, init=False)

    @property
    def needed(self) -> int:
        """Octets that must be free for the disk not to be short."""
        return int(self.low_water * ENOUGH) if self.short else self.low_water

    def look(self) -> None:
        """Measure the room."""
        try:
            self.free = free_octets(self.path)
        except OSError:
            self.free = 0
        self.short = self.free < self.needed


@attrs.define(eq=False)
class OpenFiles:
    """The files that the store has open, as they were when it opened them.

    A file that is deleted, moved or replaced stays open: what is written to it is gone when the process ends.

    :ivar growing: the file that SQLite never makes shorter: the database, as nothing vacuums it. :ivar log: its log.
    """

    growing: Path
    log: Path
    _size: int = attrs.field(default=0, init=False)
    _log_begun: bool = attrs.field(default=False, init=False)
    _may_empty_log: bool = attrs.field(default=False, init=False)
    _known: dict[Path, tuple[int, int]] = attrs.field(factory=dict, init=False)

    def know(self, paths: Iterable[Path]) -> None:
        """Remember the files that are at `paths` now.

        :raises OSError: one is not there.
        """
        for path in paths:
            self._known[path] = _identity(path)

    def is_ours(self, path: Path) -> bool:
        """Whether the file at `path` is the open one."""
        try:
            return _identity(path) == self._known[path]
        except OSError:
            return False

    def missing(self) -> str:
        """Why one of the files is not the open one any more; empty while all are."""
        for path, identity in self._known.items():
            try:
                if _identity(path) == identity:
                    continue
            except FileNotFoundError:
                return f"{path} was deleted or moved while the gateway used it"
            except OSError as why:
                return f"{path} cannot be reached any more: {why.strerror}"
            return f"{path} was replaced by another file while the gateway used it"
        return self._cut_off()

    def _cut_off(self) -> str:
        """Why the database is shorter than at the last look; empty if it is not."""
        try:
            before, self._size = self._size, self.growing.stat().st_size
        except OSError as why:
            return f"{self.growing} cannot be reached any more: {why.strerror}"
        if self._size < before:
            return f"{self.growing} was cut off while the gateway used it"
        return f"{self.log} was cut off while the gateway used it" if self._log_is_cut_off() else ""

    def may_empty_log(self) -> None:
        """SQLite is about to empty the log, for a backup."""
        self._may_empty_log = True

    def _log_is_cut_off(self) -> bool:
        """Whether the log was emptied by another program. SQLite then goes on to write behind its former end, so that
        the file begins with a gap: neither it nor SQLite can be trusted with further commits."""
        try:
            with self.log.open("rb") as file:
                begin = file.read(4)
        except OSError:
            return False  # the look at the files says why
        if not begin and (self._may_empty_log or not self._log_begun):
            self._may_empty_log = self._log_begun = False
            return False
        self._log_begun = True
        return begin not in MAGICS


def _identity(path: Path) -> tuple[int, int]:
    """What tells a file from every other one."""
    status = os.stat(path)
    return status.st_dev, status.st_ino
