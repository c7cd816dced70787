"""A backup of the running gateway, and a gateway that is restored from it."""

from __future__ import annotations

import os
import re
import select
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from smsgw.model.lifecycle import State
from tests.flows.esme import Esme
from tests.flows.process import ROOT, GatewayProcess


class OperationsTests(SynchronousTestCase):
    def command(self, *words: str) -> subprocess.Popen[str]:
        """Start a command of the command line."""
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
        process = subprocess.Popen(
            [sys.executable, "-m", "smsgw", *words, "-c", str(self.gateway.config)], stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, env=environment | {"PYTHONPATH": str(ROOT)},
        )
        self.addCleanup(process.kill)
        return process

    def done(self, process: subprocess.Popen[str]) -> str:
        """Return the output of a command, which must succeed."""
        output, _ = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0, output)
        return output

    def submit(self, esme: Esme, most: int, over: Callable[[], bool] = lambda: False) -> list[int]:
        """Submit at most so many messages, fewer if it is over; return the ids of the accepted ones."""
        ids: list[int] = []
        submitted = under_way = 0
        while (submitted < most and not over()) or under_way:
            while under_way < 20 and submitted < most and not over():
                esme.submit("to be restored")
                submitted += 1
                under_way += 1
            esme.read(0.05)
            while esme.answers:
                _, status, body = esme.answers.popleft()
                self.assertEqual(status, 0)
                under_way -= 1
                ids.append(int(body.rstrip(b"\0")))
        return ids

    def test_operations_backup_and_restore(self) -> None:
        """A backup that is made under load has every message that was accepted before. After the loss of the state
        directory the restored gateway ends each of them, sends again only what the backup has as unsent, and gives no
        id twice."""
        self.gateway = GatewayProcess(Path(self.mktemp()).absolute(), connector="delay = 0.1\nrate = 400")
        self.addCleanup(self.gateway.kill)
        backup = self.gateway.directory / "backup" / "smsgw.sqlite"
        backup.parent.mkdir()
        self.gateway.start()
        esme = Esme(self.gateway.smpp)
        self.addCleanup(esme.close)
        before = self.submit(esme, 500)
        process = self.command("backup", str(backup))
        later = self.submit(esme, 1000, lambda: process.poll() is not None)
        self.assertRegex(self.done(process), rf"{backup} has the store, \d+ octets, ids up to \d+\n")
        self.gateway.kill()

        with sqlite3.connect(backup) as database:
            states = dict(database.execute("SELECT id, state FROM message"))
        self.assertLessEqual(set(before), states.keys())
        unsent = [id for id, state in states.items() if state == State.QUEUED]
        self.assertGreater(len(unsent), 0)

        shutil.rmtree(self.gateway.directory / "state")
        self.assertIn("is restored", self.done(self.command("restore", str(backup), "--skip", "100000")))
        self.gateway.start()
        self.wait_until(lambda: self.gateway.get("/health")[1]["messages"]["delivered"] == len(states))
        metrics = self.gateway.get("/metrics")[1]
        sent = re.search(r'smsgw_outcomes_total\{connector="sim",outcome="sent"\} (\S+)', metrics)
        assert sent is not None
        self.assertEqual(float(sent[1]), len(unsent))
        again = Esme(self.gateway.smpp)
        self.addCleanup(again.close)
        self.assertGreater(int(again.accepted("new")), max(before + later))
        self.assertEqual(self.gateway.stop(), 0)

    def wait_until(self, reached: Callable[[], bool]) -> None:
        """Wait for something to become true."""
        deadline = time.monotonic() + 40
        while not reached():
            self.assertLess(time.monotonic(), deadline)
            select.select([], [], [], 0.1)
