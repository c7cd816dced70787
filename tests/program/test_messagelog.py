"""The message log: what a line has, and that writing it neither blocks nor fails the gateway."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase, TestCase

from smsgw.model.changes import Ending
from smsgw.model.content import Content, Labels
from smsgw.model.lifecycle import State
from smsgw.model.message import Message
from smsgw.program import messagelog
from smsgw.program.messagelog import MessageLog, line
from smsgw.telemetry import Counts
from tests.services.dispatch.support import NOON, message

NUMBER = "79161234567"


def ending(id: int = 7, **changes: Any) -> Ending:
    """The end of a message that failed."""
    own: Message = message(id, recipient=NUMBER, listener="api", **changes)
    own.content = Content("79031112233", 1, 1, 1, 1, 0, 0, b"Your code is 4711", labels=Labels("", "order-1", "note"))
    return Ending(own, "mts", "u-9", State.UNDELIVERABLE, 13, NOON + 1.5, f"no such user {NUMBER}")


class LineTests(SynchronousTestCase):
    def test_u5_masked(self) -> None:
        """A line says what became of a message, without its text, and with masked numbers."""
        self.assertEqual(
            json.loads(line(ending(), False)),
            {
                "at": "2027-01-15T08:00:01.500Z", "id": 7, "account": "demo", "login": "demo", "listener": "api",
                "from": "7903...33", "to": "7916...67", "state": "undeliverable", "error": 13,
                "upstream_words": "no such user ...", "connector": "mts", "remote_id": "u-9", "parts": 1,
                "accepted_at": "2027-01-15T08:00:00.000Z", "seconds": 1.5, "reference": "order-1",
            },
        )  # fmt: skip
        for private in (NUMBER, "79031112233", "4711"):
            self.assertNotIn(private, line(ending(), False))

    def test_u5_private(self) -> None:
        """With message_log_private it has them."""
        shown = json.loads(line(ending(), True))
        self.assertEqual((shown["to"], shown["from"], shown["text"]), (NUMBER, "79031112233", "Your code is 4711"))

    def test_u5_one_line(self) -> None:
        """No text of an upstream or client can begin a line."""
        one = ending()
        one.remote_id = one.words = 'a\n{"id": 8}\u2028'
        self.assertEqual(line(one, True).splitlines(), [line(one, True)])


class MessageLogTests(TestCase):
    """The file, with the real thread."""

    def setUp(self) -> None:
        """Open a log."""
        self.path = Path(self.mktemp())
        self.lines = Counts("lines_total", "Lines.", ["result"])
        self.log = MessageLog(self.path, False, reactor, self.lines)
        self.log.start()
        self.stopped = False
        self.addCleanup(self.stop)

    async def stop(self) -> None:
        """Stop once."""
        if not self.stopped:
            self.stopped = True
            await self.log.stop()

    def ids(self, path: Path) -> list[int]:
        """The ids in a file."""
        return [json.loads(one)["id"] for one in path.read_text().splitlines()]

    async def test_u5_written(self) -> None:
        """The lines of a commit are written with one call, in order, after those that are there; others cannot read
        them."""
        self.path.write_text('{"id": 1}\n')
        calls: list[bytes] = []
        write = os.write

        def counting(file: int, octets: bytes) -> int:
            if b'"id"' in octets:
                calls.append(octets)
            return write(file, octets)

        self.patch(os, "write", counting)
        self.log.ended([ending(2), ending(3)])
        self.log.ended([ending(4)])
        await self.stop()
        self.assertEqual(self.ids(self.path), [1, 2, 3, 4])
        self.assertEqual([call.count(b"\n") for call in calls], [2, 1])
        self.assertEqual((self.lines["written"], self.path.stat().st_mode & 0o007), (3, 0))

    async def test_u5_reopen(self) -> None:
        """After the file was renamed, and the log opened again, lines go to a new file; none is lost."""
        self.log.ended([ending(1)])
        moved = self.path.with_suffix(".1")
        self.path.rename(moved)
        self.log.ended([ending(2)])
        self.log.reopen()
        self.log.ended([ending(3)])
        await self.stop()
        self.assertEqual((self.ids(moved), self.ids(self.path)), ([1, 2], [3]))

    async def test_u5_reopen_fails(self) -> None:
        """If the new file cannot be opened, lines go on to the former one."""
        self.log.ended([ending(1)])
        moved = self.path.with_suffix(".1")
        self.path.rename(moved)
        self.path.mkdir()
        self.assertRaises(OSError, self.log.reopen)
        self.log.ended([ending(2)])
        await self.stop()
        self.assertEqual(self.ids(moved), [1, 2])

    async def test_u5_full_disk(self) -> None:
        """Lines that cannot be written are counted, not repeated; the next ones are written again."""
        write = os.write

        def full(file: int, octets: bytes) -> int:
            if b'"id":2' in octets:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return write(file, octets)

        self.patch(os, "write", full)
        for id in (1, 2, 3):
            self.log.ended([ending(id)])
        await self.stop()
        self.assertEqual((self.ids(self.path), dict(self.lines)), ([1, 3], {"written": 2, "lost": 1}))

    async def test_u5_slow_disk(self) -> None:
        """While the disk hangs, a bounded number of lines waits; further ones are dropped, and the gateway goes on."""
        self.patch(messagelog, "MOST_WAITING", 3)
        for id in range(1, 7):
            self.log.ended([ending(id)])  # this turn of the reactor hears of no line that was written
        self.assertEqual(self.lines["lost"], 3)
        done: Deferred[None] = self.log.stop()
        self.stopped = True
        await done
        self.assertEqual(self.ids(self.path), [1, 2, 3])

    def test_u5_cannot_be_opened(self) -> None:
        """A file that cannot be opened is reported at the start."""
        self.assertRaises(OSError, MessageLog(self.path / "no" / "where", False, reactor, self.lines).start)

    async def test_u5_stop_without_a_file(self) -> None:
        """A log that could not be opened is stopped at once, so a failed start ends at once."""
        log = MessageLog(self.path / "no" / "where", False, reactor, self.lines)
        self.assertRaises(OSError, log.start)
        stopped = log.stop()
        self.assertTrue(stopped.called)
        await stopped

    def test_u5_fifo_without_a_reader(self) -> None:
        """A FIFO that no process reads cannot be opened; the reactor does not wait for a reader."""
        path = Path(self.mktemp())
        os.mkfifo(path)
        error = self.assertRaises(OSError, MessageLog(path, False, reactor, self.lines).start)
        self.assertEqual(error.errno, errno.ENXIO)
