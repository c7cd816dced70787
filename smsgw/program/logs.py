"""Formats log events as lines of text or JSON. Control characters are escaped."""

from __future__ import annotations

import io
import json
import math
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TextIO

from twisted.logger import (
    FileLogObserver,
    FilteringLogObserver,
    ILogObserver,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
    eventAsText,
    formatEvent,
)

_INDENT: Final = "\n    "
_LEGACY: Final = frozenset({"time", "isError", "system", "message", "format", "text"})
"""Keys that Twisted's older logging adds to every event."""


def _harmless(text: str) -> str:
    """Escape the characters that are not printable (line ends, control and direction characters, lone surrogates), so
    that a client can neither forge a line nor control a terminal."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def _traceback(event: LogEvent) -> str:
    """Return the escaped lines of an event's failure, if it has one."""
    if "log_failure" not in event:
        return ""
    # formatEvent leaves it out; eventAsText describes a traceback that cannot be formatted and does not raise.
    traceback = eventAsText({"log_failure": event["log_failure"]}, includeTimestamp=False, includeSystem=False)
    return "\n".join(map(_harmless, traceback.strip("\n").split("\n")))


def text_line(event: LogEvent) -> str | None:
    """Format an event as text: time, level, source, message; the lines of a traceback are indented below."""
    message, traceback = formatEvent(event), _traceback(event)
    if not message and not traceback:
        return None
    level: LogLevel = event.get("log_level", LogLevel.info)
    source = event.get("log_namespace", "-")
    when = _when(event).strftime("%Y-%m-%d %H:%M:%S%z")
    line = f"{when} {level.name:<5} {source}: {_harmless(message)}".rstrip()
    return line + "".join(_INDENT + one for one in traceback.split("\n") if one) + "\n"


def json_line(event: LogEvent) -> str | None:
    """Format an event as JSON: time, level, source, message, the traceback if any, and the event's plain fields, except
    one that is the whole message."""
    message, traceback = formatEvent(event), _traceback(event)
    if not message and not traceback:
        return None
    level: LogLevel = event.get("log_level", LogLevel.info)
    line: dict[str, Any] = {
        "time": _when(event).isoformat(timespec="milliseconds"),
        "level": level.name,
        "source": event.get("log_namespace", "-"),
        "message": message,
    }
    if traceback:
        line["traceback"] = traceback
    fields = {key: value for key, value in event.items() if _is_field(key, value) and value != message}
    if fields:
        line["fields"] = fields
    return json.dumps(line, ensure_ascii=True, allow_nan=False) + "\n"


def _is_field(key: str, value: object) -> bool:
    """Whether a key of an event is a field of the log call with a value that JSON can represent."""
    if key.startswith("log_") or key in _LEGACY:
        return False
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, str | int)


FORMATS: Final[Mapping[str, Callable[[LogEvent], str | None]]] = {"text": text_line, "json": json_line}
"""The values of ``log =``."""


def observer(kind: str, stream: TextIO) -> ILogObserver:
    """Return an observer that writes events of level info and above to `stream` in the format `kind`."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")  # for streams whose charset lacks letters
    predicate = LogLevelFilterPredicate(defaultLogLevel=LogLevel.info)
    # Twisted logs each factory, port and phase at level info; the gateway logs its own lines instead.
    for noisy in ("twisted", "log_legacy"):
        predicate.setLogLevelForNamespace(noisy, LogLevel.warn)
    return FilteringLogObserver(FileLogObserver(stream, FORMATS[kind]), [predicate])


class LogFile:
    """A file of log lines, which can be opened again by its name after it was renamed.

    :ivar path: absolute, because twistd may change its directory. :ivar stream: written to line by line.
    """

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)
        self.stream: TextIO = open(self.path, "a", encoding="utf-8", buffering=1)  # noqa: SIM115 - open for ever

    def reopen(self) -> None:
        """Write to the file that has the name now, a new one if there is none.

        The descriptor of the stream is exchanged, so that no line is lost or cut.

        :raises OSError: the file cannot be opened; the former file is written to further.
        """
        new = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)  # as open() does; less the umask
        os.dup2(new, self.stream.fileno(), inheritable=False)
        os.close(new)


def _when(event: LogEvent) -> datetime:
    return datetime.fromtimestamp(event.get("log_time") or 0.0, UTC).astimezone()
