"""Generates the fast decoders and encoders of the codec from the declarations of the PDUs.

Everything known beforehand is worked out at generation: a decoder makes one struct call for each run of integers (the
first one together with the header), one ``bytes.partition`` for each C-Octet String that is usually filled, and no call
for a string that is usually empty. A decoder declines an unusual frame (a string without NUL, a failed response with a
body) by raising one of ``UNUSUAL``; the careful reader of the codec then reads it. An encoder raises one of
``UNWRITABLE`` for a value that does not fit; the careful writer of the codec then names the field.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from smsgw.smpp.consts import VERSION_3_4
from smsgw.smpp.errors import PduError
from smsgw.smpp.fields import CSTRING_LIMIT, CString, Failures, Integer, Text, Unreadable, Wire
from smsgw.smpp.pdus import HEADER, BodyOnError, Pdu, Response, body
from smsgw.smpp.tlvs import read_tlvs, write_tlvs

Decoder: TypeAlias = Callable[[bytes, int, int], Pdu]
Encoder: TypeAlias = Callable[[Any], bytes]

UNUSUAL: Final = (ValueError, IndexError, struct.error, Unreadable)
"""The exceptions by which a generated decoder leaves a frame to the careful reader."""

UNWRITABLE: Final = (PduError, ValueError, TypeError, AttributeError, OverflowError, struct.error)
"""The exceptions that a generated encoder raises for a value that does not fit."""

_EMPTY: Final[dict[type, object]] = {Integer: 0, CString: b"", Text: b"", Failures: ()}
_FORMAT: Final = {1: "B", 2: "H", 4: "I"}


class Source:
    """The source lines of one generated function, and the objects that it refers to."""

    def __init__(self, head: str) -> None:
        self.lines = [head]
        self.names: dict[str, Any] = {}
        self.depth = 1

    def add(self, *lines: str) -> None:
        self.lines += ["    " * self.depth + line for line in lines]

    def inside(self, head: str, *lines: str) -> None:
        self.add(head, *("    " + line for line in lines))

    def refer(self, value: Any) -> str:
        """Make an object available to the function and return its name in the source."""
        name = f"_{len(self.names)}"
        self.names[name] = value
        return name

    def compiled(self) -> Any:
        exec(compile("\n".join(self.lines), "<smsgw.smpp.generate>", "exec"), self.names)  # noqa: S102
        return self.names["run"]


def _usually_empty(wire: Wire) -> bool:
    return isinstance(wire, CString) and wire.usually_empty


def _joinable(wire: Wire) -> bool:
    """Return whether a field can be read in one struct call with its neighbours."""
    return isinstance(wire, Integer | Text) or _usually_empty(wire)


class _Reading:
    """Generates a decoder. ``rest`` is the variable that holds the octets still to be read; base + offset is the place
    in it."""

    def __init__(self, limits: Mapping[str, int] | None) -> None:
        self.out = Source("def run(frame, status, sequence_number):")
        self.limits = limits
        self.rest, self.base, self.offset = "frame", "", HEADER

    def at(self, further: int = 0) -> str:
        """Return the current offset, plus ``further`` octets, as Python source."""
        offset = self.offset + further
        if not self.base:
            return str(offset)
        return f"{self.base} + {offset}" if offset else self.base

    def integers(self, targets: Sequence[str], layout: str) -> None:
        """Read integers into the targets: up to three single octets by subscript, others by one struct call."""
        if layout in ("B", "BB", "BBB"):
            self.out.add(*(f"{target} = {self.rest}[{self.at(further)}]" for further, target in enumerate(targets)))
        else:
            reader = self.out.refer(struct.Struct(">" + layout).unpack_from)
            self.out.add(f"{', '.join(targets)}, = {reader}({self.rest}, {self.at()})")
        self.offset += struct.calcsize(">" + layout)

    def too_long(self, name: str, wire: CString) -> str:
        """Return the condition under which the decoder declines a C-Octet String."""
        if self.limits is None:
            return f"len(octets) >= {CSTRING_LIMIT}"
        return f"len(octets) not in {wire.lengths!r}" if wire.lengths else f"len(octets) >= {self.limits[name]}"

    def string(self, name: str, wire: CString) -> None:
        """Read a C-Octet String. The caller generates the check that the NUL was there."""
        place = f"{self.rest}[{self.at()}:]" if self.base or self.offset else self.rest
        self.out.add(f"octets, nul, rest = {place}.partition(b'\\0')")
        self.out.inside(f"if {self.too_long(name, wire)}:", f"raise ValueError({name!r})")
        self.out.add(f"pdu.{name} = octets")
        self.rest, self.base, self.offset = "rest", "", 0

    def run(self, run: Sequence[tuple[str, Wire]]) -> None:
        """Read adjacent integers, usually empty strings and sm_length in one struct call if the strings are empty."""
        empty = [name for name, wire in run if _usually_empty(wire)]
        targets = [_target(name, wire) for name, wire in run]
        layout = "".join(_FORMAT[wire.octets] if isinstance(wire, Integer) else "B" for _, wire in run)
        rest, base, offset = self.rest, self.base, self.offset
        self.integers(targets, layout)
        if not empty:
            return
        out, after = self.out, self.at()
        out.add(f"if {' or '.join(f'has_{name}' for name in empty)}:")
        out.depth += 1
        self.rest, self.base, self.offset = rest, base, offset
        found = False
        for (name, wire), target, code in zip(run, targets, layout, strict=True):
            if isinstance(wire, CString):
                self.string(name, wire)
                found = True
            elif found:
                self.integers([target], code)
            else:
                self.offset += struct.calcsize(">" + code)
        if isinstance(run[-1][1], CString):
            out.inside("if not nul:", "raise ValueError('NUL')")
        out.add(f"at = {self.at()}")
        out.depth -= 1
        out.inside("else:", " = ".join(f"pdu.{name}" for name in empty) + " = b''", f"at = {after}")
        if rest == "frame":
            out.add("    rest = frame")
        self.rest, self.base, self.offset = "rest", "at", 0

    def text(self, name: str) -> None:
        """Read short_message; its length has been read before."""
        self.out.add(f"start = {self.at()}", "at = start + length")
        self.out.inside(f"if at > len({self.rest}):", "raise ValueError('sm_length')")
        self.out.add(f"pdu.{name} = {self.rest}[start:at]")
        self.base, self.offset = "at", 0

    def only_string(self, name: str, wire: CString) -> None:
        """Read a response with one field that fills the body up to a NUL at the end; other shapes take the general
        way."""
        self.out.add(f"octets = frame[{HEADER}:-1]")
        self.out.inside(
            f"if not (frame[-1] or 0 in octets or {self.too_long(name, wire)}):",
            f"pdu.{name} = octets",
            "pdu.tlvs = ()",
            "return pdu",
        )


def _target(name: str, wire: Wire) -> str:
    if isinstance(wire, Integer):
        return f"pdu.{name}"
    return "length" if isinstance(wire, Text) else f"has_{name}"


def decoder(cls: type[Pdu], *, tlvs: bool = True, limits: Mapping[str, int] | None = None) -> Decoder:
    """Return a function (frame, command_status, sequence_number) -> PDU for complete frames of one command.

    Without ``tlvs`` the octets after the body are skipped. ``limits`` are the most octets of each C-Octet String, for a
    PDU that has no lists; without ``limits`` each may have 256.
    """
    reading = _Reading(limits)
    out = reading.out
    fields = body(cls)
    runs = _runs(fields)
    out.add(f"pdu = {out.refer(object.__new__)}({out.refer(cls)})", "pdu.sequence_number = sequence_number")
    if issubclass(cls, Response):
        out.add("pdu.command_status = status", "pdu.raw = b''")
        if fields:
            empty = (f"pdu.{name} = {_EMPTY[type(wire)]!r}" for name, wire in fields)
            out.inside(f"if len(frame) == {HEADER}:", *empty, "pdu.tlvs = ()", "return pdu")
            out.inside("if status:", "raise ValueError('a failed response with a body')")
        if len(fields) == 1 and isinstance(fields[0][1], CString):
            reading.only_string(fields[0][0], fields[0][1])
    for run in runs:
        name, wire = run[0]
        if _joinable(wire):
            reading.run(run)
            if isinstance(run[-1][1], Text):
                reading.text(run[-1][0])
        elif isinstance(wire, CString):
            reading.string(name, wire)
        else:
            out.add(f"pdu.{name}, at = {out.refer(wire.read)}({reading.rest}, {reading.at()}, {name!r})")
            reading.base, reading.offset = "at", 0
    if fields and isinstance(fields[-1][1], CString) and not _usually_empty(fields[-1][1]):
        out.inside("if not nul:", "raise ValueError('NUL')")
    if tlvs:
        end, rest = reading.at(), reading.rest
        out.add(f"size = len({rest})")
        out.add(f"pdu.tlvs = {out.refer(read_tlvs)}({rest}, {end}, size) if size != {end} else ()")
    else:
        out.add("pdu.tlvs = ()")
    out.add("return pdu")
    result: Decoder = out.compiled()
    return result


def _runs(fields: Sequence[tuple[str, Wire]]) -> list[list[tuple[str, Wire]]]:
    """Group adjacent fields whose width is known or usually 1; each other field is a group of its own."""
    runs: list[list[tuple[str, Wire]]] = []
    growing = False
    for name, wire in fields:
        fits = _joinable(wire)
        if fits and growing:
            runs[-1].append((name, wire))
        else:
            runs.append([(name, wire)])
        growing = fits and not isinstance(wire, Text)
    return runs


def encoder(cls: type[Pdu], version: int) -> Encoder:
    """Return a function PDU -> octets. 3.3 has no TLVs; which bodies are left out is declared by the responses."""
    out = Source("def run(pdu):")
    fields = body(cls)
    names = [name for name, _ in fields]
    out.add("tail = b''")
    if version >= VERSION_3_4:
        out.inside("if pdu.tlvs:", f"tail = {out.refer(write_tlvs)}(pdu.tlvs)")
    strings = []
    for name, wire in fields:
        if isinstance(wire, Integer):
            continue
        if isinstance(wire, CString | Text):
            out.add(f"{name} = pdu.{name}")
        else:
            out.add(f"{name} = {out.refer(wire.write)}(pdu.{name}, {name!r})")
        if isinstance(wire, CString):
            strings.append(name)
    status = "0"
    if issubclass(cls, Response):
        status = "pdu.command_status"
        on_error = cls.body_on_error[version]
        if names and on_error is not BodyOnError.ALWAYS:
            given = " or ".join([*(f"pdu.{name}" for name in names), "tail"])
            pack = out.refer(struct.Struct(">IIII").pack)
            refused = status if on_error is BodyOnError.NEVER else f"{status} and not ({given})"
            out.inside(f"if {refused}:", f"return {pack}({HEADER}, {cls.command_id}, {status}, pdu.sequence_number)")
    empty = [name for name, wire in fields if _usually_empty(wire)]
    if empty:
        out.add(f"if {' or '.join(empty)}:")
        out.depth += 1
        _write(out, cls, fields, status, strings)
        out.depth -= 1
    filled = [name for name in strings if name not in empty]
    _write(out, cls, [(name, None if name in empty else wire) for name, wire in fields], status, filled)
    result: Encoder = out.compiled()
    return result


def _write(
    out: Source, cls: type[Pdu], fields: Sequence[tuple[str, Wire | None]], status: str, strings: Sequence[str]
) -> None:
    """Generate the lines that check the strings, join the pieces and return; a field without wire type is empty."""
    if strings:
        out.inside(f"if {' or '.join(f'0 in {name}' for name in strings)}:", "raise ValueError('NUL')")
    layout, values = ">IIII", ["", str(cls.command_id), status, "pdu.sequence_number"]
    pieces: list[tuple[str, list[str], str]] = []
    fixed, widths = 0, []
    for name, wire in fields:
        if wire is None:
            layout += "x"
        elif isinstance(wire, Integer):
            layout += _FORMAT[wire.octets]
            values.append(f"pdu.{name}")
        else:
            if isinstance(wire, Text):
                layout += "B"
                values.append(f"len({name})")
            pieces.append((layout, values, name))
            widths.append(f"len({name})")
            fixed += struct.calcsize(layout)
            layout, values = ">x" if isinstance(wire, CString) else ">", []
    fixed += struct.calcsize(layout)
    pieces.append((layout, values, "tail"))
    pieces[0][1][0] = " + ".join([str(fixed), *widths, "len(tail)"])
    joined = []
    for layout, values, name in pieces:
        if values:
            joined.append(f"{out.refer(struct.Struct(layout).pack)}({', '.join(values)})")
        elif len(layout) > 1:
            joined.append(repr(b"\0" * struct.calcsize(layout)))
        joined.append(name)
    out.add(f"return b''.join(({', '.join(joined)}))")
