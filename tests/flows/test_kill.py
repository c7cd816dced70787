"""kill -9 at random moments under load: each accepted message is kept, becomes final and is reported."""

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
class ReceiptBook:
    """What the ESME has received: the accepted ids, and the number of receipts for each."""

    promised: set[str] = attrs.field(factory=set)
    reported: dict[str, int] = attrs.field(factory=dict)
    refused: int = 0

    def take(self, esme: Esme) -> None:
        """Record all received responses and receipts."""
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
            self.reported[name] = self.reported.get(name, 0) + 1

    @property
    def unreported(self) -> set[str]:
        """Accepted ids without a receipt."""
        return self.promised - self.reported.keys()


class KillTests(SynchronousTestCase):
    """No positive answer before a synced commit; no accepted message is lost."""

    def load(self, esme: Esme, book: ReceiptBook, seconds: float) -> None:
        """Keep the window full for `seconds`."""
        deadline = time.monotonic() + seconds
        outstanding = 0
        while (left := deadline - time.monotonic()) > 0:
            while outstanding < WINDOW:
                esme.submit("kill me if you can")
                outstanding += 1
            esme.read(min(left, 0.1))
            outstanding -= len(esme.answers)
            book.take(esme)

    def test_nothing_acknowledged_is_lost(self) -> None:
        """After ten kills, a restart and a drain every accepted message is final in the store and was reported."""
        dice = random.Random(SEED)
        gateway = GatewayProcess(Path(self.mktemp()).absolute(), connector="delay = 0.2\nwindow = 300\nrate = 0")
        self.addCleanup(gateway.kill)
        book = ReceiptBook()
        for _ in range(KILLS):
            gateway.start()
            esme = Esme(gateway.smpp)
            self.load(esme, book, dice.uniform(0.1, 1.0))
            gateway.kill()
            try:
                while esme.read(1):
                    book.take(esme)
            except ConnectionError:
                book.take(esme)
            esme.close()
        gateway.start()
        esme = Esme(gateway.smpp)
        deadline = time.monotonic() + 40
        while book.unreported and time.monotonic() < deadline:
            esme.read(1)
            book.take(esme)
        self.assertGreater(len(book.promised), KILLS * 20)
        self.assertEqual(book.unreported, set(), "promised and never reported on")
        while esme.read(2):
            book.take(esme)
        esme.close()
        self.assertEqual(gateway.stop(), 0)
        self.check_store(gateway.directory / "state", book)

    def check_store(self, state: Path, book: ReceiptBook) -> None:
        """Check that the store on the disk agrees with the ESME's records."""
        (path,) = [p for p in state.iterdir() if p.suffix in {".db", ".sqlite"}]
        with sqlite3.connect(path) as database:
            states = dict(database.execute("SELECT id, state FROM message"))
            waiting = database.execute(
                "SELECT (SELECT count(*) FROM waiting) + (SELECT count(*) FROM awaited_receipt)"
            ).fetchone()[0]
        open_ones = {id for id, state in states.items() if state not in FINAL}
        self.assertEqual(open_ones, set(), "accepted and never final")
        self.assertEqual({int(name) for name in book.promised} - states.keys(), set(), "promised and not in the store")
        self.assertEqual(waiting, 0, "rows that will never be claimed")
