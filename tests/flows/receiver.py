"""A receiver of callbacks in threads of its own, so that blocking tests can watch it."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import attrs


@attrs.frozen
class Heard:
    """One call: method, path with query, headers by lower-case name, body."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body's value."""
        return json.loads(self.body)


class CallbackReceiver:
    """Answers what `answer` says, by default 200, and keeps what was answered 2xx.

    :ivar calls: how many calls came altogether.
    """

    def __init__(self, answer: Callable[[Heard], int] | None = None) -> None:
        self.calls = 0
        self.taken: list[Heard] = []
        self._answer = answer or (lambda heard: 200)
        self._changed = threading.Condition()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def _take(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                headers = {name.lower(): value for name, value in self.headers.items()}
                status = owner.take(Heard(self.command, self.path, headers, self.rfile.read(length)))
                self.send_response_only(status)
                self.send_header("Content-Length", "0")
                if status >= 500:
                    self.send_header("Retry-After", "1")
                self.end_headers()

            do_GET = do_POST = _take  # noqa: N815 - the names that the standard library calls

            def log_message(self, *arguments: object) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                """A gateway that is killed leaves its connections in the middle of something."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def take(self, heard: Heard) -> int:
        """One call; the status it is answered with."""
        with self._changed:
            self.calls += 1
            status = self._answer(heard)
            if 200 <= status < 300:
                self.taken.append(heard)
            self._changed.notify_all()
        return status

    def wait(self, enough: Callable[[list[Heard]], bool], seconds: float = 20.0) -> list[Heard]:
        """What was taken, as soon as that is enough."""
        with self._changed:
            if not self._changed.wait_for(lambda: enough(self.taken), seconds):
                raise AssertionError(f"not enough calls: {len(self.taken)} taken of {self.calls}")
            return list(self.taken)

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


def failing_at_random(share: float, seed: int) -> Callable[[Heard], int]:
    """Answer 500 to this share of the calls."""
    dice = random.Random(seed)
    return lambda heard: 500 if dice.random() < share else 200
