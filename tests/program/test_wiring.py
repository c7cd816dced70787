"""From a configuration to the parts: each key reaches the object that it configures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SynchronousTestCase

from smsgw.config import ClientListenSettings, ConfigErrors, parse
from smsgw.connectors.http.connector import HttpConnector
from smsgw.connectors.http.settings import HttpConnectorSettings
from smsgw.connectors.loopback import Loopback, LoopbackSettings
from smsgw.plugins import dialects
from smsgw.program import connectors
from smsgw.program.certificates import self_signed
from smsgw.program.lifecycle import Gateway
from smsgw.program.listeners import make_listener
from smsgw.program.parts import Parts
from smsgw.program.ports import Listener
from smsgw.program.tls import ListenerTls, load
from smsgw.program.wiring import build, make_parts
from smsgw.stores import MessageStore
from smsgw.stores.sqlite import SqliteEngine
from tests.protocols.http.support import Client, request

CONFIG = """
[gateway]
state = {state}
{gateway}

[listen one]
protocol = {protocol}
endpoint = tcp:{port}:interface=127.0.0.1
{listener}

[account demo]
password = demo

[connector sim]
type = loopback

[route all]
to = *
connectors = sim
"""
DIALECTS = {"smpp": "standard", "smtp": "quicktel", "http": "rostelecom"}
FURTHER = {"smtp": "domains = sms.example"}


class Administration:
    """The administrator's front end, whose listeners are not used."""

    def site(self) -> object:
        return object()


class FaultyConnector:
    """A connector of a third party, whose code raises."""

    def __init__(self, settings: Any, clock: Any) -> None:
        """Take what every connector takes."""

    @property
    def up(self) -> bool:
        raise KeyError("link")

    def room(self) -> int:
        raise ZeroDivisionError


class WiringTests(SynchronousTestCase):
    """The parts are made without listening and without opening a store."""

    def setUp(self) -> None:
        """Make a reactor and a state directory."""
        self.reactor: Any = MemoryReactorClock()
        self.admin: Any = Administration()
        self.state = Path(self.mktemp())
        self.state.mkdir()

    def settings(
        self, protocol: str = "smpp", *lines: str, dialect: str = "", gateway: str = "", port: int = 2775
    ) -> Any:
        """Make a configuration with further lines in the section of its listener."""
        spoken = dialect or DIALECTS.get(protocol)
        named = [f"dialect = {spoken}"] if spoken else []
        text = CONFIG.format(
            state=self.state,
            gateway=gateway,
            protocol=protocol,
            port=port,
            listener="\n".join([*named, FURTHER.get(protocol, ""), *lines]),
        )
        return parse(text, "gw.ini", {"loopback": LoopbackSettings}, dialects())

    def parts(self, *arguments: Any, **keys: Any) -> Parts:
        """Return the parts of the gateway."""
        return make_parts(self.settings(*arguments, **keys), self.reactor)

    def listener(self, *arguments: Any, **keys: Any) -> Listener:
        """Return the listener."""
        parts = self.parts(*arguments, **keys)
        own = parts.settings.listeners["one"]
        if not isinstance(own, ClientListenSettings):
            parts.admin = self.admin
        pair = load(own, parts.settings.gateway.state) if isinstance(own, ClientListenSettings) else None
        return make_listener(parts, own, None if pair is None else ListenerTls(pair))

    def limits(self, *arguments: Any) -> Any:
        """Return the limits of its protocol."""
        protocol = self.listener(*arguments).protocol
        return getattr(protocol, "settings", None) or protocol.limits

    def test_protocol(self) -> None:
        """protocol = chooses the protocol, endpoint = the address."""
        said = [self.listener(protocol, port=port).says for protocol, port in (("smpp", 1), ("smtp", 2), ("http", 3))]
        self.assertEqual(said, ["SMPP", "SMTP", "HTTP"])
        self.assertIn("tcp:4:", self.listener("admin", port=4).where)

    def test_u5_message_log(self) -> None:
        """message_log = makes the store list what ended, for the lines; message_log_private = adds the texts."""
        without = self.parts()
        self.assertIsNone(without.message_log)
        assert isinstance(without.store, MessageStore)
        self.assertFalse(without.store._begin().listing)
        for private in ("no", "yes"):
            parts = self.parts(gateway=f"message_log = {self.state}/ends\nmessage_log_private = {private}")
            assert parts.message_log is not None
            assert isinstance(parts.store, MessageStore)
            self.assertTrue(parts.store._begin().listing)
            self.assertEqual(parts.message_log.path, self.state.absolute() / "ends")
            self.assertIs(parts.message_log._private, private == "yes")

    def test_smpp(self) -> None:
        """The keys of an SMPP listener are the settings of its sessions."""
        for key, written, value in (
            ("system_id", "other", "other"),
            ("session_init", "3s", 3.0),
            ("enquire_link", "7s", 7.0),
            ("inactivity", "5m", 300.0),
            ("response", "9s", 9.0),
            ("window", "17", 17),
            ("pdu_limit", "64K", 65_536),
            ("pdu_rate", "50", 50.0),
        ):
            self.assertNotEqual(getattr(self.limits("smpp"), key), value)
            self.assertEqual(getattr(self.limits("smpp", f"{key} = {written}"), key), value)

    def test_smtp(self) -> None:
        """The keys of an SMTP listener are the settings of its sessions."""
        for key, written, value in (
            ("tls", "demanded", "demanded"),
            ("auth_without_tls", "no\ntls = demanded", False),
            ("auth_tries", "7", 7),
            ("recipients", "17", 17),
            ("messages", "19", 19),
            ("mail_limit", "64K", 65_536),
            ("inactivity", "11s", 11.0),
            ("data_time", "13s", 13.0),
        ):
            self.assertNotEqual(getattr(self.limits("smtp"), key), value)
            self.assertEqual(getattr(self.limits("smtp", f"{key} = {written}"), key), value)

    def test_http(self) -> None:
        """The keys of an HTTP listener are the limits of its connections."""
        for key, written, value in (
            ("body_limit", "8K", 8192),
            ("header_time", "3s", 3.0),
            ("body_time", "5s", 5.0),
            ("inactivity", "7s", 7.0),
            ("requests", "9", 9),
        ):
            self.assertNotEqual(getattr(self.limits("http"), key), value)
            self.assertEqual(getattr(self.limits("http", f"{key} = {written}"), key), value)

    def test_dialect(self) -> None:
        """The API of Rostelecom is there with its dialect only, in whose form every other path of that listener but
        /v1 is refused too, with its x-request-id (004-193). A protocol speaks no dialect without a manner for it."""
        for dialect, status in (("rostelecom", 401), ("standard", 404)):
            client = Client(self.listener("http", dialect=dialect).protocol)
            self.assertEqual(client.ask(request(b"POST", b"/api/v2/send_message", b"{}")).status, status)
            for path, own in ((b"/api/v2/send_message", True), (b"/upstream/x", True), (b"/v1/messages", False)):
                client = Client(self.listener("http", dialect=dialect).protocol)
                answer = client.ask(request(b"POST", path, b"x" * 70_000))
                self.assertEqual(answer.status, 413)
                form = "application/json; charset=utf-8" if own and status == 401 else "application/problem+json"
                self.assertEqual(answer.headers["content-type"], form, path)
                self.assertEqual("x-request-id" in answer.headers, own and status == 401, path)
            answer = Client(self.listener("http", dialect=dialect).protocol).ask(request(b"GET", b"/elsewhere", None))
            form = "application/json; charset=utf-8" if status == 401 else "application/problem+json"
            self.assertEqual((answer.status, answer.headers["content-type"]), (404, form))
        for protocol in ("smpp", "smtp"):
            with self.assertRaises(ConfigErrors):
                self.listener(protocol, dialect="rostelecom")

    def test_tls(self) -> None:
        """With tls = implicit SMPP and HTTP are wrapped in TLS; SMTP starts it itself."""
        for protocol in ("smpp", "http"):
            self.assertNotIsInstance(self.listener(protocol).factory, TLSMemoryBIOFactory)
            self.assertIsInstance(self.listener(protocol, "tls = implicit").factory, TLSMemoryBIOFactory)
        self.assertEqual(self.limits("smtp", "tls = implicit").tls, "implicit")

    def test_certificate_and_key(self) -> None:
        """Without certificate = and key = a pair is made in the state directory; with them it is not."""
        elsewhere = Path(self.mktemp())
        elsewhere.mkdir()
        certificate, key, _ = self_signed(elsewhere)
        self.listener("smpp", "tls = implicit", f"certificate = {certificate}", f"key = {key}")
        self.assertEqual(list(self.state.iterdir()), [])
        self.listener("smpp", "tls = implicit")
        self.assertNotEqual(list(self.state.iterdir()), [])
        with self.assertRaises(ConfigErrors):
            self.listener("smpp", "tls = implicit", f"certificate = {certificate}", f"key = {certificate}")

    def test_type(self) -> None:
        """type = chooses the connector."""
        self.assertIsInstance(self.parts().connectors["sim"], Loopback)
        types = {"http": HttpConnectorSettings}
        text = CONFIG.format(state=self.state, gateway="", protocol="smpp", port=1, listener="dialect = standard")
        other = text.replace("type = loopback", "type = http\nurl = http://h.example/?to={to}")
        parts = make_parts(parse(other, "gw.ini", types, dialects()), self.reactor)
        self.assertIsInstance(parts.connectors["sim"], HttpConnector)

    def test_connector_that_raises(self) -> None:
        """A connector whose class raises an exception is a mistake of its section, in one line."""
        self.patch(Loopback, "__init__", lambda *_: 1 / 0)
        error = self.assertRaises(ConfigErrors, self.parts)
        line = r"\Agw.ini:\d+: \[connector sim\]: no connector can be made of it: ZeroDivisionError: .*\Z"
        self.assertRegex(str(error), line)

    def test_store(self) -> None:
        """store = chooses the engine."""
        store = self.parts(gateway="store = sqlite:").store
        assert isinstance(store, MessageStore)
        self.assertIsInstance(store.engine, SqliteEngine)

    def test_configured(self) -> None:
        """Every part that keeps something of the configuration gets a new one; the accounts come first."""
        parts = self.parts()
        keeping = [one for one in attrs.asdict(parts, recurse=False).values() if hasattr(one, "apply")]
        self.assertCountEqual(map(id, keeping), map(id, [*parts.configured, parts.dispatch]))
        self.assertIs(parts.configured[0], parts.accounts)

    def test_drain(self) -> None:
        """drain = bounds how long a stop takes."""
        for lines, seconds in (("", 15.0), ("drain = 7s", 7.0)):
            gateway: Gateway = build(self.settings(gateway=lines), self.reactor, Path("gw.ini"), lambda status: None)
            self.assertEqual(gateway._drain, seconds)

    def test_faulty_connector(self) -> None:
        """A connector whose code raises makes neither /health nor /metrics fail: both show that it does."""
        self.patch(connectors, "connectors", lambda: {"loopback": FaultyConnector})
        gateway = build(self.settings("admin"), self.reactor, Path("gw.ini"), lambda status: None)
        (listen,) = [
            step.start for step in gateway.steps if step.name == "admin listeners" and step.start is not None
        ]
        coroutine: Any = listen()
        self.successResultOf(Deferred.fromCoroutine(coroutine))
        site = self.reactor.tcpServers[0][1]
        for _ in range(3):
            health = Client(site).ask(request(b"GET", b"/health", None)).json
            failing = {"up": "KeyError", "room": "ZeroDivisionError"}
            shown = {"up": False, "room": 0, "paused": False, "failing": failing}
            self.assertEqual(health["connectors"], {"sim": shown})
            page = Client(site).ask(request(b"GET", b"/metrics", None)).body.decode()
            self.assertIn('smsgw_connector_up{connector="sim"} 0.0', page)
        self.assertRegex(page, r'smsgw_connector_exceptions_total\{connector="sim",method="room"\} [5-9]')
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError, KeyError)), 2)
