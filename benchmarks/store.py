"""Measures the cost of the SQLite store per message, from acceptance to acknowledged event, by size of commit.

    python -m benchmarks.store [--messages N] [--parts N] [--queued] [--cold] [--directory DIR] [SIZE ...]

Each commit has one batch of each step: messages accepted, the previous batch sent, the batch before it reported
delivered (with an event), and the events of the batch before that acknowledged. All commits are synced. The store runs
in the main thread, so that its CPU time is measured completely; the clock time includes the waits for the disk.
"""

from __future__ import annotations

import argparse
import gc
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from twisted.internet.defer import Deferred

from smsgw.model.changes import Changes, Committed, PartSent, Reported
from smsgw.model.content import WHOLE, Content, Cut, Form
from smsgw.model.lifecycle import Notify, State
from smsgw.model.message import DeliveryReport, Event, Message
from smsgw.stores import MessageStore
from smsgw.stores.sqlite import Inline, SqliteEngine
from smsgw.tap import OBJECTS_BETWEEN_LOOKS


def done(deferred: Deferred[Committed]) -> Committed:
    """What a store that works in this thread has answered."""
    results: list[Committed] = []
    deferred.addCallback(results.append)
    (result,) = results
    return result


class Run:
    """One store and the messages on their way through it."""

    def __init__(self, directory: Path, parts: int, queued: bool, cold: bool) -> None:
        self.store = MessageStore(SqliteEngine(directory, Inline()), "bench", time.time)
        self.store.open()
        self.queued = queued
        self.cold = cold
        self.parts = tuple(b"%02d" % number + b"x" * 80 for number in range(parts))
        self.lives: list[list[Message]] = []
        self.events: list[Event] = []

    def accept(self, count: int) -> list[Message]:
        """The next `count` messages, as intake would make them."""
        now = time.time()
        messages = []
        for _ in range(count):
            id = self.store.next_id()
            content = Content("DEMO", 5, 0, 1, 1, 0, 0, b"".join(self.parts))
            cut = Cut(Form.UDH8, 0, self.parts, id & 255) if len(self.parts) > 1 else WHOLE
            messages.append(
                Message(
                    id, "demo", "smpp", "sim", State.QUEUED, 0, not self.queued, 0, Notify.FINAL, len(self.parts),
                    now + 86400, now, now, 0.0, 0, "79161234567", 0, content, 0.0, "", (), cut,
                )
            )  # fmt: skip
        return messages

    def changes(self, count: int) -> Iterator[Changes]:
        """For each commit what it carries."""
        accepted: Sequence[Message] = ()
        claimed: Sequence[Message] = ()
        sent: Sequence[Message] = ()
        while True:
            coming = self.accept(count)
            changes = Changes(accepts=coming, acknowledged=self.events)
            going, accepted = accepted, coming
            if self.queued:
                changes.claims = list(going)
                going, claimed = claimed, going
            now = time.time()
            changes.outcomes = [
                PartSent(m, seq, f"{m.id * 7919 % 1000000007:010x}-{seq}", now + 86400)
                for m in going
                for seq in range(1, m.parts + 1)
            ]
            changes.receipts = [
                Reported("sim", DeliveryReport(f"{m.id * 7919 % 1000000007:010x}-{seq}", State.DELIVERED, 0, now))
                for m in sent
                for seq in range(1, m.parts + 1)
            ]
            sent = going
            yield changes


def measure(size: int, options: argparse.Namespace) -> str:
    """One line of the table."""
    directory = Path(tempfile.mkdtemp(dir=options.directory))
    run = Run(directory / "state", options.parts, options.queued, options.cold)
    commits = max(options.messages // size, 8)
    clock = cpu = 0.0
    rows = 0
    steps = run.changes(size)
    try:
        for number in range(commits + 8):
            changes = next(steps)
            if options.cold:
                run.store.forget()
            started, busy = time.perf_counter(), time.thread_time()
            committed = done(run.store.commit(changes))
            if number >= 8:
                clock += time.perf_counter() - started
                cpu += time.thread_time() - busy
                rows += len(changes.accepts) + 2 * len(changes.outcomes) + 2 * len(changes.receipts)
                rows += len(committed.events) + len(changes.acknowledged)
            run.events = committed.events
        run.store.close()
    finally:
        shutil.rmtree(directory)
    messages = commits * size
    return (
        f"{size:6d} {messages / clock:10.0f} {rows / clock:10.0f} {clock / messages * 1e6:10.2f}"
        f" {cpu / messages * 1e6:10.2f} {clock / commits * 1e3:10.3f}"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sizes", nargs="*", type=int, metavar="SIZE", help="messages per commit (1 10 100 1000)")
    parser.add_argument("--messages", type=int, default=30_000, help="messages per line")
    parser.add_argument("--parts", type=int, default=1, help="parts of each message")
    parser.add_argument("--queued", action="store_true", help="messages wait in the queue and are claimed")
    parser.add_argument("--cold", action="store_true", help="receipts find nothing in memory")
    parser.add_argument("--directory", help="where the database is made and removed")
    options = parser.parse_args()
    gc.set_threshold(OBJECTS_BETWEEN_LOOKS, *gc.get_threshold()[1:])  # as the program does it
    print(f"{'size':>6} {'messages/s':>10} {'rows/s':>10} {'us/message':>10} {'us of CPU':>10} {'ms/commit':>10}")
    for size in options.sizes or (1, 10, 100, 1000):
        options_of_size = argparse.Namespace(**{**vars(options), "messages": min(options.messages, size * 2000)})
        print(measure(size, options_of_size), flush=True)


if __name__ == "__main__":
    main()
