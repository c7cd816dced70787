"""SIGHUP: the new configuration is applied, all of it or nothing, and open sessions go on."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.flows.esme import ENQUIRE_LINK, Esme
from tests.flows.process import GatewayProcess
from tests.flows.shared import ACCOUNT

DEAD_END = "\n[connector deadend]\ntype = loopback\ndelay = 0.05\nundeliverable = *\n"
NEW_ROUTE = "[route late]\nto = 7999*\nconnectors = deadend\n\n"


class ReloadTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.gateway = GatewayProcess(
            Path(self.mktemp()).absolute(), connector="delay = 0.05", sections=DEAD_END + ACCOUNT.format(name="old")
        )
        self.addCleanup(self.gateway.kill)
        self.gateway.start()
        self.esme = Esme(self.gateway.smpp)
        self.addCleanup(self.esme.close)

    def final_state(self, number: str) -> str:
        """Submit a message to a number; return the state in its receipt."""
        id = self.esme.accepted("What becomes of me?", to=number)
        ((reported, stat),) = self.esme.receipts(1)
        self.assertEqual(reported, id)
        return stat

    def check_served(self) -> None:
        """Check that the session bound at the start still works."""
        self.assertEqual(self.esme.request(ENQUIRE_LINK), (0, b""))
        self.assertEqual(self.final_state("79161234567"), "DELIVRD")

    def test_accounts_and_routes(self) -> None:
        """A new account can bind and a new route is used without a restart; open sessions go on."""
        self.assertRaises(AssertionError, Esme, self.gateway.smpp, "new", "new")
        self.assertEqual(self.final_state("79991234567"), "DELIVRD")
        text = self.gateway.config.read_text()
        text = text.replace("[route default]", NEW_ROUTE + "[route default]") + ACCOUNT.format(name="new")
        self.gateway.reload(text, "the configuration is taken from")
        new = Esme(self.gateway.smpp, "new", "new")
        self.addCleanup(new.close)
        new.accepted("I am new")
        self.assertEqual([stat for _, stat in new.receipts(1)], ["DELIVRD"])
        self.assertEqual(self.final_state("79991234567"), "UNDELIV")
        self.check_served()

    def test_account_that_is_gone(self) -> None:
        """An account removed from the file is unbound and cannot bind again; the others are served."""
        old = Esme(self.gateway.smpp, "old", "old")
        self.addCleanup(old.close)
        text = self.gateway.config.read_text().replace(ACCOUNT.format(name="old"), "")
        self.gateway.reload(text, "the configuration is taken from")
        self.assertRaises(ConnectionError, self.read_on, old)
        self.assertRaises(AssertionError, Esme, self.gateway.smpp, "old", "old")
        self.check_served()

    def read_on(self, esme: Esme) -> None:
        """Read until the gateway closes or stops sending."""
        while esme.read(10):
            pass

    def test_broken_file(self) -> None:
        """A file with a mistake is refused with its line; no part of it is applied, and all sessions go on."""
        good = self.gateway.config.read_text()
        broken = good + ACCOUNT.format(name="new") + "[route]\nspeed = high\n"
        log = self.gateway.reload(broken, "the configuration is refused; the previous one stays in force")
        self.assertIn(f"{self.gateway.config}:{len(broken.splitlines()) - 1}: ", log)
        self.assertRaises(AssertionError, Esme, self.gateway.smpp, "new", "new")
        self.check_served()
        self.gateway.reload(good, "the configuration is taken from")
        self.check_served()

    def test_what_needs_a_restart(self) -> None:
        """A change that needs a restart is refused, naming the changed section; no part of the file is applied, and
        /health and /metrics say so."""
        good = self.gateway.config.read_text()
        text = good.replace("[gateway]", "[gateway]\nkeep = 1d") + ACCOUNT.format(name="new")
        log = self.gateway.reload(text, "the configuration is refused; the previous one stays in force")
        self.assertRegex(log, rf"{self.gateway.config}:\d+: \[gateway\]: has changed, which needs a restart")
        health = self.gateway.get("/health")[1]
        self.assertEqual(health["reload"], "refused")
        metrics = self.gateway.get("/metrics")[1]
        self.assertIn('smsgw_config_reloads_total{result="refused"} 1.0\n', metrics)
        self.assertIn("smsgw_config_last_reload_success 0.0\n", metrics)
        self.assertRaises(AssertionError, Esme, self.gateway.smpp, "new", "new")
        self.check_served()
