"""The lock file of a state directory, which admits one process at a time."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import attrs

from smsgw.model.errors import StoreDown


@attrs.define(eq=False)
class LockFile:
    """A lock on an open file (``flock``), which the kernel releases when the process ends in any way.

    The file stays; its content is the process id of the holder, for error messages.
    """

    path: Path
    _descriptor: int = attrs.field(default=-1, init=False)

    def take(self) -> None:
        """Take the lock without waiting.

        :raises StoreDown: another process holds the lock, or the file cannot be written.
        """
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as why:
            raise StoreDown(f"the lock file {self.path} cannot be written: {why.strerror}") from why
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as why:
            holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise StoreDown(
                f"{self.path} is locked by process {holder}: another gateway works in this directory; "
                "stop it, or give this one a state directory of its own"
            ) from why
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Release the lock; without effect if it is not held."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
