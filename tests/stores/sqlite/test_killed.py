"""What survives a process that is killed in the middle of its commits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from smsgw.stores import MessageStore
from smsgw.stores.sqlite import Inline, SqliteEngine
from smsgw.stores.sqlite.ids import LARGEST

VICTIM = """
import sys, time
from twisted.internet import reactor
from smsgw.model.changes import Changes
from smsgw.stores import MessageStore
from smsgw.stores.sqlite import SqliteEngine, StoreThread
from tests.stores.support import new, sent, receipt

store = MessageStore(SqliteEngine(sys.argv[1], StoreThread(reactor)), "gw1", time.time)

def say(committed, kind, ids):
    sys.stdout.write(f"{kind} {' '.join(map(str, ids))}\\n")
    sys.stdout.flush()

def accept():
    messages = [new(store, at=time.time()) for _ in range(7)]
    store.commit(Changes(accepts=messages)).addCallback(accepted, messages)

def accepted(committed, messages):
    say(committed, "accepted", [m.id for m in messages])
    outcomes = [sent(m, str(m.id)) for m in messages]
    store.commit(Changes(outcomes=outcomes)).addCallback(enroute, messages)
    accept()

def enroute(committed, messages):
    say(committed, "enroute", [m.id for m in messages])
    reports = [receipt(str(m.id)) for m in messages]
    store.commit(Changes(receipts=reports)).addCallback(say, "delivered", [m.id for m in messages])

def begin(_):
    print("ready", flush=True)
    for _ in range(5):
        accept()

store.open().addCallback(begin)
reactor.run()
"""

LEAST = {"accepted": 1, "enroute": 2, "delivered": 3}
"""The state a message must have reached that was answered so."""


class KilledTests(SynchronousTestCase):
    """Hard kills at random moments."""

    def test_answered_is_stored(self) -> None:
        """Everything that a killed process had acknowledged is stored at the next start, which needs no repair."""
        path = Path(self.mktemp())
        chance = Random(20)
        answered: dict[int, int] = {}
        for _ in range(3):
            for word, *ids in self.victim(path, chance.randint(10, 150)):
                for id in ids:
                    answered[int(id)] = max(answered.get(int(id), 0), LEAST[word])
            engine = SqliteEngine(path, Inline())
            store = MessageStore(engine, "gw1", time.time)
            self.successResultOf(store.open())
            try:
                self.check(store, engine, answered)
            finally:
                store.close()
        self.assertGreater(len(answered), 100)

    def victim(self, path: Path, count: int) -> list[list[str]]:
        """Kill a process when it has been answered so often; return all answers."""
        root = Path(__file__).parents[3]
        environment = {**os.environ, "PYTHONPATH": os.fspath(root)}
        with subprocess.Popen(
            [sys.executable, "-c", VICTIM, os.fspath(path)], stdout=subprocess.PIPE, env=environment, text=True
        ) as process:
            assert process.stdout is not None
            self.assertEqual(process.stdout.readline(), "ready\n")
            lines = [process.stdout.readline() for _ in range(count)]
            process.send_signal(signal.SIGKILL)
            lines += process.stdout.readlines()
        return [line.split() for line in lines if line.endswith("\n")]

    def check(self, store: MessageStore, engine: SqliteEngine, answered: dict[int, int]) -> None:
        """Everything answered is stored, and nothing is half there."""
        ids = sorted(answered)
        found = self.successResultOf(store.find(None, ids))
        for id, messages in zip(ids, found, strict=True):
            self.assertEqual([m.id for m in messages], [id])
            self.assertGreaterEqual(messages[0].state, answered[id])
        execute = engine.connection.execute
        self.assertEqual(execute("PRAGMA integrity_check").fetchall(), [("ok",)])
        awaited = "SELECT count(*) FROM awaited_receipt"
        enroute = "SELECT count(*) FROM message WHERE state = 2"
        self.assertEqual(execute(awaited).fetchall(), execute(enroute).fetchall())
        counted = dict(execute("SELECT state, count(*) FROM message GROUP BY state").fetchall())
        self.assertEqual(self.successResultOf(store.counts()), counted)
        highest = execute("SELECT max(id) FROM message").fetchone()[0]
        self.assertTrue(highest < store.next_id() <= highest + 2 * LARGEST)
