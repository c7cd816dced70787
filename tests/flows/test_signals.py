"""Signals: SIGUSR1 opens the log file again; SIGTERM ends the gateway with status 0 from its first moments on."""

from __future__ import annotations

import os
import select
import signal
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.flows.esme import ENQUIRE_LINK, Esme
from tests.flows.process import GatewayProcess

FIRST_CODE = 5.0
"""Seconds after which the code of the gateway is certainly reached, on a machine with much else to do."""


class U1Tests(SynchronousTestCase):
    """SIGUSR1, after which a rotated log is no longer written to."""

    def gateway(self, *options: str) -> GatewayProcess:
        """Return a gateway that is started with further options of twistd."""
        gateway = GatewayProcess(Path(self.mktemp()).absolute(), options=options)
        self.addCleanup(gateway.kill)
        return gateway

    def test_u1_log_file_is_opened_again(self) -> None:
        """After a rename and SIGUSR1 new lines are in a new file of the old name; the sessions go on."""
        place = Path(self.mktemp()).absolute()
        place.mkdir()
        log, rotated = place / "smsgw.log", place / "smsgw.log.1"
        gateway = self.gateway(f"--logfile={log}")
        gateway.start()
        esme = Esme(gateway.smpp)
        self.addCleanup(esme.close)
        log.rename(rotated)
        gateway.signal(signal.SIGUSR1)
        gateway.log = log
        gateway.logged(f"the log file {log} was opened again")
        self.assertNotIn("opened again", rotated.read_text())
        gateway.signal(signal.SIGHUP)
        gateway.logged("the configuration is taken from")
        self.assertEqual(esme.request(ENQUIRE_LINK), (0, b""))
        self.assertEqual(gateway.stop(), 0)
        self.assertIn("stopped;", log.read_text())

    def test_u1_message_log(self) -> None:
        """The message log is opened again too."""
        place = Path(self.mktemp()).absolute()
        place.mkdir()
        log, rotated = place / "messages.log", place / "messages.log.1"
        gateway = GatewayProcess(
            Path(self.mktemp()).absolute(), gateway=f"message_log = {log}", connector="delay = 0.05"
        )
        self.addCleanup(gateway.kill)
        gateway.start()
        esme = Esme(gateway.smpp)
        self.addCleanup(esme.close)
        for file in (rotated, log):
            esme.accepted("Hello")
            self.assertEqual(len(esme.receipts(1)), 1)
            if file is rotated:
                log.rename(rotated)
                gateway.signal(signal.SIGUSR1)
                gateway.logged(f"the message log {log} was opened again")
        self.assertEqual(gateway.stop(), 0)
        self.assertEqual([len(file.read_text().splitlines()) for file in (rotated, log)], [1, 1])

    def test_u1_file_that_cannot_be_made(self) -> None:
        """If the new file cannot be made, the old one is written to further and has the reason."""
        place = Path(self.mktemp()).absolute()
        place.mkdir()
        log, rotated = place / "smsgw.log", place / "smsgw.log.1"
        gateway = self.gateway(f"--logfile={log}")
        gateway.start()
        log.rename(rotated)
        log.mkdir()
        gateway.signal(signal.SIGUSR1)
        gateway.log = rotated
        gateway.logged(f"{log} cannot be opened again: Is a directory; lines go on to the former file")
        self.assertEqual(gateway.stop(), 0)

    def test_u1_standard_output(self) -> None:
        """Without a log file SIGUSR1 has no effect but a line."""
        gateway = self.gateway()
        gateway.start()
        gateway.signal(signal.SIGUSR1)
        gateway.logged("there is no log file to open again")
        self.assertEqual(gateway.stop(), 0)


class F8Tests(SynchronousTestCase):
    """Signals while the gateway starts."""

    def gateway(self) -> GatewayProcess:
        """Return a gateway that was launched."""
        gateway = GatewayProcess(Path(self.mktemp()).absolute())
        self.addCleanup(gateway.kill)
        gateway.launch()
        return gateway

    def reached(self, gateway: GatewayProcess) -> None:
        """Wait until Python handles SIGTERM in this process, which is when our code has begun to run."""
        deadline = time.monotonic() + FIRST_CODE
        while time.monotonic() < deadline:
            status = Path(f"/proc/{gateway.pid}/status").read_text()
            (caught,) = (line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:"))
            if int(caught, 16) & 1 << (signal.SIGTERM - 1):
                return
            select.select([], [], [], 0.002)
        raise AssertionError("the gateway never handles SIGTERM")

    def test_f8_terminated_while_starting(self) -> None:
        """SIGTERM at any moment of the start ends with status 0, from the first one at which our code runs."""
        for pause in (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.9):
            gateway = self.gateway()
            self.reached(gateway)
            select.select([], [], [], pause)
            self.assertEqual(gateway.stop(), 0, pause)
            self.assertNotIn("Traceback", gateway.log.read_text())

    def test_f8_early(self) -> None:
        """Our code handles SIGTERM before it imports what takes long."""
        gateway = self.gateway()
        self.reached(gateway)
        opened = {os.readlink(f"/proc/{gateway.pid}/fd/{one}") for one in os.listdir(f"/proc/{gateway.pid}/fd")}
        maps = Path(f"/proc/{gateway.pid}/maps").read_text()
        self.assertNotIn("_rust", maps, "cryptography is loaded already")
        self.assertEqual([one for one in opened if "smsgw" in one and one.endswith("lock")], [])
        self.assertEqual(gateway.stop(), 0)

    def test_f8_reload_and_rotation_while_starting(self) -> None:
        """SIGHUP and SIGUSR1 during the start do not end the gateway; the file is read again after it."""
        gateway = self.gateway()
        self.reached(gateway)
        for _ in range(3):
            gateway.signal(signal.SIGUSR1)
            gateway.signal(signal.SIGHUP)
            select.select([], [], [], 0.1)
        gateway.logged("the configuration is taken from", seconds=30)
        self.assertEqual(gateway.stop(), 0)
