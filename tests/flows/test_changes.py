"""SIGHUP adds, changes and removes connectors and listeners; what is not changed goes on untouched."""

from __future__ import annotations

import contextlib
import re
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.flows.esme import ENQUIRE_LINK, UNBIND, Esme
from tests.flows.process import ROOT, GatewayProcess, free_ports
from tests.flows.shared import ACCOUNT

TAKEN = "the configuration is taken from"
SPARE = "[connector spare]\ntype = loopback\ndelay = 0.05\n"
SLOW = "[connector slow]\ntype = loopback\ndelay = 0.05\nlatency = {latency}\nwindow = {window}\n"
TO_SLOW = "[route slow]\nto = 7999*\nconnectors = slow\n\n"
LISTENER = "[listen {name}]\nprotocol = smpp\nendpoint = tcp:{port}:interface=127.0.0.1\n{lines}\n"
QUEUED, DELIVERED = 1, 2


class ChangeTestCase(SynchronousTestCase):
    """A running gateway with one bound session, which must not notice anything."""

    LINES = ""
    ROUTES = ""

    def setUp(self) -> None:
        """Start it."""
        self.gateway = GatewayProcess(
            Path(self.mktemp()).absolute(),
            connector="delay = 0.05",
            gateway="drain = 2s",
            sections=self.LINES + ACCOUNT.format(name="two"),
        )
        self.config = self.gateway.config
        self.config.write_text(self.config.read_text().replace("[route default]", self.ROUTES + "[route default]"))
        self.addCleanup(self.gateway.kill)
        self.gateway.start()
        self.esme = self.bound(account="demo")
        self.smtp = socket.create_connection(("127.0.0.1", self.gateway.smtp), 10)
        self.addCleanup(self.smtp.close)
        self.smtp.recv(1000)

    def bound(self, port: int = 0, account: str = "two") -> Esme:
        """Return a bound ESME, by default of another account than the session of the start."""
        esme = Esme(port or self.gateway.smpp, account, account)
        self.addCleanup(esme.close)
        return esme

    def check_untouched(self) -> None:
        """Check that the sessions of the start work, and that messages of the other route are delivered."""
        self.assertEqual(self.esme.request(ENQUIRE_LINK), (0, b""))
        self.esme.accepted("Hello")
        self.assertEqual([stat for _, stat in self.esme.receipts(1)], ["DELIVRD"])
        self.smtp.sendall(b"NOOP\r\n")
        self.assertEqual(self.smtp.recv(1000)[:3], b"250")
        self.assertEqual(self.esme.requests, [])

    def reload(self, *changes: tuple[str, str], until: str = TAKEN, more: str = "") -> str:
        """Replace texts in the configuration, append sections, and have it applied."""
        text = self.config.read_text()
        for before, after in changes:
            self.assertIn(before, text)
            text = text.replace(before, after)
        return self.gateway.reload(text + more, until)

    def until(self, condition: Callable[[], bool], seconds: float = 10.0) -> None:
        """Wait for a condition."""
        deadline = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), deadline)
            select.select([], [], [], 0.02)

    def connectors(self) -> set[str]:
        """Return the connectors that /health shows."""
        return set(self.gateway.get("/health")[1]["connectors"])

    def closed(self, esme: Esme) -> bool:
        """Return whether the gateway has unbound a session in order and closed it."""
        with contextlib.suppress(ConnectionError):
            while esme.read(5):
                pass
            return False
        return esme.requests == [UNBIND]


class ConnectorTests(ChangeTestCase):
    LINES = SLOW.format(latency=0.2, window=2)
    ROUTES = TO_SLOW

    def test_added_and_removed(self) -> None:
        """A new connector is used at once; after its removal its messages take the other route, and its gauges are
        gone."""
        self.reload(("[route default]", "[route spare]\nto = 7998*\nconnectors = spare\n\n[route default]"), more=SPARE)
        self.esme.accepted("Hello", to="79981234567")
        self.assertEqual([stat for _, stat in self.esme.receipts(1)], ["DELIVRD"])
        self.assertEqual(self.connectors(), {"sim", "slow", "spare"})
        self.assertIn('smsgw_outcomes_total{connector="spare",outcome="sent"} 1.0', self.gateway.get("/metrics")[1])
        self.reload((SPARE, ""), ("[route spare]\nto = 7998*\nconnectors = spare\n\n", ""),
                    until="connector spare is removed")
        self.assertEqual(self.connectors(), {"sim", "slow"})
        self.assertNotIn('smsgw_connector_up{connector="spare"}', self.gateway.get("/metrics")[1])
        self.check_untouched()

    def test_removed_under_load(self) -> None:
        """Of a connector with a full window nothing is lost and nothing sent twice: outcomes under way are awaited,
        what waits takes the other route. Receipts that are missed then are logged."""
        for _ in range(20):
            self.esme.accepted("Hello", to="79991234567")
        log = self.reload((TO_SLOW, ""), (SLOW.format(latency=0.2, window=2), ""), until="connector slow is removed")
        (missed,) = re.findall(r"connector slow is removed; receipts of (\d+) parts .* unknown", log)
        self.assertEqual([stat for _, stat in self.esme.receipts(20 - int(missed))], ["DELIVRD"] * (20 - int(missed)))
        self.check_untouched()
        metrics = self.gateway.get("/metrics")[1]
        counts = {
            name: float(line.rpartition(" ")[2])
            for line in metrics.splitlines() for name in ("slow", "sim")
            if line.startswith(f'smsgw_outcomes_total{{connector="{name}",outcome="sent"')
        }
        self.assertEqual(sum(counts.values()), 21)
        self.assertGreaterEqual(counts["slow"], 2)
        self.assertNotIn('smsgw_ambiguous_total{connector="slow"}', metrics)

    def test_no_other_route(self) -> None:
        """Messages whose connector is gone and that have no other route wait; the log, /health, /metrics and `list` say
        so; they are sent when it is there again."""
        everything = "[route default]\nto = *\n"
        self.reload((everything, "[route default]\nto = 7916*\n"))
        ids = [self.esme.accepted("Hello", to="79991234567") for _ in range(6)]
        slow = SLOW.format(latency=0.2, window=2)
        log = self.reload((TO_SLOW, ""), (slow, ""), until="connector slow is not configured any more")
        self.assertRegex(log, r"0 messages that waited for it take another route, \d have none and wait")
        waiting = self.gateway.get("/health")[1]["without_connector"]["slow"]
        self.assertGreaterEqual(waiting, 2)
        self.assertIn(f'smsgw_without_connector{{connector="slow"}} {waiting}.0', self.gateway.get("/metrics")[1])
        listed = subprocess.run(
            [sys.executable, "-m", "smsgw", "list", "-c", str(self.config)],
            cwd=ROOT, capture_output=True, text=True, timeout=30, check=True,
        )  # fmt: skip
        self.assertIn(f"{waiting} messages wait for connector slow, which is not configured any more", listed.stderr)
        self.check_untouched()
        self.reload(("[route default]", TO_SLOW + "[route default]"), more=slow)
        self.until(lambda: all(self.esme.state(id) == DELIVERED for id in ids))
        self.assertEqual(self.gateway.get("/health")[1]["without_connector"], {})

    def test_changed(self) -> None:
        """A changed connector is replaced when its outcomes are there; window and rate change without that."""
        for _ in range(6):
            self.esme.accepted("Hello", to="79991234567")
        log = self.reload(("latency = 0.2", "latency = 0"), until="connector slow is started")
        self.assertNotIn("sim", log.replace(str(self.config), ""))
        self.assertEqual([stat for _, stat in self.esme.receipts(6)], ["DELIVRD"] * 6)
        log = self.reload(("window = 2", "window = 7\nrate = 50"))
        self.assertNotIn("connector slow is", log)
        self.until(lambda: self.gateway.get("/health")[1]["connectors"]["slow"]["room"] == 5)
        self.esme.accepted("Hello", to="79991234567")
        self.assertEqual([stat for _, stat in self.esme.receipts(1)], ["DELIVRD"])
        self.check_untouched()

    def test_cannot_be_made(self) -> None:
        """A mistake in a connector's section refuses the whole file."""
        before = self.config.read_text()
        log = self.reload(("latency = 0.2", "latency = soon"), until="the configuration is refused")
        self.assertIn("[connector slow] latency: ", log)
        self.config.write_text(before)
        self.assertEqual(self.connectors(), {"sim", "slow"})
        self.check_untouched()

    def test_kill_while_it_leaves(self) -> None:
        """A kill while a connector leaves loses nothing."""
        ids = [self.esme.accepted("Hello", to="79991234567") for _ in range(10)]
        self.reload((TO_SLOW, ""), (SLOW.format(latency=0.2, window=2), ""))
        self.gateway.kill()
        self.gateway.start()
        esme = self.bound(account="demo")
        self.until(lambda: all(esme.state(id) == DELIVERED for id in ids))


class ListenerTests(ChangeTestCase):
    def setUp(self) -> None:
        """Have a free port."""
        super().setUp()
        self.port, self.other = free_ports(2)

    def sessions(self, name: str) -> float | None:
        """Return the open connections of a listener, None if it is not in /metrics."""
        for line in self.gateway.get("/metrics")[1].splitlines():
            if line.startswith(f'smsgw_sessions{{listener="{name}"}}'):
                return float(line.rpartition(" ")[2])
        return None

    def test_added_and_removed(self) -> None:
        """A new listener takes connections; a removed one closes its port and unbinds its sessions in order."""
        section = LISTENER.format(name="second", port=self.port, lines="")
        log = self.reload(more=section)
        self.assertIn(f"127.0.0.1:{self.port}  [listen second]", log)
        second = self.bound(self.port)
        self.assertEqual(self.sessions("second"), 1)
        second.accepted("Hello")
        self.assertTrue(second.receipts(1))
        self.reload((section, ""))
        self.assertTrue(self.closed(second))
        self.assertRaises(OSError, socket.create_connection, ("127.0.0.1", self.port), 5)
        self.until(lambda: self.sessions("second") is None)
        self.check_untouched()

    def test_receipts_of_a_removed_listener(self) -> None:
        """Receipts for messages of a removed listener reach the sessions of others."""
        section = LISTENER.format(name="second", port=self.port, lines="")
        self.reload(("delay = 0.05", "delay = 1"), more=section)
        second = self.bound(self.port, "demo")
        id = second.accepted("Hello")
        self.reload((section, ""))
        self.assertEqual(self.esme.receipts(1), [(id, "DELIVRD")])

    def test_changed(self) -> None:
        """A changed key is for new sessions; the port stays open, sessions go on as they began."""
        self.reload(("dialect = standard\n", "dialect = standard\nsystem_id = other\nconnections = 1\n"))
        self.check_untouched()
        self.assertRaises(AssertionError, Esme, self.gateway.smpp, "demo", "demo")
        self.assertEqual(self.sessions("smpp"), 2)
        self.reload(("connections = 1\n", ""))
        self.bound().accepted("Hello")
        self.check_untouched()

    def test_other_endpoint(self) -> None:
        """Another endpoint is opened and the former one closed; its sessions go on. The same port on another interface
        works too."""
        here = f"tcp:{self.gateway.smpp}:interface=127.0.0.1"
        there = f"tcp:{self.port}:interface=127.0.0.1"
        self.reload((here, there))
        self.assertRaises(OSError, socket.create_connection, ("127.0.0.1", self.gateway.smpp), 5)
        self.bound(self.port)
        self.check_untouched()
        self.reload((there, f"tcp:{self.port}:interface=127.0.0.2"))
        with socket.create_connection(("127.0.0.2", self.port), 5):
            pass
        self.check_untouched()

    def test_exchanged_endpoints(self) -> None:
        """Two listeners may exchange their ports."""
        smpp, api = (f"tcp:{port}:interface" for port in (self.gateway.smpp, self.gateway.http))
        self.reload((smpp, "tcp:one:interface"), (api, smpp), ("tcp:one:interface", api))
        self.bound(self.gateway.http).accepted("Hello")
        with socket.create_connection(("127.0.0.1", self.gateway.smpp), 5) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertEqual(client.recv(8), b"HTTP/1.1")
        self.check_untouched()

    def test_taken_port(self) -> None:
        """A port that is taken: that listener stays as it was, with a line; the rest of the file is taken, and the next
        reload tries again."""
        here, there = (f"tcp:{port}:interface=127.0.0.1" for port in (self.gateway.smpp, self.port))
        second = LISTENER.format(name="second", port=self.port, lines="connections = 3")
        with socket.create_server(("127.0.0.1", self.port)):
            log = self.reload((here, there), until="is taken from", more=SPARE)
            self.assertRegex(log, r"error .*\[listen smpp\] cannot listen on tcp:.*: Address already in use.*stays")
            self.assertIn("except [listen smpp]", log)
            self.assertEqual(self.connectors(), {"sim", "spare"})
            self.bound()
            self.assertEqual(self.gateway.get("/health")[1]["reload"], "partly")
            self.assertIn('smsgw_config_reloads_total{result="partly"} 1.0\n', self.gateway.get("/metrics")[1])
            log = self.reload((there, here), until="is taken from", more=second)
            self.assertRegex(log, r"error .*\[listen second\] cannot listen on .*is not opened")
        self.reload()
        self.bound(self.port)
        self.assertEqual(self.gateway.get("/health")[1]["reload"], "taken")
        self.check_untouched()

    def test_admin(self) -> None:
        """The administrator's listener can move; requests of the other one do not notice."""
        more = f"[listen second]\nprotocol = admin\nendpoint = tcp:{self.port}:interface=127.0.0.1\n"
        self.reload(more=more)
        first, self.gateway.admin = self.gateway.admin, self.port
        self.assertEqual(self.gateway.get("/health")[0], 200)
        self.reload((more, ""))
        self.gateway.admin = first
        self.assertEqual(self.gateway.get("/health")[0], 200)
        self.check_untouched()

    def test_stop_after_changes(self) -> None:
        """A stop closes new listeners, and sessions of former ones, in order."""
        self.reload(("dialect = standard\n", "dialect = standard\nconnections = 5\n"),
                    more=LISTENER.format(name="second", port=self.port, lines=""))
        second = self.bound(self.port)
        self.assertEqual(self.gateway.stop(), 0)
        for esme in (second, self.esme):
            self.assertTrue(self.closed(esme))
