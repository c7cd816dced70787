"""What an administrator asks of the running gateway by commands, and what that leaves behind."""

from __future__ import annotations

import json
import os
import pwd
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.cli.test_main import environment
from tests.flows.esme import Esme
from tests.flows.process import GatewayProcess

BUSY, BAD, GOOD = "79990000001", "79990000002", "79161234567"
OTHER = "\n[connector other]\ntype = loopback\ndelay = 0.05\n"
SIM = f"delay = 0.05\nthrottled = {BUSY}\nrejected = {BAD}\nretry_first = 1h\nretry_limit = 1h"


class OperationTests(SynchronousTestCase):
    """With the real program."""

    def setUp(self) -> None:
        """A gateway whose route has one connector, and a second connector without a route."""
        directory = Path(self.mktemp()).absolute()
        self.log = directory / "messages.log"
        self.gateway = GatewayProcess(
            directory, gateway=f"message_log = {self.log}", connector=SIM, sections=OTHER
        )
        self.addCleanup(self.gateway.kill)
        self.gateway.start()
        self.esme = Esme(self.gateway.smpp)
        self.addCleanup(self.esme.close)

    def command(self, *arguments: str) -> str:
        """Run a command, which must succeed; return what it prints."""
        ran = subprocess.run(
            [sys.executable, "-m", "smsgw", *arguments, "-c", str(self.gateway.config)],
            env=environment(), capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        self.assertEqual((ran.returncode, ran.stderr), (0, ""), arguments)
        return ran.stdout

    def health(self) -> tuple[int, str, list[str]]:
        """Status, state and problems."""
        status, value = self.gateway.get("/health")
        return status, value["state"], value["problems"]

    def until(self, id: str, state: str) -> Any:
        """Wait until a message has a state; return its details."""
        deadline = time.monotonic() + 20
        while True:
            _, found = self.gateway.get(f"/messages/{id}")
            if found["state"] == state:
                return found
            self.assertLess(time.monotonic(), deadline, found)
            select.select([], [], [], 0.05)

    def test_all_of_them(self) -> None:
        """Paused messages wait and are moved, busy ones are tried now, rejected ones are sent again; the log tells who
        asked, and the message log what became of each message."""
        busy = self.esme.accepted("Busy at first", to=BUSY)
        bad = self.esme.accepted("Rejected", to=BAD)
        self.until(bad, "rejected")
        self.assertEqual(self.health(), (200, "running", []))

        self.command("pause", "sim")
        self.assertEqual(self.health(), (200, "degraded", ["connector sim is paused"]))
        held = self.esme.accepted("Waits", to=GOOD)
        self.assertEqual(self.until(held, "queued")["connector"], "sim")
        self.assertIn("2 messages moved to other\n", self.command("move", "sim", "other"))
        self.assertEqual(self.until(held, "delivered")["connector"], "other")
        self.until(busy, "delivered")

        self.command("resume", "sim")
        self.assertEqual(self.health(), (200, "running", []))
        again = self.esme.accepted("Busy again", to=BUSY)
        deadline = time.monotonic() + 20
        while "1 message did not wait" not in (said := self.command("retry", "sim")):
            self.assertLess(time.monotonic(), deadline, said)
        self.until(again, "delivered")

        self.assertEqual(self.command("resend", bad).split()[:6], ["message", bad, "is", "sent", "again", "as"])
        copy = self.until(str(int(again) + 1), "rejected")
        self.assertEqual((copy["notify"], copy["upstream_words"][0]["words"]), ([], "listed as rejected"))
        self.assertIn("listed as rejected", self.command("show", bad))
        self.assertEqual(len(self.esme.receipts(5, 1.0)), 4)

        metrics = self.gateway.get("/metrics")[1]
        for line in (
            'smsgw_messages_ended_total{account="demo",connector="other",state="delivered"} 2.0',
            'smsgw_messages_ended_total{account="demo",connector="sim",state="delivered"} 1.0',
            'smsgw_messages_ended_total{account="demo",connector="sim",state="rejected"} 2.0',
            'smsgw_message_log_lines_total{result="written"} 5.0',
            'smsgw_connector_paused{connector="sim"} 0.0',
        ):
            self.assertIn(line, metrics)
        self.assertEqual(self.gateway.stop(), 0)

        user = os.environ.get("SUDO_USER", "") or pwd.getpwuid(os.getuid()).pw_name
        log = self.gateway.log.read_text("utf-8")
        for asked in ("/connectors/sim/pause", "/connectors/sim/move/other", "/connectors/sim/resume",
                      "/connectors/sim/retry", f"/messages/{bad}/resend"):
            self.assertRegex(log, rf"(?m)^\S+ \S+ info  \S+: {user}.* asked for {asked}: 200$")
        ends = [json.loads(line) for line in self.log.read_text().splitlines()]
        self.assertEqual(
            sorted((str(end["id"]), end["state"], end["connector"]) for end in ends),
            sorted([(busy, "delivered", "other"), (bad, "rejected", "sim"), (held, "delivered", "other"),
                    (again, "delivered", "sim"), (str(copy["id"]), "rejected", "sim")]),
        )
        self.assertNotIn(GOOD, self.log.read_text())

    def test_u5_message_log_that_cannot_be_opened(self) -> None:
        """A gateway whose message log cannot be opened does not start, and says why."""
        self.assertEqual(self.gateway.stop(), 0)
        self.log.unlink()
        self.log.mkdir()
        self.gateway.launch()
        self.assertEqual(self.gateway.wait(), 69)
        self.assertIn(f"the message log {self.log} cannot be opened: Is a directory", self.gateway.log.read_text())
