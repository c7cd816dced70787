"""Problems of a configuration file, with their places."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs


@attrs.frozen
class Problem:
    """One mistake or warning: its place in the file, and a text that says what is wrong and what is allowed.

    :ivar line: 0 if the problem concerns the whole file.
    :ivar section: the text between the brackets; empty for a line outside of sections.
    :ivar key: empty if the problem concerns the whole section.
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
    """All mistakes of a file, in the order of its lines; the text has one line for each."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line))
        super().__init__("\n".join(map(str, self.problems)))


class InvalidValue(ValueError):
    """A value is not allowed. The text is shown to the administrator and never contains a secret."""


@attrs.frozen
class Conflict:
    """A contradiction between keys of one section.

    It is reported at `key`, unless that key or one named in `also` already has a problem of its own.
    """

    key: str
    what: str
    also: tuple[str, ...] = ()


@attrs.frozen
class Origin:
    """The place of a section in the file, so that a problem found later (a certificate, a port) can name its line.

    Settings that a program made without a file have the empty origin.
    """

    filename: str = ""
    section: str = ""
    line: int = 0
    lines: Mapping[str, int] = attrs.field(factory=dict)
    faulty: frozenset[str] = frozenset()

    def problem(self, key: str, what: str) -> Problem:
        """Return a problem at the line of `key`, or at the section's first line if the key is missing or empty."""
        return Problem(self.filename, self.lines.get(key, self.line), self.section, key, what)
