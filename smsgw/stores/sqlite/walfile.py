"""Reads the end of a write-ahead log before SQLite does.

SQLite takes the valid frames of a log up to the last commit and silently ignores the rest. That rest is normal after a
kill: a commit that was being written. But behind a frame that was damaged later there may be commits that were
acknowledged; this module tells the two apart, as far as the octets can.

The format: https://www.sqlite.org/fileformat2.html, section 4. A log begins with a header; each frame is a header and a
page. The checksum of a frame covers all frames before it; a frame that ends a commit says so. Frames of earlier uses of
the file, behind the last one, have other salts.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final

import attrs

_HEADER: Final = struct.Struct(">8I")
_FRAME: Final = struct.Struct(">6I")
_MAGIC: Final = 0x377F0682
MAGICS: Final = frozenset(magic.to_bytes(4, "big") for magic in (_MAGIC, _MAGIC | 1))
"""The first octets of a log."""
_VERSION: Final = 3_007_000
_MASK: Final = 0xFFFFFFFF

Sum = tuple[int, int]
"""A checksum."""


@attrs.frozen
class LogEnd:
    """How a log ends.

    :ivar commits: commits that SQLite will take.
    :ivar lost: commits behind a damaged frame, which SQLite will ignore; the last one may be a commit that was never
        finished, if the machine lost power. 1 if the header is damaged: how many there are is unknown.
    :ivar unfinished: whether the log ends in a commit that cannot be read whole, and nothing follows it: what a killed
        process leaves, and what a log looks like whose last commit was damaged.
    :ivar name: tells this log from others of the same file.
    """

    commits: int = 0
    lost: int = 0
    unfinished: bool = False
    name: str = ""


def read_log(path: Path) -> LogEnd:
    """Read the log `path`; a log that is missing or empty ends well.

    :raises OSError: it cannot be read.
    """
    try:
        octets = path.read_bytes()
    except FileNotFoundError:
        return LogEnd()
    if len(octets) <= _HEADER.size:
        return LogEnd()
    magic, version, page, _, *salts, first, second = _HEADER.unpack_from(octets)
    name = "".join(f"{salt:08x}" for salt in salts)
    order = ">" if magic & 1 else "<"
    start = _checksum((0, 0), memoryview(octets)[:24], order)
    if magic & ~1 != _MAGIC or version != _VERSION or start != (first, second):
        return LogEnd(lost=1, name=name) if any(octets) else LogEnd()
    frames = _Frames(memoryview(octets), page, (salts[0], salts[1]), order)
    return frames.end(start, name)


@attrs.frozen
class _Frames:
    octets: memoryview
    page: int
    salts: tuple[int, int]
    order: str

    def end(self, checksum: Sum, name: str) -> LogEnd:
        size = _FRAME.size + self.page
        count = (len(self.octets) - _HEADER.size) // size
        commits = valid = 0
        begun = False
        for number in range(count):
            following = self._follow(number, checksum)
            if following is None:
                break
            checksum, valid = following, number + 1
            begun = not self._ends_commit(number)
            commits += not begun
        own = [number for number in range(valid, count) if self._is_own(number)]
        ends = [number for number in own if self._ends_commit(number)]
        # A process that was killed leaves one frame half written, and none behind it.
        whole = [number for number in ends if number > valid and self._is_whole(number)]
        lost = len(ends) if whole or len(ends) > 1 else 0
        begun = begun or bool(own) or self._has_half_frame(count)
        return LogEnd(commits, lost, begun and not lost, name)

    def _at(self, number: int) -> int:
        return _HEADER.size + number * (_FRAME.size + self.page)

    def _fields(self, number: int) -> tuple[int, ...]:
        return _FRAME.unpack_from(self.octets, self._at(number))

    def _is_own(self, number: int) -> bool:
        return self._fields(number)[2:4] == self.salts

    def _ends_commit(self, number: int) -> bool:
        return self._fields(number)[1] != 0

    def _follow(self, number: int, checksum: Sum) -> Sum | None:
        """The checksum up to this frame, given that of the frames before it; None if the frame is not valid."""
        fields = self._fields(number)
        if fields[2:4] != self.salts or not fields[0]:
            return None
        at = self._at(number)
        checksum = _checksum(checksum, self.octets[at : at + 8], self.order)
        data = at + _FRAME.size
        checksum = _checksum(checksum, self.octets[data : data + self.page], self.order)
        return checksum if checksum == fields[4:6] else None

    def _is_whole(self, number: int) -> bool:
        """Whether the frame is valid if the one before it was written with the checksum that it has."""
        before = self._fields(number - 1)
        return self._follow(number, (before[4], before[5])) is not None

    def _has_half_frame(self, count: int) -> bool:
        """Whether the file ends within a frame of this log."""
        rest = len(self.octets) - self._at(count)
        return rest >= _FRAME.size and self._is_own(count)


def _checksum(start: Sum, octets: memoryview, order: str) -> Sum:
    """The checksum of `octets`, whose number is a multiple of eight, behind that of what comes before them."""
    first, second = start
    words = iter(struct.unpack(f"{order}{len(octets) // 4}I", octets))
    for word in words:
        first = (first + word + second) & _MASK
        second = (second + next(words) + first) & _MASK
    return first, second
