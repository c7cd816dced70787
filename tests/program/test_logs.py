"""Formatting of log events as lines."""

from __future__ import annotations

import io
import json
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import ILogObserver, Logger, LogLevel, LogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from smsgw.config import Secret
from smsgw.program import logs


def failure(error: Exception) -> Failure:
    """Make a failure with a traceback."""
    try:
        raise error
    except Exception:  # noqa: BLE001 - any exception is wanted
        return Failure()


class LogTestCase(SynchronousTestCase):
    """A test with a log in memory.

    :cvar kind: the format.
    """

    kind = "text"

    def setUp(self) -> None:
        """Make an empty log."""
        self.stream = io.StringIO()
        observer = logs.observer(self.kind, self.stream)
        self.assertTrue(ILogObserver.providedBy(observer))
        self.log = Logger(namespace="smsgw.test", observer=LogPublisher(observer))

    def lines(self) -> list[str]:
        """Return the lines so far."""
        text = self.stream.getvalue()
        self.assertTrue(not text or text.endswith("\n"))
        return text.split("\n")[:-1]


class TextTests(LogTestCase):
    def test_line(self) -> None:
        """A line has time with zone, level, source, and the message with its fields filled in."""
        self.log.info("{account} sent {number} messages", account="demo", number=3)
        (line,) = self.lines()
        when = r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}[+-][0-9]{4}"
        self.assertRegex(line, rf"\A{when} info  smsgw.test: demo sent 3 messages\Z")

    def test_levels(self) -> None:
        """Events from level info on are written, debug is not."""
        for level in ("debug", "info", "warn", "error", "critical"):
            getattr(self.log, level)("x")
        self.assertEqual([line.split()[2] for line in self.lines()], ["info", "warn", "error", "critical"])

    def test_twisted(self) -> None:
        """Twisted's info events are left out, its warnings are written."""
        for namespace in ("twisted.internet.protocol.Factory", "log_legacy"):
            noisy = Logger(namespace=namespace, observer=self.log.observer)
            noisy.info("starting factory")
            noisy.warn("something odd")
        self.assertEqual([line.rsplit(": ", maxsplit=1)[-1] for line in self.lines()], ["something odd"] * 2)

    def test_failure(self) -> None:
        """A failure has its traceback, every line of which is indented below."""
        self.log.failure("the store failed", failure(OSError("disk full")))
        first, *rest = self.lines()
        self.assertIn(" critical smsgw.test: the store failed", first)
        self.assertGreater(len(rest), 1)
        self.assertTrue(all(line.startswith("    ") for line in rest), rest)
        self.assertIn("disk full", rest[-1])

    def test_forged_lines(self) -> None:
        """Text of a client cannot forge a line, in the message or in an exception."""
        forged = "x\r\n2026-01-01 00:00:00+0000 info  smsgw.test: all is well"
        self.log.info("peer said {what}", what=forged)
        self.log.failure("a request failed", failure(ValueError(forged)))
        lines = self.lines()
        genuine = [line for line in lines if re.match(r"[0-9]{4}-", line)]
        self.assertEqual(len(genuine), 2)
        self.assertIn(r"peer said x\r\n2026-01-01", genuine[0])
        self.assertTrue(all(line.startswith("    ") for line in lines[2:]))

    def test_hostile_characters(self) -> None:
        """Escape sequences, direction marks, line separators and lone surrogates are escaped."""
        for char in ("\x1b", "\x07", "\x7f", "\x9b", "\u202e", "\u2066", "\u200f", "\u2028", "\u061c", "\ud800", "\0"):
            self.log.info("<{what}>", what=char)
            self.assertRegex(self.lines()[-1], r"<\\(x[0-9a-f]{2}|u[0-9a-f]{4})>\Z", ascii(char))

    def test_letters(self) -> None:
        """Letters of any language are unchanged."""
        self.log.info("<{what}>", what="Привет, 世界")
        self.assertTrue(self.lines()[0].endswith("<Привет, 世界>"))

    def test_nothing(self) -> None:
        """An event that says nothing gives no line."""
        self.log.info("")
        self.assertEqual(self.lines(), [])

    def test_format_that_fails(self) -> None:
        """A message whose format fails gives a line that says so."""
        self.log.info("{missing.attribute}", missing=None)
        self.log.info("next")
        first, second = self.lines()
        self.assertIn("Unable to format event", first)
        self.assertTrue(second.endswith(": next"))

    def test_secrets(self) -> None:
        """A secret in an event is hidden."""
        self.log.info("{account} has {password}", account="demo", password=Secret("hushhush"))
        self.assertNotIn("hush", self.stream.getvalue())

    def test_poor_stream(self) -> None:
        """A stream with the charset ASCII gets escapes, and no line is lost."""
        octets = io.BytesIO()
        stream = io.TextIOWrapper(octets, encoding="ascii")
        Logger(namespace="x", observer=LogPublisher(logs.observer("text", stream))).info("Привет")
        self.assertTrue(octets.getvalue().endswith(rb"x: \u041f\u0440\u0438\u0432\u0435\u0442" + b"\n"))

    @given(st.text())
    def test_any_text(self, text: str) -> None:
        """Any text is logged as one printable line."""
        line = logs.text_line({"log_format": "<{what}>", "what": text, "log_time": 0.0, "log_level": LogLevel.info})
        assert line is not None
        self.assertTrue(line.endswith("\n"))
        self.assertTrue(line[:-1].isprintable())


class JsonTests(LogTestCase):
    kind = "json"

    def only(self) -> Any:
        """Return the value of the only line."""
        (line,) = self.lines()
        return json.loads(line)

    def test_line(self) -> None:
        """A line is one JSON object: time, level, source, message and the event's own fields."""
        self.log.warn("{account} sent {number}", account="demo", number=3, rate=1.5, ok=True, peer=None)
        value = self.only()
        self.assertRegex(value.pop("time"), r"\A[0-9-]{10}T[0-9:]{8}\.[0-9]{3}[+-][0-9:]{5}\Z")
        self.assertEqual(
            value,
            {
                "level": "warn",
                "source": "smsgw.test",
                "message": "demo sent 3",
                "fields": {"account": "demo", "number": 3, "rate": 1.5, "ok": True, "peer": None},
            },
        )

    def test_u7_not_twice(self) -> None:
        """A field that is the whole message is not written a second time."""
        self.log.info("{line}", line="SMPP 127.0.0.1:2775", number=1)
        value = self.only()
        self.assertEqual((value["message"], value["fields"]), ("SMPP 127.0.0.1:2775", {"number": 1}))

    def test_failure(self) -> None:
        """A failure has its traceback in a field."""
        self.log.failure("the store failed", failure(OSError("disk full")))
        value = self.only()
        self.assertEqual((value["level"], value["message"]), ("critical", "the store failed"))
        self.assertIn("disk full", value["traceback"])
        self.assertNotIn("fields", value)

    def test_what_json_has_no_word_for(self) -> None:
        """Objects, secrets and numbers that JSON cannot represent are left out."""
        self.log.info("x", thing=object(), secret=Secret("hushhush"), nan=float("nan"), inf=float("inf"), good=1)
        self.assertEqual(self.only()["fields"], {"good": 1})
        self.assertNotIn("hush", self.stream.getvalue())

    def test_nothing(self) -> None:
        """An event that says nothing gives no line."""
        self.log.info("")
        self.assertEqual(self.lines(), [])

    @given(st.text(), st.text(alphabet="abc_", min_size=1))
    def test_any_text(self, text: str, key: str) -> None:
        """Any text is logged as one line of ASCII that parses to the same text."""
        line = logs.json_line({"log_format": "{k_e_y}", "k_e_y": text + ".", "log_time": 0.0, f"x{key}": text})
        assert line is not None
        self.assertTrue(line.isascii())
        self.assertEqual(line.count("\n"), 1)
        value = json.loads(line)
        self.assertEqual((value["message"], value["fields"][f"x{key}"]), (text + ".", text))
