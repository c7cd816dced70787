"""The command line as a whole."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import smsgw
from smsgw.smpp.codec import encode
from smsgw.smpp.pdus import SubmitSm
from tests.cli.support import CommandTestCase

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = (
    "check", "sample", "hash-password", "make-key", "health", "backup", "restore", "list", "show", "cancel", "resend",
    "retry", "pause", "resume", "move", "replay", "simulate", "clock", "decode", "send",
)  # fmt: skip


def environment() -> dict[str, str]:
    """The environment in which a process imports this checkout."""
    return os.environ | {"PYTHONPATH": str(ROOT)}


class HelpTests(CommandTestCase):
    def test_overview(self) -> None:
        """The help lists the commands and the exit statuses."""
        ran = self.run_command("--help")
        self.assertEqual((ran.status, ran.err), (0, ""))
        self.assertEqual(tuple(re.findall(r"(?m)^    ([a-z-]+)(?= |$)", ran.out)), COMMANDS)
        self.assertEqual(re.findall(r"(?m)^  ([0-9]+) +\S", ran.out), ["0", "1", "2", "69", "78"])

    def test_each_command(self) -> None:
        """Each command has help with an example."""
        for command in COMMANDS:
            ran = self.run_command(command, "--help")
            self.assertEqual((ran.status, ran.err), (0, ""))
            self.assertRegex(ran.out, rf"(?m)^examples?:\n  smsgw {command}\b")
            self.assertIn("exit status:", ran.out)
            self.assertLessEqual(max(map(len, ran.out.splitlines())), 120, command)

    def test_usage(self) -> None:
        """A wrong command line ends with status 2 and the usage."""
        for arguments in ((), ("destroy",), ("show",), ("show", "seven"), ("show", "0"), ("cancel", "message-id-x"),
                          ("list", "everything"), ("list", "--limit", "0"), ("send", "7916"),
                          ("decode", "--version", "4"), ("send", "7916", "x", "--wait", "-1")):
            ran = self.run_command(*arguments)
            self.assertEqual((ran.status, ran.out), (2, ""), arguments)
            self.assertIn("usage: smsgw", ran.err)

    def test_version(self) -> None:
        """--version prints the release."""
        self.assertEqual(self.run_command("--version").out, f"smsgw {smsgw.__version__}\n")


class ProcessTests(CommandTestCase):
    def test_exit_status(self) -> None:
        """The status of a command is that of the process."""
        done = subprocess.run(
            [sys.executable, "-m", "smsgw", "decode", "0g"], env=environment(), capture_output=True, text=True,
            check=False,
        )
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertEqual(done.stderr, "line 1, character 2: 'g' is no hexadecimal digit\n")

    def test_reader_that_goes_away(self) -> None:
        """A closed pipe, as by `head`, ends a command without an error."""
        hexadecimal = "00000010000000150000000000000001" * 4000
        process = subprocess.Popen(
            [sys.executable, "-m", "smsgw", "decode"], env=environment(), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stdin.write(hexadecimal.encode())
        process.stdin.close()
        err = process.stderr.read()
        process.stderr.close()
        self.assertEqual((process.wait(), err), (0, b""))

    def test_light_start(self) -> None:
        """Help, and a command that needs no gateway, load neither Twisted nor the gateway."""
        script = (
            "import sys\nfrom smsgw.cli import main\nmain(['decode', '00000010000000150000000000000001'])\n"
            "heavy = ('twisted', 'smsgw.program.wiring', 'sqlite3', 'cryptography')\n"
            "print([name for name in heavy if name in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", script], env=environment(), capture_output=True, text=True,
                              check=True)
        self.assertEqual(done.stdout.splitlines()[-1], "[]")

    def test_poor_terminal(self) -> None:
        """A terminal that knows only ASCII gets escapes in place of letters."""
        pdu = encode(SubmitSm(1, data_coding=8, short_message="\u0414\u0430".encode("utf-16-be"))).hex()
        done = subprocess.run(
            [sys.executable, "-m", "smsgw", "decode", pdu], env=environment() | {"PYTHONIOENCODING": "ascii"},
            capture_output=True, check=False,
        )
        self.assertIn(rb'"\u0414\u0430"', done.stdout)
        self.assertEqual(done.stderr, b"")
