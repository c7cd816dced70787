"""The command ``smsgw`` (or ``python -m smsgw``): what an administrator does beside starting the gateway.

Each command is a function of its parsed options. Its module is imported when the command is chosen, because some
imports are slow. The function returns the exit status or raises :class:`~smsgw.cli.console.Stop`.
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
    """Carry out one command line (by default the process's) and return the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # for terminals whose charset lacks letters
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
        # The reader closed the pipe. Flushing at the interpreter's exit must not fail.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    return status
