"""Receipts wait for the account's next session, also over a restart of the gateway."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.flows.esme import Esme
from tests.flows.process import GatewayProcess
from tests.flows.shared import ACCOUNT, shown_as

NUMBER = 20


class KeptReceiptTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.gateway = GatewayProcess(
            Path(self.mktemp()).absolute(), connector="delay = 0.5", sections=ACCOUNT.format(name="other")
        )
        self.addCleanup(self.gateway.kill)
        self.gateway.start()

    def submit_and_leave(self) -> list[str]:
        """Submit messages and close before their receipts; return their ids when all are delivered."""
        esme = Esme(self.gateway.smpp, "other", "other")
        numbers = [esme.submit(f"message {number}") for number in range(NUMBER)]
        ids = [esme.answer(number)[1].rstrip(b"\0").decode() for number in numbers]
        self.assertEqual(len(esme.deliveries), 0)
        esme.close()
        for id in ids:
            self.assertEqual(shown_as(self.gateway, "other", id, "delivered")["status"], "delivered")
        return ids

    def check_receipts(self, ids: list[str]) -> None:
        """Check that the next session gets one receipt for each, another account none, and a later session none."""
        other = Esme(self.gateway.smpp)
        esme = Esme(self.gateway.smpp, "other", "other")
        self.assertEqual(sorted(esme.receipts(NUMBER)), sorted((id, "DELIVRD") for id in ids))
        self.assertFalse(esme.read(0.5))
        esme.close()
        self.assertEqual(other.receipts(1, 0.1), [])
        other.close()
        esme = Esme(self.gateway.smpp, "other", "other")
        self.assertEqual(esme.receipts(1, 1.0), [])
        esme.close()

    def test_next_session(self) -> None:
        """Receipts without a bound session arrive after the next bind, each once."""
        self.check_receipts(self.submit_and_leave())

    def test_after_a_restart(self) -> None:
        """They arrive after a restart, too."""
        ids = self.submit_and_leave()
        self.assertEqual(self.gateway.stop(), 0)
        self.gateway.start()
        self.check_receipts(ids)

    def test_unacknowledged(self) -> None:
        """Receipts that a session did not acknowledge are sent again in the next one."""
        mute = Esme(self.gateway.smpp, "other", "other", acknowledge=False)
        id = mute.accepted("Report this twice")
        self.assertEqual(mute.receipts(1), [(id, "DELIVRD")])
        mute.close()
        esme = Esme(self.gateway.smpp, "other", "other")
        self.assertEqual(esme.receipts(1), [(id, "DELIVRD")])
        self.assertFalse(esme.read(0.5))
        esme.close()
