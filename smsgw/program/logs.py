"""How log events become lines: text for people, JSON for machines. Control characters never reach a line raw."""

from __future__ import annotations

import io
import json
import math
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
    """Text in which whatever is not printable (line ends, control and direction characters, halves of characters)
    is shown as an escape, so that no peer can forge a line or move the cursor of whoever reads it."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def _traceback(event: LogEvent) -> str:
    """The lines of an event's failure, if it has one; what a peer may have put into them is harmless."""
    if "log_failure" not in event:
        return ""
    # formatEvent leaves it out, and eventAsText tells of one that cannot be had in place of failing.
    told = eventAsText({"log_failure": event["log_failure"]}, includeTimestamp=False, includeSystem=False)
    return "\n".join(map(_harmless, told.strip("\n").split("\n")))


def text_line(event: LogEvent) -> str | None:
    """One event for people: time, where from, level, what; the lines of a traceback are indented below."""
    message, traceback = formatEvent(event), _traceback(event)
    if not message and not traceback:
        return None
    level: LogLevel = event.get("log_level", LogLevel.info)
    source = event.get("log_namespace", "-")
    when = _when(event).strftime("%Y-%m-%d %H:%M:%S%z")
    line = f"{when} {level.name:<5} {source}: {_harmless(message)}".rstrip()
    return line + "".join(_INDENT + one for one in traceback.split("\n") if one) + "\n"


def json_line(event: LogEvent) -> str | None:
    """One event for machines: time, level, source, message, the event's own plain fields, traceback if any."""
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
    fields = {key: value for key, value in event.items() if _is_field(key, value)}
    if fields:
        line["fields"] = fields
    return json.dumps(line, ensure_ascii=True, allow_nan=False) + "\n"


def _is_field(key: str, value: object) -> bool:
    """Whether a key of an event is one that the event was logged with, and JSON has a word for its value."""
    if key.startswith("log_") or key in _LEGACY:
        return False
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, str | int)


FORMATS: Final[Mapping[str, Callable[[LogEvent], str | None]]] = {"text": text_line, "json": json_line}
"""What ``log =`` may name."""


def observer(kind: str, stream: TextIO) -> ILogObserver:
    """An observer that writes events of level info and above to `stream` in the format `kind`."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")  # a stream that knows few letters must not cost a line
    predicate = LogLevelFilterPredicate(defaultLogLevel=LogLevel.info)
    # Twisted tells of each factory, port and phase at level info; the gateway's own lines say it once and better.
    for noisy in ("twisted", "log_legacy"):
        predicate.setLogLevelForNamespace(noisy, LogLevel.warn)
    return FilteringLogObserver(FileLogObserver(stream, FORMATS[kind]), [predicate])


def _when(event: LogEvent) -> datetime:
    return datetime.fromtimestamp(event.get("log_time") or 0.0, UTC).astimezone()
