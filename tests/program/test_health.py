"""The rules of /health."""

from __future__ import annotations

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from smsgw.program.health import report

ROOT = Path(__file__).resolve().parents[2]
UP = {"up": True, "room": 7, "paused": False, "failing": {}}
DOWN = {"up": False, "room": 0, "paused": False, "failing": {}}
PAUSED = {"up": True, "room": 7, "paused": True, "failing": {}}
BROKEN = {"up": True, "room": 0, "paused": False, "failing": {"room": "ZeroDivisionError"}}
WELL = {
    "accepting": True, "disk": "enough", "log": "whole", "clock": "steady", "clock_jump_seconds": 0.0,
    "without_connector": {}, "reload": "taken",
    "certificates": {"smpp": {"expires": "2027-01-01T00:00:00Z", "days": 41}},
}  # fmt: skip


class HealthTests(SynchronousTestCase):
    def test_u8_running(self) -> None:
        """A gateway all of whose connectors are up is running; the facts are shown as they are."""
        self.assertEqual(
            report("running", {"sim": UP}, WELL),
            {"state": "running", "problems": [], "connectors": {"sim": UP}, "overloads": [], **WELL},
        )

    def test_f4_overloads(self) -> None:
        """Limits that clients exceed are shown, and do not make the gateway look ill."""
        found = {"limit": "connections", "of": "mail", "hits": 3, "seconds": 5}
        shown = report("running", {"sim": UP}, WELL, [found])
        self.assertEqual((shown["state"], shown["problems"], shown["overloads"]), ("running", [], [found]))

    def test_u8_degraded(self) -> None:
        """A connector that is down, paused or broken makes it degraded, and each is named."""
        shown = report("running", {"sim": UP, "mts": DOWN, "old": PAUSED, "odd": BROKEN}, WELL)
        self.assertEqual(
            (shown["state"], shown["problems"]),
            (
                "degraded",
                [
                    "connector mts is down", "connector old is paused",
                    "connector odd is broken: room raises ZeroDivisionError",
                ],
            ),
        )

    def test_u8_machine(self) -> None:
        """A short disk, a clock that jumped and a damaged log are problems too."""
        ill = {
            **WELL, "accepting": False, "disk": "short", "log": "damaged", "clock": "jumped",
            "clock_jump_seconds": -61.0,
        }  # fmt: skip
        shown = report("running", {"sim": UP}, ill)
        self.assertEqual((shown["state"], shown["accepting"]), ("degraded", False))
        self.assertEqual([words.split(" ", 3)[1] for words in shown["problems"]], ["disk", "wall", "log"])
        self.assertIn("-61 s", shown["problems"][1])

    def test_u8_configuration(self) -> None:
        """A reload that was not taken as a whole, a certificate that ends soon, and messages whose connector is gone
        are problems."""
        ill = {
            **WELL, "reload": "partly", "without_connector": {"old": 7},
            "certificates": {"smpp": {"expires": "2026-12-01T00:00:00Z", "days": 9}},
        }  # fmt: skip
        self.assertEqual(
            report("running", {"sim": UP}, ill)["problems"],
            [
                "the last reload of the configuration was taken only in part",
                "the certificate of listener smpp expires at 2026-12-01T00:00:00Z",
                "7 messages wait for connector old, which is not configured",
            ],
        )

    def test_one_message(self) -> None:
        """One message is not several."""
        ill = {**WELL, "without_connector": {"old": 1}}
        self.assertEqual(
            report("running", {"sim": UP}, ill)["problems"],
            ["1 message waits for connector old, which is not configured"],
        )

    def test_u8_documented(self) -> None:
        """docs/health.rst has each state with its status."""
        rows = re.findall(r"(?m)^``(\w+)`` +(\d+)  ", (ROOT / "docs" / "health.rst").read_text("utf-8"))
        self.assertEqual(
            rows,
            [("starting", "503"), ("running", "200"), ("degraded", "200"), ("down", "503"), ("draining", "503"),
             ("stopped", "503")],
        )

    def test_u8_other_states(self) -> None:
        """Before and after it runs, the state is that of the program."""
        for state in ("starting", "draining", "stopped"):
            self.assertEqual(report(state, {"mts": DOWN}, WELL)["state"], state)
