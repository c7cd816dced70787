"""The rules of /health."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from smsgw.program.health import report

UP = {"up": True, "room": 7, "paused": False}
DOWN = {"up": False, "room": 0, "paused": False}
PAUSED = {"up": True, "room": 7, "paused": True}


class HealthTests(SynchronousTestCase):
    def test_u8_running(self) -> None:
        """A gateway all of whose connectors are up is running; the facts are shown as they are."""
        self.assertEqual(
            report("running", {"sim": UP}), {"state": "running", "problems": [], "connectors": {"sim": UP}}
        )

    def test_u8_degraded(self) -> None:
        """A connector that is down or paused makes it degraded, and each is named."""
        shown = report("running", {"sim": UP, "mts": DOWN, "old": PAUSED})
        self.assertEqual(
            (shown["state"], shown["problems"]), ("degraded", ["connector mts is down", "connector old is paused"])
        )

    def test_u8_other_states(self) -> None:
        """Before and after it runs, the state is that of the program."""
        for state in ("starting", "draining", "stopped"):
            self.assertEqual(report(state, {"mts": DOWN})["state"], state)
