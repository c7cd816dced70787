"""``decode``: explains SMPP PDUs given in hexadecimal."""

from __future__ import annotations

import argparse
import re
import sys
from typing import Final

from smsgw.cli.console import DONE, REFUSED, Stop, counted
from smsgw.cli.pdutext import explain

_FILLING: Final = re.compile(r"0[xX]|[\s:,]")
_STRANGE: Final = re.compile(r"[^0-9A-Fa-f]")
_VERSIONS: Final = {"3.3": 0x33, "3.4": 0x34, "5.0": 0x50}


def read_hex(text: str) -> bytes:
    """Read octets in hexadecimal; blanks, colons, line ends and 0x between them are ignored.

    :raises ValueError: for another character, with its line and position, and for an odd number of digits.
    """
    at = 0
    for line_number, line in enumerate(text.splitlines(), 1):
        strange = _STRANGE.search(_FILLING.sub(lambda found: "0" * len(found[0]), line))
        if strange is not None:
            at = strange.start()
            raise ValueError(f"line {line_number}, character {at + 1}: {line[at]!r} is no hexadecimal digit")
    digits = _FILLING.sub("", text)
    if len(digits) % 2:
        raise ValueError(f"{len(digits)} hexadecimal digits: the number must be even, two for each octet")
    return bytes.fromhex(digits)


def decode(options: argparse.Namespace) -> int:
    """Print the explanation of PDUs; the exit status is 1 if one has a fault."""
    written = " ".join(options.hex) if options.hex else sys.stdin.read()
    try:
        octets = read_hex(written)
    except ValueError as error:
        raise Stop(REFUSED, str(error)) from None
    if not octets:
        raise Stop(REFUSED, "there are no octets to explain")
    explanation = explain(octets, _VERSIONS[options.version], options.charset, options.secrets)
    print("\n".join(explanation.lines))
    faults = f", {counted(explanation.faults, 'fault')}" if explanation.faults else ", nothing wrong"
    print(f"{counted(explanation.pdus, 'PDU')}{faults}")
    return REFUSED if explanation.faults else DONE
