"""kill -9 at random moments under load: nothing acknowledged is lost, nothing stays open, everybody is told."""

from __future__ import annotations

import random
import sqlite3
import time
from pathlib import Path

import attrs
from twisted.trial.unittest import SynchronousTestCase

from smsgw.model.lifecycle import FINAL
from tests.flows.esme import Esme, receipt
from tests.flows.process import GatewayProcess

KILLS = 10
SEED = 20_261_120
WINDOW = 200


@attrs.define
class Ledger:
    """What the ESME knows: which ids it was promised, and how often it was told of each."""

    promised: set[str] = attrs.field(factory=set)
    told: dict[str, int] = attrs.field(factory=dict)
    refused: int = 0

    def take(self, esme: Esme) -> None:
        """Book everything that came."""
        while esme.answers:
            _, status, body = esme.answers.popleft()
            if status:
                self.refused += 1
            else:
                name = body.rstrip(b"\0").decode()
                assert name not in self.promised, f"id {name} was given twice"
                self.promised.add(name)
        while esme.deliveries:
            name, stat = receipt(esme.deliveries.popleft())
            assert stat == "DELIVRD", f"{name} became {stat}"
            self.told[name] = self.told.get(name, 0) + 1

    @property
    def owed(self) -> set[str]:
        """Ids that were promised and never reported on."""
        return self.promised - self.told.keys()


class KillTests(SynchronousTestCase):
    """The promises that carry the product (design: no positive answer before a synced commit; nothing lost)."""

    def load(self, esme: Esme, ledger: Ledger, seconds: float) -> None:
        """Keep the window full for so long."""
        deadline = time.monotonic() + seconds
        outstanding = 0
        while (left := deadline - time.monotonic()) > 0:
            while outstanding < WINDOW:
                esme.submit("kill me if you can")
                outstanding += 1
            esme.read(min(left, 0.1))
            outstanding -= len(esme.answers)
            ledger.take(esme)

    def test_nothing_acknowledged_is_lost(self) -> None:
        """After ten kills, a restart and a drain every promised message is final in the store and was reported."""
        dice = random.Random(SEED)
        gateway = GatewayProcess(Path(self.mktemp()).absolute(), connector="delay = 0.2\nwindow = 300\nrate = 0")
        self.addCleanup(gateway.kill)
        ledger = Ledger()
        for _ in range(KILLS):
            gateway.start()
            esme = Esme(gateway.smpp)
            self.load(esme, ledger, dice.uniform(0.1, 1.0))
            gateway.kill()
            try:
                while esme.read(1):
                    ledger.take(esme)
            except ConnectionError:
                ledger.take(esme)
            esme.close()
        gateway.start()
        esme = Esme(gateway.smpp)
        deadline = time.monotonic() + 40
        while ledger.owed and time.monotonic() < deadline:
            esme.read(1)
            ledger.take(esme)
        self.assertGreater(len(ledger.promised), KILLS * 20)
        self.assertEqual(ledger.owed, set(), "promised and never reported on")
        while esme.read(2):
            ledger.take(esme)
        esme.close()
        self.assertEqual(gateway.stop(), 0)
        self.check_store(gateway.directory / "state", ledger)

    def check_store(self, state: Path, ledger: Ledger) -> None:
        """What is on the disk agrees with the ESME's ledger."""
        (path,) = [p for p in state.iterdir() if p.suffix in {".db", ".sqlite"}]
        with sqlite3.connect(path) as database:
            states = dict(database.execute("SELECT id, state FROM message"))
            waiting = database.execute(
                "SELECT (SELECT count(*) FROM queue) + (SELECT count(*) FROM remote)"
            ).fetchone()[0]
        open_ones = {id for id, state in states.items() if state not in FINAL}
        self.assertEqual(open_ones, set(), "accepted and never final")
        self.assertEqual(
            {int(name) for name in ledger.promised} - states.keys(), set(), "promised and not in the store"
        )
        self.assertEqual(waiting, 0, "rows that nobody will ever look at")
