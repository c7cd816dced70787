"""How log events become lines: text for people, JSON for machines. Control characters never reach a line raw."""

from __future__ import annotations

import json
import re
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

_CONTROL: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_LINE_END: Final = re.compile(r"\n(?=.)", re.DOTALL)
_KEPT: Final = (str, int, float, bool, type(None))


def _harmless(text: str) -> str:
    """Text whose control and direction characters are shown as escapes, so that no peer can forge a line."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def text_line(event: LogEvent) -> str | None:
    """One event for people: time, where from, level, what; further lines of a traceback are indented."""
    text = eventAsText(event, includeTimestamp=False, includeSystem=False)
    if not text:
        return None
    level: LogLevel = event.get("log_level", LogLevel.info)
    source = event.get("log_namespace", "-")
    when = _when(event).strftime("%Y-%m-%d %H:%M:%S%z")
    return _LINE_END.sub("\n    ", f"{when} {level.name:<5} {source}: {_harmless(text)}".rstrip()) + "\n"


def json_line(event: LogEvent) -> str | None:
    """One event for machines: time, level, source, message, the event's own plain fields, traceback if any."""
    message = formatEvent(event)
    level: LogLevel = event.get("log_level", LogLevel.info)
    line: dict[str, Any] = {
        "time": _when(event).isoformat(timespec="milliseconds"),
        "level": level.name,
        "source": event.get("log_namespace", "-"),
        "message": message,
    }
    if "log_failure" in event:
        line["traceback"] = event["log_failure"].getTraceback()
    elif not message:
        return None
    fields = {
        key: value
        for key, value in event.items()
        if isinstance(value, _KEPT) and not key.startswith("log_") and key not in _LEGACY
    }
    if fields:
        line["fields"] = fields
    return json.dumps(line, ensure_ascii=True) + "\n"


_LEGACY: Final = frozenset({"time", "isError", "system", "message", "format", "text"})
"""Keys that Twisted's older logging adds to every event."""

FORMATS: Final[Mapping[str, Callable[[LogEvent], str | None]]] = {"text": text_line, "json": json_line}
"""What ``log =`` may name."""


def observer(kind: str, stream: TextIO) -> ILogObserver:
    """An observer that writes events of level info and above to `stream` in the format `kind`."""
    predicate = LogLevelFilterPredicate(defaultLogLevel=LogLevel.info)
    # Twisted tells of each factory, port and phase at level info; the gateway's own lines say it once and better.
    for noisy in ("twisted", "log_legacy"):
        predicate.setLogLevelForNamespace(noisy, LogLevel.warn)
    return FilteringLogObserver(FileLogObserver(stream, FORMATS[kind]), [predicate])


def _when(event: LogEvent) -> datetime:
    return datetime.fromtimestamp(event.get("log_time") or 0.0, UTC).astimezone()
