"""The message log: one line of JSON for each message that reached a final state, written by a thread of its own."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, Final

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from smsgw.model.address import masked, masked_sender
from smsgw.model.changes import Ending
from smsgw.model.moments import utc
from smsgw.telemetry import Counts

MOST_WAITING: Final = 100_000
"""Lines that may wait to be written; while a slow disk keeps so many waiting, further lines are dropped and counted."""

_MODE: Final = 0o640
"""The file's permissions, less the umask."""

_log = Logger()


def line(ending: Ending, private: bool) -> str:
    """The line of one message, without line end. Only with `private` it has the text and whole numbers."""
    message = ending.message
    content = message.content
    labels = content.labels
    fields: dict[str, Any] = {
        "at": utc(ending.at),
        "id": message.id,
        "account": message.account,
        "login": message.login or message.account,
        "listener": message.listener,
        "from": content.sender if private else masked_sender(content.sender),
        "to": message.recipient if private else masked(message.recipient),
        "state": ending.state.word,
        "error": ending.error,
        "upstream_words": ending.words if private else ending.words.replace(message.recipient, "..."),
        "connector": ending.connector,
        "remote_id": ending.remote_id,
        "parts": message.parts,
        "accepted_at": utc(message.created),
        "seconds": round(max(ending.at - message.created, 0.0), 3),
        "reference": labels.reference if labels is not None else "",
    }
    if private:
        fields["text"] = content.text()
    return json.dumps(fields, separators=(",", ":"))


class MessageLog:
    """Appends the lines of each commit to a file with one write. It never blocks the reactor.

    :param private: whether lines have texts and whole numbers. :param reactor: provides IReactorFromThreads.
    :param lines: counts lines by result, ``written`` or ``lost``.
    """

    def __init__(self, path: Path, private: bool, reactor: Any, lines: Counts) -> None:
        self.path = path.absolute()  # twistd may change its directory
        self._private = private
        self._reactor = reactor
        self._lines = lines
        self._work: SimpleQueue[Sequence[Ending] | int | None] = SimpleQueue()
        self._waiting = 0
        self._failing = False
        self._thread: Thread | None = None
        self._stopped: Deferred[None] = Deferred()

    def start(self) -> None:
        """Open the file.

        :raises OSError: it cannot be opened.
        """
        file = self._open()
        self._thread = Thread(target=self._loop, args=(file,), name="message log", daemon=True)
        self._thread.start()

    def _open(self) -> int:
        # Without O_NONBLOCK the open of a FIFO that no process reads would block the reactor.
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, _MODE)
        os.set_blocking(file, True)  # the thread waits for a slow reader
        return file

    def ended(self, endings: Sequence[Ending]) -> None:
        """Have the lines of these messages written; drop them if too many wait."""
        if self._waiting + len(endings) > MOST_WAITING:
            self._report_lost(len(endings), "the disk is too slow")
            return
        self._waiting += len(endings)
        self._work.put(endings)

    def reopen(self) -> None:
        """Write to the file that has the name now, a new one if there is none: after the file was renamed.

        :raises OSError: the file cannot be opened; the former file is written to further.
        """
        self._work.put(self._open())

    def stop(self) -> Deferred[None]:
        """Close the file; fires after all lines are written, at once if it could not be opened."""
        if self._thread is None:
            return succeed(None)
        self._work.put(None)
        return self._stopped

    # In the thread

    def _loop(self, file: int) -> None:
        report = self._reactor.callFromThread
        while (work := self._work.get()) is not None:
            if isinstance(work, int):
                os.close(file)
                file = work
                continue
            try:
                _write(file, "".join([line(ending, self._private) + "\n" for ending in work]).encode("ascii"))
            except OSError as error:
                report(self._not_written, len(work), error.strerror or str(error))
            else:
                report(self._written, len(work))
        os.close(file)
        report(self._stopped.callback, None)

    # In the reactor's thread again

    def _written(self, count: int) -> None:
        self._waiting -= count
        self._lines["written"] += count
        if self._failing:
            self._failing = False
            _log.info("the message log {path} is written again", path=str(self.path))

    def _not_written(self, count: int, why: str) -> None:
        self._waiting -= count
        self._report_lost(count, why)

    def _report_lost(self, count: int, why: str) -> None:
        """Count lost lines; log the first of a series."""
        self._lines["lost"] += count
        if not self._failing:
            self._failing = True
            _log.error("lines of the message log {path} are lost: {why}", path=str(self.path), why=why)


def _write(file: int, octets: bytes) -> None:
    """Write all octets; one call of the system unless the disk is full."""
    while octets:
        octets = octets[os.write(file, octets) :]
