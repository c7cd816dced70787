"""``python -m smsgw COMMAND``: what people do with a gateway besides starting it.

Each command is a function of its parsed options in a module of its own, imported when it is chosen: what it needs may
take a moment to load. It returns the exit status, or raises :class:`~smsgw.cli.console.Stop`.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import sys
from collections.abc import Callable, Sequence

from smsgw.cli.arguments import parser
from smsgw.cli.console import DONE, INTERRUPTED, Stop


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one command line (that of the process if none is given) and return the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that knows few letters is no reason to fail
    options = parser().parse_args(arguments)
    module, _, name = options.run.partition(":")
    run: Callable[..., int] = getattr(importlib.import_module(module), name)
    try:
        status = run(options)
        sys.stdout.flush()
    except Stop as stop:
        sys.stdout.flush()
        print(stop, file=sys.stderr)
        return stop.status
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough; the interpreter must not fail at flushing the rest.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    return status
