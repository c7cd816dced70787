r"""The INI text of gw.ini as sections and entries with their line numbers.

configparser drops line numbers, reports only the first duplicate and copies defaults into every section, so the
gateway has its own parser. The grammar: `[kind]` or `[kind NAME]`, `key = value`; a comment begins with `;` or `#` at
the start of a line, or with a blank and `;` after a value. A value in double quotes is taken literally, except `\"` and
`\\` for a quote and a backslash. There is no interpolation, and an entry is always one line.
"""

from __future__ import annotations

import re

import attrs

from smsgw.config.errors import Problem

_HEADER = re.compile(r"\[\s*([^\]]*?)\s*\]\s*(?:;.*)?")
_KEY = re.compile(r"([A-Za-z][A-Za-z0-9_-]*)\s*=(.*)", re.DOTALL)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"\s*(?:\s;.*)?', re.DOTALL)
_COMMENT = re.compile(r"(?:^|(?<=[ \t]));.*", re.DOTALL)
_ESCAPE = re.compile(r'\\(["\\])')
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\u0085\u2028\u2029]")


@attrs.frozen
class Entry:
    """One `key = value` line; the value is without comment, quotes and outer blanks."""

    key: str
    value: str
    line: int


@attrs.frozen
class Section:
    """One bracketed section: its first word, the rest of the words as its free name, and its entries in order.

    `unread` has the keys whose values could not be read; each of them already has a problem.
    """

    kind: str
    name: str
    line: int
    entries: list[Entry] = attrs.field(factory=list)
    unread: set[str] = attrs.field(factory=set)

    @property
    def title(self) -> str:
        """The text between the brackets, with single blanks."""
        return f"{self.kind} {self.name}" if self.name else self.kind


def read(text: str, filename: str) -> tuple[list[Section], list[Problem]]:
    """Split a file into sections; each breach of the grammar and each duplicate becomes a problem.

    A duplicate section is left out of the result, but its lines are checked against the grammar. A problem never
    contains the text of a line, which may be a password.
    """
    reading = _Reading(filename)
    for number, raw in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        line = raw.removesuffix("\r").strip(" \t")
        if _CONTROL.search(line):
            reading.add_problem(number, "a control character; only printable text is allowed")
        elif line.startswith("["):
            reading.header(number, line)
        elif line and line[0] not in ";#":
            reading.entry(number, line)
    return list(reading.sections.values()), reading.problems


@attrs.define
class _Reading:
    """The state of reading a file: the section of the next line, and the results so far."""

    filename: str
    sections: dict[str, Section] = attrs.field(factory=dict)
    problems: list[Problem] = attrs.field(factory=list)
    current: Section | None = None
    lost: bool = False
    keys: dict[str, int] = attrs.field(factory=dict)

    def add_problem(self, line: int, what: str, key: str = "") -> None:
        """Add a mistake."""
        self.problems.append(Problem(self.filename, line, self.current.title if self.current else "", key, what))

    def header(self, line: int, text: str) -> None:
        """Begin a section. Entries after an unreadable header are not reported as entries without a section."""
        found = _HEADER.fullmatch(text)
        kind, *words = found[1].split() if found and found[1] else [""]
        self.current = Section(kind, " ".join(words), line) if kind else None
        self.lost = self.current is None
        self.keys = {}
        if self.current is None:
            self.add_problem(line, "not a section header; allowed: [kind] or [kind NAME]")
            return
        first = self.sections.setdefault(self.current.title, self.current)
        if first is not self.current:
            self.add_problem(line, f"the section is already written at line {first.line}")

    def entry(self, line: int, text: str) -> None:
        """Add `key = value` to the section."""
        pair = _KEY.fullmatch(text)
        if pair is None:
            self.add_problem(line, "neither [section] nor key = value nor a comment")
        elif self.current is None:
            if not self.lost:
                self.add_problem(line, "a key before the first [section]", pair[1])
        elif pair[1] in self.keys:
            self.add_problem(line, f"the key is already written at line {self.keys[pair[1]]}", pair[1])
        else:
            self.keys[pair[1]] = line
            value = unquote(pair[2])
            if value is None:
                self.add_problem(line, 'a double quote is not closed; a value that begins with " ends with it', pair[1])
                self.current.unread.add(pair[1])
            else:
                self.current.entries.append(Entry(pair[1], value, line))


def unquote(written: str) -> str | None:
    """Return the value from the text after the equals sign; None if its quotes are not closed."""
    stripped = written.strip(" \t")
    if stripped.startswith('"'):
        quoted = _QUOTED.fullmatch(stripped)
        return _ESCAPE.sub(r"\1", quoted[1]) if quoted else None
    return _COMMENT.sub("", written).strip(" \t")


def quote(value: str) -> str:
    """Write a value in a form that reads back as the same value, in double quotes where it needs them.

    :raises ValueError: for control characters and line ends, which a value cannot contain.
    """
    if _CONTROL.search(value):
        raise ValueError("control characters cannot be written")
    if value and unquote(f" {value}") != value:
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return value
