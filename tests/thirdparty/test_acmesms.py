"""The package of docs/connectors.rst: found, configured, and used to send messages."""

from __future__ import annotations

import os
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, cast

from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.plugin import pluginPackagePaths
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from smsgw import plugins
from smsgw.config import ConfigErrors, InvalidValue, Settings, parse
from smsgw.interfaces import IConnector
from smsgw.model.lifecycle import State
from smsgw.services.commits import Commits
from smsgw.services.dispatch import Dispatch
from tests.flows.process import TWISTD, free_ports
from tests.pages import copy_out, environment, files_of
from tests.services.dispatch.support import DispatchTestCase, RecordingIncoming, RecordingOutbox, message

PROJECT = Path(__file__).resolve().parent / "acmesms"
ROOT = PROJECT.parents[2]
PAGE = "connectors.rst"
ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONWARNINGS")}

SECTION = """
[listen api]
protocol = http
endpoint = tcp:0:interface=127.0.0.1
dialect = rostelecom

[connector acme]
type = acme
endpoint = tcp:acme.example:7000
key = 0123456789
window = 2
"""


def installed(case: SynchronousTestCase) -> Path:
    """Return a copy of the package in a writable directory."""
    place = Path(case.mktemp()).resolve()
    shutil.copytree(PROJECT, place, ignore=shutil.ignore_patterns("__pycache__", "dropin.cache"))
    return place


def on_path(case: SynchronousTestCase) -> None:
    """Put the package on the path of this process."""
    case.patch(sys, "path", [str(installed(case)), *sys.path])
    case.patch(plugins, "__path__", [*plugins.__path__, *pluginPackagePaths("smsgw.plugins")])

    def forget() -> None:
        for name in [name for name in sys.modules if name.startswith(("acmesms", "smsgw.plugins.acmesms"))]:
            del sys.modules[name]

    forget()
    case.addCleanup(forget)


class FoundTests(SynchronousTestCase):
    """Finding plugins."""

    def listed(self, *path: Path) -> list[str]:
        """Return the types of connectors that a new process finds with this Python path."""
        script = (
            "import sys; from smsgw.plugins import connectors; print(*sorted(connectors()));"
            "assert 'acmesms' not in sys.modules and 'smsgw.connectors.loopback' not in sys.modules"
        )
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (*path, ROOT)))}
        return subprocess.check_output([sys.executable, "-c", script], env=environment, text=True).split()

    def test_found(self) -> None:
        """A new process finds the package's connector if its directory is on the path, without importing it."""
        self.assertEqual(set(self.listed(installed(self))) - set(self.listed()), {"acme"})

    def test_own_always_there(self) -> None:
        """The gateway's own connectors are found without a further path."""
        self.assertIn("loopback", plugins.connectors())

    def test_two_of_a_kind(self) -> None:
        """Two packages with the same type of connector cannot be used, and the error names both."""
        on_path(self)
        directory = Path(self.mktemp()) / "smsgw" / "plugins"
        directory.mkdir(parents=True)
        (directory / "acmesms_rival.py").write_text(
            "from smsgw.plugins import LazyConnector\n"
            "rival = LazyConnector('acme', 'rival.Connector', 'rival.Settings')\n"
        )
        self.patch(plugins, "__path__", [*plugins.__path__, str(directory)])
        for found in (plugins.connectors(), plugins.connector_types()):
            self.assertIn("loopback", {kind: found[kind] for kind in set(found) - {"acme"}})
            error = self.assertRaises(InvalidValue, found.__getitem__, "acme")
            self.assertIn("smsgw.plugins.acmesms_plugin and smsgw.plugins.acmesms_rival", str(error))


class ConfiguredTests(SynchronousTestCase):
    """Reading the package's section."""

    def setUp(self) -> None:
        """Install it."""
        on_path(self)

    def test_own_settings(self) -> None:
        """The section is read with the package's settings class: its own keys and the common ones."""
        settings: Any = parse(SECTION, "gw.ini", plugins.connector_types(), plugins.dialects()).connectors["acme"]
        self.assertEqual(
            (settings.endpoint, settings.patience, settings.window, settings.on_unknown),
            ("tcp:acme.example:7000", 60.0, 2, "resend"),
        )
        self.assertNotIn("0123456789", repr(settings))

    def test_mistakes(self) -> None:
        """A mistake in the section is reported with its line."""
        error = self.assertRaises(ConfigErrors, parse, SECTION.replace("key = 0123456789", "patience = soon"),
                                  "gw.ini", plugins.connector_types(), plugins.dialects())
        self.assertIn("gw.ini:10: [connector acme] patience", str(error))
        self.assertIn("[connector acme] key", str(error))


class Acme:
    """ACME's message centre, controlled by the test."""

    def __init__(self, reactor: MemoryReactorClock) -> None:
        self._reactor = reactor

    def connects(self) -> None:
        """Complete the last connection attempt."""
        host, port, factory, *_ = self._reactor.tcpClients[-1]
        assert (host, port) == ("acme.example", 7000)
        self.link: Any = cast(Any, factory).buildProtocol(None)
        self.transport = StringTransport()
        self.link.makeConnection(self.transport)

    def lines(self) -> list[str]:
        """Return the lines sent to ACME since the last call."""
        lines: list[str] = self.transport.value().decode().splitlines()
        self.transport.clear()
        return lines

    def says(self, *lines: str) -> None:
        """Send lines in one packet."""
        self.link.dataReceived("".join(line + "\n" for line in lines).encode())

    def hangs_up(self) -> None:
        """End the connection."""
        self.link.connectionLost(Failure(ConnectionDone()))


class CarriedTests(DispatchTestCase):
    """The way of a message over ACME, from the store to the receipt."""

    def setUp(self) -> None:
        """A gateway with ACME's connector only, configured by text."""
        super().setUp()
        on_path(self)
        self.reactor = MemoryReactorClock()
        self.clock = self.reactor
        settings: Settings = parse(SECTION, "gw.ini", plugins.connector_types(), plugins.dialects())
        own = settings.connectors["acme"]
        self.connector = plugins.connectors()[own.type](own, self.reactor)
        self.outbox = RecordingOutbox()
        self.dispatch = Dispatch(
            settings, self.store, Commits(self.store, self.outbox), self.reactor, self.time, {own.name: self.connector},
            self.reroute, incoming=RecordingIncoming(), down=self.down,
        )
        self.successResultOf(self.dispatch.start())
        self.acme = Acme(self.reactor)

    def welcome(self) -> None:
        """Accept the connection as ACME."""
        self.acme.connects()
        self.assertEqual(self.acme.lines(), ["HELLO 0123456789"])
        self.acme.says("WELCOME")

    def test_interface(self) -> None:
        """The object provides IConnector."""
        self.assertTrue(verifyObject(IConnector, self.connector))

    def test_carries(self) -> None:
        """A message is sent, accepted and delivered; the receipt is acknowledged after it is stored."""
        self.welcome()
        self.accept(message(1, connector="acme", recipient="79161234567", text=b"Hi"))
        self.assertEqual(self.acme.lines(), ["SEND 1.1 79161234567 0 4869"])
        self.acme.says("TAKEN 1.1 A77")
        self.assertEqual(self.state(1), State.ENROUTE)
        self.runner.by_hand = True
        self.acme.says("DONE A77")
        self.assertEqual(self.acme.lines(), [])
        self.runner.work()
        self.assertEqual(self.acme.lines(), ["THANKS A77"])
        self.assertEqual(self.state(1), State.DELIVERED)
        self.assertEqual(self.outbox.reported, [(1, State.ENROUTE), (1, State.DELIVERED)])

    def test_waits_for_the_link(self) -> None:
        """Messages wait in the store without a link, and are sent a window at a time."""
        self.accept(*[message(id, connector="acme") for id in (1, 2, 3)])
        self.welcome()
        self.assertEqual([line.split()[1] for line in self.acme.lines()], ["1.1", "2.1"])
        self.acme.says("TAKEN 1.1 A1", "NEVER 2.1 17")
        self.assertEqual([line.split()[1] for line in self.acme.lines()], ["3.1"])
        self.assertEqual((self.state(2), self.found(2).error), (State.REJECTED, 17))

    def test_link_lost(self) -> None:
        """Parts without an answer when the link ends are sent again over the next one."""
        self.welcome()
        self.accept(message(1, connector="acme"))
        self.acme.lines()
        self.acme.hangs_up()
        self.assertEqual(self.down, {"acme"})
        self.assertEqual(self.state(1), State.QUEUED)
        self.reactor.advance(5)
        self.welcome()
        self.assertEqual(self.down, set())
        self.promote()
        self.assertEqual([line.split()[1] for line in self.acme.lines()], ["1.1"])

    def test_silence(self) -> None:
        """A link is aborted if a message gets no answer in time."""
        self.welcome()
        self.accept(message(1, connector="acme"))
        self.reactor.pump([1.0] * 61)
        self.assertTrue(self.acme.transport.disconnected)

    def test_not_welcome(self) -> None:
        """A server that does not accept the key is disconnected, and the link never counts as up."""
        self.acme.connects()
        self.acme.says("HTTP/1.1 400 Bad Request")
        self.assertTrue(self.acme.transport.disconnected)
        self.assertFalse(self.connector.up)

    def test_odd_lines(self) -> None:
        """Unexpected lines of ACME are logged without their content and have no effect."""
        self.welcome()
        self.acme.says("TAKEN 9.9 A1", "", "NEVER 1.1 soon", "TAKEN")
        self.assertTrue(self.connector.up)

    def test_stops(self) -> None:
        """The stop waits for outstanding answers."""
        self.welcome()
        self.accept(message(1, connector="acme"))
        stopping = self.dispatch.drain()
        self.assertNoResult(stopping)
        self.acme.says("TAKEN 1.1 A1")
        self.acme.hangs_up()
        self.successResultOf(stopping)
        self.assertEqual(self.state(1), State.ENROUTE)


class TutorialTests(SynchronousTestCase):
    """The code in docs/connectors.rst is that of the package, and works as it is printed."""

    def test_current(self) -> None:
        """The page has each file of the package, completely."""
        shown = {name: squeezed(text) for name, text in files_of(PAGE).items()}
        for apart in ("gw.ini", "centre.py"):
            del shown[apart]
        files = {
            file.relative_to(PROJECT).as_posix(): squeezed(file.read_text("utf-8"))
            for file in PROJECT.rglob("*")
            if file.suffix in (".py", ".cfg", ".toml")
        }
        self.assertEqual(shown, files)

    def test_u4_as_printed(self) -> None:
        """What is copied out of the page is installed in an environment of its own; the gateway there uses it, and
        a message is delivered."""
        place = Path(self.mktemp()).absolute()
        copy_out(PAGE, place)
        ports = dict(zip(("7000", "2775", "8081"), map(str, free_ports(3)), strict=True))
        for file in (place / "gw.ini", place / "centre.py"):
            file.write_text(re.sub(r"\b(7000|2775|8081)\b", lambda found: ports[found[0]], file.read_text()))
        (place / "gw.ini").chmod(0o600)
        python = environment(place / "venv")

        def run(*arguments: str) -> str:
            done = subprocess.run(
                [python, *arguments],
                cwd=place, env=ENVIRONMENT, capture_output=True, text=True, timeout=120, check=False,
            )  # fmt: skip
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            return done.stdout

        run("-m", "pip", "install", "--no-index", "--no-deps", "--no-build-isolation", "-q", ".")
        good = "gw.ini is good: 2 listeners, 1 account, 1 connector, 1 route"
        self.assertIn(good, run("-m", "smsgw", "check", "gw.ini"))
        with (place / "log").open("wb") as log:
            for command in (("centre.py",), ("-c", TWISTD, "-n", "--pidfile=", "smsgw", "-c", "gw.ini")):
                process = subprocess.Popen([python, *command], cwd=place, env=ENVIRONMENT, stdout=log, stderr=log)
                self.addCleanup(process.wait)
                self.addCleanup(process.terminate)
        deadline = time.monotonic() + 30
        while "[listen smpp]" not in (said := (place / "log").read_text()):
            self.assertLess(time.monotonic(), deadline, said)
            select.select([], [], [], 0.05)
        sent = run("-m", "smsgw", "send", "-c", "gw.ini", "79161234567", "Hello over ACME")
        self.assertRegex(sent, r"\Aaccepted as message 1\ndelivered ")


def squeezed(text: str) -> str:
    """Return a text without its empty lines, which differ between classes on the page and in a file."""
    return re.sub(r"\n\n+", "\n", text).strip()
