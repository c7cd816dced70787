"""Applying a new configuration in the running gateway: all of it, or nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from smsgw.program import configfile
from smsgw.program.listeners import make_listener
from smsgw.program.parts import Parts
from smsgw.program.reload import reload
from smsgw.program.wiring import make_parts

CONFIG = """
[gateway]
state = {state}

[listen smpp]
protocol = smpp
endpoint = tcp:2775:interface=127.0.0.1
dialect = standard

[listen mail]
protocol = smtp
endpoint = tcp:2525:interface=127.0.0.1
dialect = quicktel
domains = sms.example
tls = none

[listen api]
protocol = http
endpoint = tcp:8080:interface=127.0.0.1
dialect = rostelecom

[account demo]
password = demo
allow_from = 127.0.0.1
senders = DEMO

[connector sim]
type = loopback

[connector spare]
type = loopback

[route all]
to = *
connectors = sim
"""
TWO_KEYS = "".join(f"\n[account {name}]\nallow_from = any\napi_key_hash = {'0a' * 32}\n" for name in ("a", "b"))


class ReloadTests(SynchronousTestCase):
    def setUp(self) -> None:
        """Make a gateway without starting it."""
        self.text = CONFIG.format(state=self.mktemp())
        self.source = Path(self.mktemp())
        self.write(self.text)
        reactor: Any = MemoryReactorClock()
        self.parts = make_parts(configfile.read(self.source), reactor)
        for own in self.parts.settings.listeners.values():
            self.parts.ports.add(make_listener(self.parts, own, None))

    def write(self, text: str) -> None:
        """Write the file."""
        self.source.write_text(text, encoding="utf-8")
        self.source.chmod(0o600)

    def reload(self) -> None:
        """Read the file again."""
        self.successResultOf(Deferred.fromCoroutine(reload(self.parts, self.source)))

    def route(self) -> object:
        """Return the connector of a message."""
        return self.parts.router.route("demo", "DEMO", "79161234567", str)

    def reloads(self) -> dict[object, float]:
        """Return the counts of applied and refused configurations."""
        return dict(self.parts.metrics.program.reloads)

    def test_every_part(self) -> None:
        """Every part that uses the configuration gets the new one, including those of the listeners."""
        known = [getattr(self.parts, field.name) for field in attrs.fields(Parts)]
        kept = [part for part in known if hasattr(part, "apply")]
        told = [*self.parts.configured, self.parts.dispatch]
        self.assertCountEqual(map(id, kept), map(id, told))
        self.assertIs(self.parts.configured[0], self.parts.accounts)
        applied: list[Any] = []
        for listener in self.parts.ports:
            self.patch(listener.front, "apply", applied.append)
        self.reload()
        self.assertEqual(applied, [self.parts.settings] * 3)

    def test_taken(self) -> None:
        """A changed configuration is applied and counted."""
        self.assertEqual(self.route(), "sim")
        new = self.text.replace("connectors = sim", "connectors = spare")
        self.write(new.replace("senders = DEMO", "senders = NEW"))
        self.reload()
        self.assertEqual(self.route(), "spare")
        demo = self.parts.accounts.get("demo")
        assert demo is not None
        self.assertEqual(demo.settings.senders, ("NEW",))
        self.assertEqual(self.parts.settings.accounts["demo"].senders, ("NEW",))
        self.assertEqual(self.reloads(), {"taken": 1})

    def test_refused(self) -> None:
        """A mistake in the file, a section that needs a restart, or unusable accounts: no change is applied, and the
        refusal is counted."""
        other = self.text.replace("connectors = sim", "connectors = spare")
        before = self.parts.settings
        for number, wrong in enumerate(
            (other + "[nonsense]\n", other.replace("[gateway]", "[gateway]\nkeep = 1d"), other + TWO_KEYS), 1
        ):
            self.write(wrong)
            self.reload()
            self.assertEqual((self.route(), self.reloads()), ("sim", {"refused": number}))
            self.assertIs(self.parts.settings, before)
