"""The file of reserved ids, so that no id is given twice even if the end of the database's log is lost.

Before a commit contains an id above the reserved ones, further ids are reserved: the highest of them is written to this
file and synced. After a start, ids go on above it. The file holds two lines; each reservation overwrites the older one,
so that a write that fails half way leaves the former reservation.
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

_LINE: Final = 30


@attrs.define(eq=False)
class IdFile:
    """The reserved ids, in the file `path`.

    :ivar reserved: the highest id that is reserved.
    :ivar found: whether the file was there and could be read when it was opened.
    """

    path: Path
    reserved: int = attrs.field(default=0, init=False)
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
        numbers = [line or 0 for line in lines]
        self.reserved = max(numbers)
        self._older = numbers.index(min(numbers))

    def reserve(self, id: int) -> None:
        """Reserve `id` and ids above it, if it is not reserved.

        :raises OSError: it cannot be written; nothing more is reserved.
        """
        if id > self.reserved:
            self._write(id + self._count)
            self._count = min(2 * self._count, LARGEST)

    def release(self, id: int) -> None:
        """Give back the reserved ids above `id`, so that an orderly stop skips none.

        :raises OSError: it cannot be written.
        """
        self._write(id)
        self._write(id)

    def _write(self, highest: int) -> None:
        line = b"%020d" % highest
        octets = b"%s %08x\n" % (line, zlib.crc32(line))
        os.pwrite(self.descriptor, octets, self._older * _SECTOR)
        os.fsync(self.descriptor)
        self.reserved = highest
        self._older = 1 - self._older

    def close(self) -> None:
        """Close the file."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def _parse(line: bytes) -> int | None:
    """The number of a line; None if it is damaged or missing."""
    number, _, checksum = line.partition(b" ")
    whole = number.isdigit() and checksum == b"%08x\n" % zlib.crc32(number)
    return int(number) if whole else None
