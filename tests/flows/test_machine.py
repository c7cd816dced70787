"""The machine under the running gateway: its disk, its clock, its files (F1, F2, F6, F7)."""

from __future__ import annotations

import re
import select
import subprocess
import sys
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.flows.esme import Esme
from tests.flows.process import ROOT, GatewayProcess

MIB = 2**20
FULL = 0x14
"""ESME_RMSGQFUL"""

MACHINE = '''
"""Imported by the interpreter at its start: the disk and the wall clock are as two files beside this one say."""
import os, time
here = os.path.dirname(__file__)
statvfs, wall = os.statvfs, time.time

def setting(name):
    with open(os.path.join(here, name)) as file:
        return float(file.read() or 0)

class Disk:
    def __init__(self, real):
        self.f_frsize = real.f_frsize
        self.f_bavail = int(setting("free") / real.f_frsize)

os.statvfs = lambda path: Disk(statvfs(path))
time.time = lambda: wall() + setting("lead")
'''


class MachineTests(SynchronousTestCase):
    def setUp(self) -> None:
        """A machine with room on its disk and a right clock."""
        self.machine = Path(self.mktemp()).absolute()
        self.machine.mkdir()
        (self.machine / "sitecustomize.py").write_text(MACHINE)
        self.set("free", 10_000 * MIB)
        self.set("lead", 0)

    def set(self, name: str, value: float) -> None:
        """Set the free octets of the disk, or the seconds by which the wall clock is ahead."""
        fresh = self.machine / "fresh"
        fresh.write_text(str(value))
        fresh.replace(self.machine / name)

    def gateway(self, connector: str = "delay = 0.1") -> GatewayProcess:
        """A gateway on this machine, not started."""
        environment = {"PYTHONPATH": f"{self.machine}:{ROOT}"}
        gateway = GatewayProcess(
            Path(self.mktemp()).absolute(), gateway="drain = 3", connector=connector, environment=environment
        )
        self.addCleanup(gateway.kill)
        return gateway

    def esme(self, gateway: GatewayProcess) -> Esme:
        """A bound transceiver."""
        esme = Esme(gateway.smpp)
        self.addCleanup(esme.close)
        return esme

    def counts(self, gateway: GatewayProcess, wanted: str = "", seconds: float = 10.0) -> dict[str, int]:
        """The messages by state, when there is one in the state `wanted`, or after `seconds`."""
        deadline = time.monotonic() + seconds
        while True:
            counts: dict[str, int] = gateway.get("/health")[1]["messages"]
            if not wanted or wanted in counts or time.monotonic() > deadline:
                return counts
            select.select([], [], [], 0.1)

    def pause(self, seconds: float) -> None:
        """Let the gateway run."""
        select.select([], [], [], seconds)

    def command(self, gateway: GatewayProcess, *arguments: str) -> str:
        """Run ``python -m smsgw``; returns its output."""
        return subprocess.run(
            [sys.executable, "-m", "smsgw", *arguments, "-c", str(gateway.config)],
            cwd=ROOT, capture_output=True, text=True, check=True, timeout=30,
        ).stdout  # fmt: skip

    def test_f1_disk_short_then_free(self) -> None:
        """While the disk is short new messages are refused, and an idle gateway accepts them again by itself."""
        gateway = self.gateway()
        gateway.start()
        esme = self.esme(gateway)
        esme.accepted("There is room")
        self.set("free", 100 * MIB)
        gateway.logged("nearly full (100 MiB are free)")
        self.assertEqual(esme.answer(esme.submit("No room"))[0], FULL)
        status, health = gateway.get("/health")
        self.assertEqual((status, health["disk"], health["accepting"]), (503, "short", False))
        self.assertIn("\nsmsgw_store_disk_short 1.0\n", gateway.get("/metrics")[1])
        self.set("free", 600 * MIB)
        gateway.logged("has room again")
        esme.accepted("Room again")
        status, health = gateway.get("/health")
        self.assertEqual((status, health["disk"]), (200, "enough"))
        self.assertIn("\nsmsgw_store_disk_short 0.0\n", gateway.get("/metrics")[1])

    def test_f1_started_on_a_small_disk(self) -> None:
        """A gateway that starts on a small disk says so, and accepts messages when there is room."""
        self.set("free", 100 * MIB)
        gateway = self.gateway()
        gateway.launch()
        gateway.logged("nearly full (100 MiB are free)")
        gateway.logged("Try:")
        esme = self.esme(gateway)
        self.assertEqual(esme.answer(esme.submit("No room"))[0], FULL)
        self.set("free", 600 * MIB)
        gateway.logged("has room again")
        esme.accepted("Room")

    def test_f2_clock_jumps(self) -> None:
        """A wall clock that is wrong for some seconds destroys nothing; one that stays there is followed when the
        administrator says so."""
        gateway = self.gateway("delay = 900")
        gateway.start()
        esme = self.esme(gateway)
        for number in range(5):
            esme.accepted(f"On its way {number}")
        self.counts(gateway, "enroute")
        for lead in (30 * 3600, 40 * 86_400, -30 * 3600):
            logged = len(gateway.log.read_text())
            self.set("lead", lead)
            gateway.logged(f"the wall clock jumped by {lead:+d} s", logged)
            self.assertEqual(gateway.get("/health")[1]["clock"], "jumped")
            esme.accepted("Sent meanwhile")
            self.pause(2.5)
            self.set("lead", 0)
            gateway.logged("the wall clock is back", logged)
        self.assertEqual(self.command(gateway, "clock", "show"), "the wall clock is steady\n")
        counts = self.counts(gateway)
        self.assertEqual((sum(counts.values()), set(counts) - {"queued", "enroute"}), (8, set()))
        self.set("lead", 40 * 86_400)
        gateway.logged("the wall clock jumped by +3456000 s", logged)
        self.assertRegex(gateway.get("/metrics")[1], r"\nsmsgw_clock_jump_seconds 3\.45")
        self.assertRegex(self.command(gateway, "clock", "accept"), "the jump of [+]34(56000|55999)[.]. s is accepted")
        gateway.logged("is accepted: deadlines are tested by its time")
        self.counts(gateway, "unknown")
        self.pause(2)
        self.assertEqual(self.counts(gateway), {"unknown": 7, "enroute": 1}, "one was sent by that clock")

    def test_f2_second_start_in_a_jump(self) -> None:
        """A gateway that starts twice with a wall clock two days ahead, with a kill between, expires nothing, ends
        nothing that is on its way, and does not send early what is scheduled."""
        gateway = self.gateway("delay = 900")
        gateway.start()
        esme = self.esme(gateway)
        for number in range(3):
            esme.accepted(f"On its way {number}")
        before = self.counts(gateway, "enroute")
        gateway.kill()
        self.set("lead", 2 * 86_400)
        for _ in range(2):
            logged = len(gateway.log.read_text())
            gateway.start()
            gateway.logged("when this gateway last ran, its clock differed from now by +1728", logged)
            self.assertEqual(gateway.get("/health")[1]["clock"], "jumped")
            self.pause(2.5)
            self.assertEqual(self.counts(gateway), before)
            gateway.kill()

    def test_f7_lost_log(self) -> None:
        """After a kill and the loss of the log of the database, the start says that commits are lost."""
        gateway = self.gateway()
        gateway.start()
        first = int(self.esme(gateway).accepted("Lost"))
        gateway.kill()
        (gateway.directory / "state" / "messages.sqlite-wal").unlink()
        logged = len(gateway.log.read_text())
        gateway.start()
        self.assertRegex(gateway.logged("has lost commits", logged), r"\bcritical\b")
        health = gateway.get("/health")[1]
        self.assertEqual((health["log"], health["state"]), ("damaged", "degraded"))
        self.assertGreater(int(self.esme(gateway).accepted("Another")), first)

    def test_f6_files_deleted(self) -> None:
        """A gateway whose database was deleted ends with 70 within seconds, and gives no positive answer from the
        moment at which it knows."""
        for name in ("messages.sqlite", "."):
            gateway = self.gateway()
            gateway.start()
            esme = self.esme(gateway)
            esme.accepted("Kept")
            path = gateway.directory / "state" / name
            path.rename(gateway.directory / "moved")
            began = time.monotonic()
            self.assertEqual(gateway.wait(20), 70)
            self.assertLess(time.monotonic() - began, 15)
            log = gateway.logged("the store failed, ending:")
            self.assertRegex(log, r"\bcritical\b.*was deleted or moved while the gateway used it")
            self.assertNotIn("everything accepted is in the store", log)

    def test_f7_damaged_log(self) -> None:
        """After a kill and damage to the log, the start says that commits are lost, and no id is given again."""
        gateway = self.gateway()
        gateway.start()
        esme = self.esme(gateway)
        ids = [int(esme.accepted(f"Number {number}")) for number in range(30)]
        gateway.kill()
        log = gateway.directory / "state" / "messages.sqlite-wal"
        octets = bytearray(log.read_bytes())
        octets[len(octets) * 9 // 10] ^= 0xFF
        log.write_bytes(octets)
        logged = len(gateway.log.read_text())
        gateway.start()
        self.assertRegex(gateway.logged("messages.sqlite-wal is damaged", logged), r"\bcritical\b.*[0-9]+ commits")
        self.assertEqual(gateway.get("/health")[1]["log"], "damaged")
        self.assertTrue(re.search(r"\nsmsgw_store_lost_commits [1-9]", gateway.get("/metrics")[1]))
        fresh = int(self.esme(gateway).accepted("Another"))
        self.assertGreater(fresh, max(ids))
        self.assertEqual(gateway.stop(), 0)
        logged = len(gateway.log.read_text())
        gateway.start()
        self.assertNotIn("is damaged", gateway.log.read_text()[logged:])
        self.assertEqual(int(self.esme(gateway).accepted("One more")), fresh + 1)
