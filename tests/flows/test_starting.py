"""The start: the banner, and the exit statuses of failures."""

from __future__ import annotations

import os
import re
import resource
import shutil
import socket
import subprocess
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from smsgw.tap import MOST_FILES
from tests.flows.process import ROOT, GatewayProcess

MISTAKES = {
    "[gateway]": "[gateway]\nkeeep = 30d",
    "protocol = smtp": "protocol = smtp\nauth_tries = many",
    "type = loopback": "type = loopback\ntype = loopback",
    "connectors = sim": "connectors = sim, unknown",
    "[account demo]": "[acount typo]\npassword = x\n\n[account demo]",
    "password = demo": "password =",
}
"""Replacements in a good configuration; each makes one mistake, on the last line it changes."""


class StartTests(SynchronousTestCase):
    def gateway(self) -> GatewayProcess:
        """Make a gateway without starting it."""
        gateway = GatewayProcess(Path(self.mktemp()).absolute())
        self.addCleanup(gateway.kill)
        return gateway

    def test_every_mistake_is_reported(self) -> None:
        """A configuration with mistakes ends the start with 78. Each mistake is printed with its line; no file is made,
        no other line printed."""
        gateway = self.gateway()
        text = gateway.config.read_text()
        for good, bad in MISTAKES.items():
            self.assertIn(good, text)
            text = text.replace(good, bad, 1)
        gateway.config.write_text(text)
        gateway.launch()
        self.assertEqual(gateway.wait(), 78)
        reported = gateway.log.read_text()
        lines = text.splitlines()
        found = re.findall(rf"^{re.escape(str(gateway.config))}:(\d+): (.*)$", reported, re.MULTILINE)
        self.assertEqual(len(found), len(reported.splitlines()), reported)
        blamed = [lines[int(number) - 1] for number, _ in found]
        self.assertEqual(
            blamed,
            [
                *("keeep = 30d", "auth_tries = many", "[acount typo]", "password =", "type = loopback"),
                "connectors = sim, unknown",
            ],
        )
        self.assertFalse((gateway.directory / "state").exists())

    def test_missing_file(self) -> None:
        """A missing configuration ends the start with 78 and names the file."""
        gateway = self.gateway()
        gateway.config.unlink()
        gateway.launch()
        self.assertEqual(gateway.wait(), 78)
        self.assertIn(f"{gateway.config}:", gateway.log.read_text())

    def test_taken_port(self) -> None:
        """A taken port ends the start with 69, and the log names the listener and its endpoint."""
        gateway = self.gateway()
        with socket.create_server(("127.0.0.1", gateway.smtp)):
            gateway.launch()
            self.assertEqual(gateway.wait(), 69)
        log = gateway.log.read_text()
        self.assertIn(f"[listen mail] cannot listen on tcp:{gateway.smtp}:interface=127.0.0.1: ", log)
        self.assertNotIn("Traceback", log)
        self.assertNotIn("Try:", log)

    def test_locked_store(self) -> None:
        """A second process on the same state directory ends with 69 and the reason; the first goes on."""
        first, second = self.gateway(), self.gateway()
        second.config.write_text(
            second.config.read_text().replace(str(second.directory / "state"), str(first.directory / "state"))
        )
        first.start()
        second.launch()
        self.assertEqual(second.wait(), 69)
        log = second.log.read_text()
        self.assertRegex(log, r"locked by process \d+")
        self.assertNotIn("Traceback", log)
        self.assertEqual(first.get("/health")[0], 200)

    def test_state_cannot_be_made(self) -> None:
        """A state directory that cannot be made ends the start, with a line that has its name and the reason."""
        gateway = self.gateway()
        (gateway.directory / "state").write_text("a file is in the way")
        for tls, status in (("optional", 78), ("none", 69)):
            gateway.config.write_text(gateway.config.read_text().replace("tls = optional", f"tls = {tls}"))
            gateway.launch()
            self.assertEqual(gateway.wait(), status)
        log = gateway.log.read_text()
        self.assertNotIn("Traceback", log)
        for line in ("[listen mail] certificate: ", "cannot start: "):
            self.assertRegex(log, rf"{re.escape(line)}.*{re.escape(str(gateway.directory / 'state'))}.*File exists")

    def test_open_files(self) -> None:
        """The gateway raises its limit of open files to the system's maximum."""
        gateway = self.gateway()
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, before[1]), before[1]))
        try:
            gateway.start()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
        soft, hard = resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE)
        self.assertEqual(soft, min(hard, MOST_FILES))

    def test_banner(self) -> None:
        """After the start the log has the addresses and a command to try for each front end, which works."""
        gateway = self.gateway()
        gateway.start()
        log = gateway.logged("/v1/messages\n")
        for port, name in (
            *((gateway.smpp, "smpp"), (gateway.smtp, "mail")),
            *((gateway.http, "api"), (gateway.admin, "admin")),
        ):
            self.assertIn(f"127.0.0.1:{port}  [listen {name}]\n", log)
        commands = [line.split(":   ", 1)[1] for line in log.splitlines() if ":   " in line]
        smpp, mail, http = commands
        self.assertRegex(self.shell(smpp), r"\Aaccepted as message \d+\ndelivered ")
        if shutil.which("swaks"):
            self.assertIn(" message accepted\n", self.shell(mail))
        if shutil.which("curl"):
            self.assertIn('"state":"queued"', self.shell(http))

    def shell(self, command: str) -> str:
        """Run a shell command; return its output."""
        done = subprocess.run(
            command,
            shell=True,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout
