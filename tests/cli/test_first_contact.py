"""The commands of a first session, with a running gateway."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.cli.test_main import environment
from tests.flows.process import GatewayProcess

TEXT = "First contact 4711"
NUMBER = "79165550123"


class FirstContactTests(SynchronousTestCase):
    def run_command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run ``python -m smsgw`` as a process of its own."""
        return subprocess.run(
            [sys.executable, "-m", "smsgw", *arguments], env=environment(), capture_output=True, text=True, check=False,
            timeout=60,
        )

    def test_the_way_of_a_message(self) -> None:
        """A message is sent, delivered, listed and shown; a scheduled one is cancelled; a stopped gateway is reported.
        Neither the text nor the number gets into the log."""
        gateway = GatewayProcess(Path(self.mktemp()).absolute(), connector="delay = 0.1")
        gateway.start()
        try:
            config = ("-c", str(gateway.config))
            sent = self.run_command("send", NUMBER, TEXT, *config)
            self.assertEqual(sent.returncode, 0, sent.stderr)
            self.assertRegex(sent.stdout, r"\Aaccepted as message 1\ndelivered ")
            listed = self.run_command("list", *config)
            self.assertRegex(listed.stdout.splitlines()[1], r" 1  .*  delivered .*  7916\.\.\.23  ")
            details = self.run_command("show", "1", *config)
            steps = r"(?s)\Amessage 1 is delivered\n.* accepted from demo by \[listen smpp\]\n.* taken by sim as .*"
            self.assertRegex(details.stdout, steps)
            cancelled = self.run_command("cancel", "1", *config)
            self.assertEqual((cancelled.returncode, cancelled.stdout), (1, ""))
        finally:
            status = gateway.stop()
        self.assertEqual(status, 0)
        gone = self.run_command("list", *config)
        self.assertEqual(gone.returncode, 69)
        self.assertIn("Is the gateway running?", gone.stderr)
        log = gateway.log.read_text("utf-8")
        self.assertNotIn(TEXT, log)
        self.assertNotIn(NUMBER, log)
