"""The file of reserved ids, so that no id is given twice even if the end of the database's log is lost.

Before a commit contains an id above the reserved ones, further ids are reserved: the highest of them is written to this
file and synced. After a start, ids go on above it. When that commit is done, its highest id is written to the file too:
a database without it has lost commits since then. The file holds two lines; each write overwrites the older one, so
that a write that fails half way leaves what was there before.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import Final

import attrs

from smsgw.model.errors import StoreDown

SMALLEST: Final = 1_000
"""Ids that the first reservation after a start reserves; that many at most are skipped after a crash."""

LARGEST: Final = 64_000
"""Ids that one reservation reserves at most; each reserves twice as many as the one before."""

_SECTOR: Final = 4096
"""Octets between the lines: a disk writes no less at once."""

_LINE: Final = 51


@attrs.define(eq=False)
class IdFile:
    """The reserved ids, in the file `path`.

    :ivar reserved: the highest id that is reserved.
    :ivar committed: the highest id of which the file knows that a commit with it is done.
    :ivar found: whether the file was there and could be read when it was opened.
    """

    path: Path
    reserved: int = attrs.field(default=0, init=False)
    committed: int = attrs.field(default=0, init=False)
    found: bool = attrs.field(default=False, init=False)
    descriptor: int = attrs.field(default=-1, init=False)
    _older: int = attrs.field(default=0, init=False)
    _count: int = attrs.field(default=SMALLEST, init=False)

    def open(self) -> None:
        """Open the file, or create it.

        :raises StoreDown: it cannot be opened.
        """
        try:
            self.descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            lines = [_parse(os.pread(self.descriptor, _LINE, place * _SECTOR)) for place in (0, 1)]
        except OSError as why:
            self.close()
            raise StoreDown(f"the file of reserved ids {self.path} cannot be opened: {why.strerror}") from why
        self.found = any(line is not None for line in lines)
        numbers = [line or (0, 0) for line in lines]
        self.reserved, self.committed = max(numbers)
        self._older = numbers.index(min(numbers))

    def reserve(self, id: int) -> None:
        """Reserve `id` and ids above it, if it is not reserved.

        :raises OSError: it cannot be written; nothing more is reserved.
        """
        if id > self.reserved:
            self._write(id + self._count, self.committed)
            self._count = min(2 * self._count, LARGEST)

    def confirm(self, id: int) -> None:
        """Note that the commit with `id` is done, and that the database tells so from now on.

        :raises OSError: it cannot be written.
        """
        self._write(self.reserved, id)

    def release(self, id: int) -> None:
        """Give back the reserved ids above `id`, so that an orderly stop skips none.

        :raises OSError: it cannot be written.
        """
        self._write(id, self.committed)
        self._write(id, self.committed)

    def _write(self, highest: int, committed: int) -> None:
        line = b"%020d %020d" % (highest, committed)
        octets = b"%s %08x\n" % (line, zlib.crc32(line))
        os.pwrite(self.descriptor, octets, self._older * _SECTOR)
        os.fsync(self.descriptor)
        self.reserved, self.committed = highest, committed
        self._older = 1 - self._older

    def close(self) -> None:
        """Close the file."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def committed_ids(path: Path) -> int:
    """The highest id of which the file `path` knows that a commit with it is done; 0 if it cannot be read."""
    try:
        octets = path.read_bytes()
    except OSError:
        return 0
    lines = [_parse(octets[at : at + _LINE]) for at in (0, _SECTOR)]
    return max(line[1] for line in (*lines, (0, 0)) if line is not None)


def _parse(line: bytes) -> tuple[int, int] | None:
    """The reserved and the committed id of a line; None if it is damaged or missing."""
    numbers, _, checksum = line.rpartition(b" ")
    reserved, _, committed = numbers.partition(b" ")
    whole = reserved.isdigit() and committed.isdigit() and checksum == b"%08x\n" % zlib.crc32(numbers)
    return (int(reserved), int(committed)) if whole else None
