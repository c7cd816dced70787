"""Runs the gateway as a process, with free ports and a directory of its own."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

TEMPLATE = """\
[gateway]
state = {state}
{gateway}

[listen smpp]
protocol = smpp
endpoint = tcp:{smpp}:interface=127.0.0.1
dialect = standard
{smpp_listener}

[listen mail]
protocol = smtp
endpoint = tcp:{smtp}:interface=127.0.0.1
dialect = quicktel
tls = optional
domains = sms.qtelecom.ru

[listen api]
protocol = http
endpoint = tcp:{http}:interface=127.0.0.1
dialect = rostelecom

[listen admin]
protocol = admin
endpoint = tcp:{admin}:interface=127.0.0.1

[account demo]
password = demo
senders = *
default_sender = DEMO
allow_from = 127.0.0.0/8
{account}

[connector sim]
type = loopback
{connector}

[route default]
to = *
connectors = sim

{sections}
"""


def free_ports(number: int) -> list[int]:
    """Return free ports."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


class GatewayProcess:
    """``twistd smsgw`` on free ports. The keyword arguments are further lines of the sections, further sections,
    variables of the environment, and options of twistd."""

    def __init__(
        self,
        directory: Path,
        *,
        gateway: str = "",
        smpp_listener: str = "",
        account: str = "",
        connector: str = "delay = 0.1",
        sections: str = "",
        environment: Mapping[str, str] | None = None,
        options: Sequence[str] = (),
    ) -> None:
        self.directory = directory
        self._options = options
        self._environment = environment or {}
        directory.mkdir(parents=True, exist_ok=True)
        self.smpp, self.smtp, self.http, self.admin = free_ports(4)
        self.config = directory / "gw.ini"
        self.log = directory / "gateway.log"
        self.config.write_text(
            TEMPLATE.format(
                state=directory / "state",
                smpp=self.smpp,
                smtp=self.smtp,
                http=self.http,
                admin=self.admin,
                gateway=gateway,
                smpp_listener=smpp_listener,
                account=account,
                connector=connector,
                sections=sections,
            )
        )
        self.config.chmod(0o600)
        self._process: subprocess.Popen[bytes] | None = None

    def launch(self) -> None:
        """Start without waiting."""
        # Without the tests' warning filters, as a user runs it.
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
        environment |= {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"} | self._environment
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-c", TWISTD, "-n", "--pidfile=", *self._options),
                    *("smsgw", "-c", str(self.config)),
                ],
                cwd=self.directory,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def start(self, seconds: float = 20.0) -> None:
        """Start and wait until everything listens."""
        self.launch()
        assert self._process is not None
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            with contextlib.suppress(OSError, urllib.error.URLError):
                if self.get("/health")[0] == 200:
                    return
            select.select([], [], [], 0.05)
        self.kill()
        raise AssertionError(f"the gateway did not start:\n{self.log.read_text()[-4000:]}")

    def logged(self, text: str, after: int = 0, seconds: float = 10.0) -> str:
        """Wait until the log has a text after its first `after` characters; return the log from there on.

        :raises AssertionError: it does not come.
        """
        deadline = time.monotonic() + seconds
        while text not in (log := self.log.read_text()[after:] if self.log.exists() else ""):
            if time.monotonic() > deadline:
                raise AssertionError(f"{text!r} is not in the log:\n{log[-4000:]}")
            select.select([], [], [], 0.02)
        return log

    def reload(self, text: str, until: str) -> str:
        """Write the file, send SIGHUP, and wait for a line; return the log from then on."""
        seen = len(self.log.read_text())
        self.config.write_text(text)
        self.signal(signal.SIGHUP)
        return self.logged(until, after=seen)

    def get(self, path: str) -> tuple[int, Any]:
        """Send a GET to the admin listener; return the status and the JSON value (or text)."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}{path}", timeout=5) as answer:
                body = answer.read()
                kind, status = answer.headers.get_content_type(), answer.status
        except urllib.error.HTTPError as error:
            body, kind, status = error.read(), error.headers.get_content_type(), error.code
        return status, json.loads(body) if kind.endswith("json") else body.decode()

    def kill(self) -> None:
        """Send SIGKILL: like a power cut, except that the page cache survives."""
        if self._process is not None:
            self._process.kill()
            self.wait(10)

    def stop(self, seconds: float = 25.0) -> int:
        """Send SIGTERM; return the exit status."""
        self.signal(signal.SIGTERM)
        return self.wait(seconds)

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process is not None
        return self._process.pid

    def signal(self, number: int) -> None:
        """Send a signal without waiting."""
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self, seconds: float = 20.0) -> int:
        """Wait for the end; return the exit status."""
        process, self._process = self._process, None
        assert process is not None
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"the gateway did not end:\n{self.log.read_text()[-4000:]}") from None


TWISTD = "import sys; sys.argv[0] = 'twistd'; from twisted.scripts.twistd import run; run()"
