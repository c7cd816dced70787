"""Writes the fast reading and writing functions of the codec from the declarations of the PDUs.

The generated functions know every offset that can be known and pay for nothing else: one struct call for the header
and the fields next to it, one search per C-Octet String that is not usually empty, one format for a whole body.
A decoder only has to be right about frames that it accepts; anything unusual (a string without end, a failed
response without its fields) it declines with one of ``UNUSUAL``, and the careful reader of the codec takes over.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeAlias

from smsgw.smpp.errors import PduError
from smsgw.smpp.fields import CSTRING_LIMIT, CString, Integer, Text, Unreadable, Wire
from smsgw.smpp.pdus import HEADER, BodyOnError, Pdu, Response, body
from smsgw.smpp.tlvs import read_tlvs, write_tlvs

Decoder: TypeAlias = Callable[[bytes], Pdu]
Encoder: TypeAlias = Callable[[Any], bytes]
Fields: TypeAlias = list[tuple[str, Wire]]

UNUSUAL: Final = (ValueError, IndexError, struct.error, Unreadable)
"""What a generated decoder raises for a frame that it leaves to the careful reader."""

UNWRITABLE: Final = (PduError, ValueError, TypeError, AttributeError, OverflowError, struct.error)
"""What a generated encoder raises for a value that does not fit; the careful writer then says which."""


class _Source:
    """Lines of one function, and the objects it refers to."""

    def __init__(self, head: str) -> None:
        self.lines = [head]
        self.names: dict[str, Any] = {}
        self.depth = 1

    def add(self, *lines: str) -> None:
        self.lines += ["    " * self.depth + line for line in lines]

    def refer(self, value: Any) -> str:
        """Make an object available to the function under a name of its own."""
        name = f"_{len(self.names)}"
        self.names[name] = value
        return name

    def compiled(self) -> Any:
        source = "\n".join(self.lines)
        exec(compile(source, f"<smsgw.smpp {self.lines[0]}>", "exec"), self.names)  # noqa: S102
        return self.names["run"]


def decoder(cls: type[Pdu], *, tlvs: bool = True) -> Decoder:
    """Return a function from a whole frame of this command to the PDU; without ``tlvs`` what follows is skipped."""
    out = _Source("def run(frame):")
    new = out.refer(object.__new__)
    is_response = issubclass(cls, Response)
    runs = _runs(list(body(cls)))
    out.add(f"pdu = {new}({out.refer(cls)})")
    header = ["pdu.command_status", "pdu.sequence_number"] if is_response else ["pdu.sequence_number"]
    layout = ">8xII" if is_response else ">12xI"
    if is_response:
        out.add("pdu.raw = b''")
        if runs:
            out.add(f"if len(frame) == {HEADER}:")
            out.depth += 1
            _unpack(out, layout, header, "")
            out.add("pdu.tlvs = ()")
            out.add(*(f"pdu.{name} = {_default(wire)!r}" for name, wire in body(cls)), "return pdu")
            out.depth -= 1
            out.add("if frame[8:12] != b'\\0\\0\\0\\0':", "    raise ValueError('a failed response with a body')")
    base, offset = "", HEADER
    first = True
    for run in runs:
        if first:
            base, offset = _read_run(out, run, base, offset, layout, header)
        else:
            base, offset = _read_run(out, run, base, offset, ">", [])
        first = False
    if first:
        _unpack(out, layout, header, "")
    end = _at(base, offset)
    if tlvs:
        out.add("size = len(frame)", f"pdu.tlvs = {out.refer(read_tlvs)}(frame, {end}, size) if size != {end} else ()")
    else:
        out.add("pdu.tlvs = ()")
    out.add("return pdu")
    result: Decoder = out.compiled()
    return result


def _runs(fields: Fields) -> list[Fields]:
    """Cut the fields before and after each one whose length is seldom known beforehand."""
    runs: list[Fields] = []
    open_run = False
    for name, wire in fields:
        fits = isinstance(wire, Integer | Text) or (isinstance(wire, CString) and wire.usually_empty)
        if fits and open_run:
            runs[-1].append((name, wire))
        else:
            runs.append([(name, wire)])
        open_run = fits and not isinstance(wire, Text)
    return runs


def _at(base: str, offset: int) -> str:
    if not base:
        return str(offset)
    return f"{base} + {offset}" if offset else base


def _default(wire: Wire) -> object:
    if isinstance(wire, Integer):
        return 0
    return b"" if isinstance(wire, CString | Text) else ()


def _unpack(out: _Source, layout: str, targets: list[str], at: str) -> None:
    reader = out.refer(struct.Struct(layout).unpack_from)
    comma = "," if len(targets) == 1 else ""
    place = f", {at}" if at else ""
    out.add(f"{', '.join(targets)}{comma} = {reader}(frame{place})")


def _read_run(
    out: _Source, run: Fields, base: str, offset: int, layout: str, header: list[str]
) -> tuple[str, int]:
    """Write the code for one run that begins at base + offset; return where it ends."""
    name, wire = run[0]
    at_header = len(layout) > 1
    if not isinstance(wire, Integer | Text | CString) or (isinstance(wire, CString) and not wire.usually_empty):
        if at_header:
            _unpack(out, layout, header, "")
        return _read_one(out, name, wire, base, offset)
    targets, empty = list(header), []
    for name, wire in run:
        if isinstance(wire, Integer):
            layout += {1: "B", 2: "H", 4: "I"}[wire.octets]
            targets.append(f"pdu.{name}")
        else:
            layout += "B"
            targets.append("length" if isinstance(wire, Text) else f"has_{name}")
            if isinstance(wire, CString):
                empty.append(name)
    width = struct.calcsize(layout) - (HEADER if at_header else 0)
    if len(targets) == 1 and not isinstance(run[0][1], Integer):
        out.add(f"{targets[0]} = frame[{_at(base, offset)}]")
    elif len(targets) == 1:
        out.add(f"{targets[0]} = frame[{_at(base, offset)}]")
    else:
        _unpack(out, layout, targets, "" if at_header else _at(base, offset))
    end = f"end_{name}"
    if empty:
        out.add(f"if {' or '.join(f'has_{name}' for name in empty)}:")
        out.depth += 1
        there, far = base, offset
        for name, wire in run:
            if isinstance(wire, Text):
                out.add(f"length = frame[{_at(there, far)}]")
                far += 1
            elif isinstance(wire, Integer) and not there:
                far += wire.octets
            else:
                there, far = _read_one(out, name, wire, there, far)
        out.add(f"{end} = {_at(there, far)}")
        out.depth -= 1
        out.add("else:")
        out.depth += 1
        out.add(" = ".join(f"pdu.{name}" for name in empty) + " = b''", f"{end} = {_at(base, offset + width)}")
        out.depth -= 1
        base, offset = end, 0
    else:
        offset += width
    if isinstance(run[-1][1], Text):
        return _read_text(out, run[-1][0], base, offset)
    return base, offset


def _read_text(out: _Source, name: str, base: str, offset: int) -> tuple[str, int]:
    out.add(f"text = {_at(base, offset)}", "end = text + length")
    out.add("if end > len(frame):", "    raise ValueError('sm_length')", f"pdu.{name} = frame[text:end]")
    return "end", 0


def _read_one(out: _Source, name: str, wire: Wire, base: str, offset: int) -> tuple[str, int]:
    at = _at(base, offset)
    if isinstance(wire, CString):
        end = f"end_{name}"
        out.add(f"{end} = frame.index(0, {at}, {_at(base, offset + CSTRING_LIMIT)})", f"pdu.{name} = frame[{at}:{end}]")
        return end, 1
    if isinstance(wire, Integer) and wire.octets == 1:
        out.add(f"pdu.{name} = frame[{at}]")
        return base, offset + 1
    out.add(f"pdu.{name}, end_{name} = {out.refer(wire.read)}(frame, {at}, {name!r})")
    return f"end_{name}", 0


def encoder(cls: type[Pdu], *, version_3_3: bool = False) -> Encoder:
    """Return a function from a PDU to its octets; in the 3.3 form without TLVs and with a body in every response."""
    out = _Source("def run(pdu):")
    fields = body(cls)
    status = "0"
    if issubclass(cls, Response):
        status = "status"
        out.add("status = pdu.command_status")
        _refuse_body(out, cls, fields, version_3_3)
    layout, values, strings = b"", [], []
    for name, wire in fields:
        if isinstance(wire, CString):
            layout += b"%b\0"
            strings.append(name)
            values.append(name)
        elif isinstance(wire, Text):
            layout += b"%c%b"
            values += [f"len({name})", name]
            strings.append("")
            out.add(f"{name} = pdu.{name}")
        elif isinstance(wire, Integer) and wire.octets == 1:
            layout += b"%c"
            values.append(f"pdu.{name}")
        else:
            layout += b"%b"
            values.append(f"{out.refer(wire.write)}(pdu.{name}, {name!r})")
    strings = [name for name in strings if name]
    out.add(*(f"{name} = pdu.{name}" for name in strings))
    if strings:
        holds_nul = " or ".join(f"0 in {name}" for name in strings)
        out.add(f"if {holds_nul}:", "    raise ValueError('NUL')")
    pack = out.refer(struct.Struct(">IIII").pack)
    tail = "" if version_3_3 else f"{out.refer(write_tlvs)}(pdu.tlvs)"
    if values:
        out.add(f"body = {layout!r} % ({', '.join(values)},)")
        if tail:
            out.add("if pdu.tlvs:", f"    body += {tail}")
        out.add(f"return {pack}({HEADER} + len(body), {cls.command_id}, {status}, pdu.sequence_number) + body")
    else:
        if tail:
            out.add("if pdu.tlvs:", f"    body = {tail}")
            head = f"{pack}({HEADER} + len(body), {cls.command_id}, {status}, pdu.sequence_number)"
            out.add(f"    return {head} + body")
        out.add(f"return {pack}({HEADER}, {cls.command_id}, {status}, pdu.sequence_number)")
    result: Encoder = out.compiled()
    return result


def _refuse_body(out: _Source, cls: type[Response], fields: Iterable[tuple[str, Wire]], version_3_3: bool) -> None:
    """Write the line that ends a failed response after its header, where its body has to stay away."""
    names = [f"pdu.{name}" for name, _ in fields]
    if not names or version_3_3 or cls.body_on_error is BodyOnError.ALWAYS:
        return
    condition = "status"
    if cls.body_on_error is BodyOnError.GIVEN:
        condition += f" and not ({' or '.join([*names, 'pdu.tlvs'])})"
    pack = out.refer(struct.Struct(">IIII").pack)
    out.add(f"if {condition}:", f"    return {pack}({HEADER}, {cls.command_id}, status, pdu.sequence_number)")
