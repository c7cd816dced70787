"""Runs commands in this process, against listeners in memory."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import attrs
from twisted.trial.unittest import SynchronousTestCase

from smsgw.cli import main
from smsgw.cli.addresses import ListenerAddress

CONFIG = """\
[gateway]
state = {state}

[listen smpp]
protocol = smpp
endpoint = tcp:2775:interface=127.0.0.1

[listen admin]
protocol = admin
endpoint = tcp:8081:interface=127.0.0.1

[account hashed]
password_hash = scrypt$2$8$1$c2FsdHNhbHQ$c2FsdHNhbHRzYWx0c2FsdHNhbHRzYWx0
allow_from = 127.0.0.0/8
senders = SHOP

[account demo]
password = demopass
allow_from = 127.0.0.0/8
senders = DEMO, AVARIA
default_sender = DEMO

[connector sim]
type = loopback

[route default]
to = *
connectors = sim
"""


@attrs.frozen
class Ran:
    """Status and output of a command."""

    status: int
    out: str
    err: str


class CommandTestCase(SynchronousTestCase):
    """A test of commands."""

    def setUp(self) -> None:
        """Write a valid configuration."""
        self.config = self.written(CONFIG)

    def written(self, text: str) -> str:
        """Write a configuration file; return its name."""
        directory = Path(self.mktemp())
        directory.mkdir()
        path = directory / "gw.ini"
        path.write_text(text.replace("{state}", str(directory / "state")), "utf-8")
        path.chmod(0o600)
        return str(path)

    def run_command(self, *arguments: str, stdin: bytes = b"") -> Ran:
        """Carry out a command line."""
        out, err = io.StringIO(), io.StringIO()
        given = io.TextIOWrapper(io.BytesIO(stdin), "utf-8")
        with mock.patch.multiple(sys, argv=["smsgw"], stdin=given, stdout=out, stderr=err):
            try:
                status = main(arguments)
            except SystemExit as stop:  # argparse's way to end with a usage message
                assert isinstance(stop.code, int), stop.code
                status = stop.code
        return Ran(status, out.getvalue(), err.getvalue())

    def at(self, address: str, connect: Callable[[], Any]) -> None:
        """Let connections to `address` succeed with the result of `connect`; all others are refused."""

        def instead(self: ListenerAddress, seconds: float) -> Any:
            if str(self) != address:
                raise self.unreachable("Connection refused")
            return connect()

        self.patch(ListenerAddress, "connect", instead)

