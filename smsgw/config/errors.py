"""What is wrong with a configuration file, and where."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs


@attrs.frozen
class Problem:
    """One mistake or warning: its place in the file and what is wrong and allowed, in words.

    `line` is 0 when the whole file is meant.
    `section` is the text between the brackets, empty for a line outside any; `key` is empty when the whole
    section is meant; line 0 means the file as a whole.
    """

    filename: str
    line: int
    section: str
    key: str
    what: str

    def __str__(self) -> str:
        place = f"{self.filename}:{self.line}: " if self.line else f"{self.filename}: "
        if self.section:
            place += f"[{self.section}] {self.key}: " if self.key else f"[{self.section}]: "
        return place + self.what


class ConfigErrors(Exception):
    """Every mistake of a file, in the order of its lines; the text has one line for each."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line))
        super().__init__("\n".join(map(str, self.problems)))


class InvalidValue(ValueError):
    """A value cannot be taken. The text is shown to whoever wrote the file, so it never repeats a secret."""


@attrs.frozen
class Conflict:
    """A combination of keys of one section that cannot work.

    `key` is where it is reported. Nothing is said when that key, or one named in `also`, is wrong by itself.
    """

    key: str
    what: str
    also: tuple[str, ...] = ()


@attrs.frozen
class Origin:
    """Where a section was written, so that a fault found later (a certificate, a port) can still name its line.

    Settings made by a program and not read from a file have the empty origin.
    """

    filename: str = ""
    section: str = ""
    line: int = 0
    lines: Mapping[str, int] = attrs.field(factory=dict)
    faulty: frozenset[str] = frozenset()

    def problem(self, key: str, what: str) -> Problem:
        """Blame `key` at its line, or the section's first line when the key is not written or is empty."""
        return Problem(self.filename, self.lines.get(key, self.line), self.section, key, what)
