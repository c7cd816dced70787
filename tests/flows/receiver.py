"""A receiver of callbacks that runs in threads, for blocking tests."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import attrs


@attrs.frozen
class CallbackRequest:
    """One callback request: method, path with query, headers by lower-case name, body."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Return the value of the body."""
        return json.loads(self.body)


class CallbackReceiver:
    """Answers with the status that `answer` returns, by default 200, and keeps the requests answered 2xx.

    :ivar calls: how many calls came altogether.
    """

    def __init__(self, answer: Callable[[CallbackRequest], int] | None = None) -> None:
        self.calls = 0
        self.taken: list[CallbackRequest] = []
        self._answer = answer or (lambda request: 200)
        self._changed = threading.Condition()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def _take(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                headers = {name.lower(): value for name, value in self.headers.items()}
                status = owner.take(CallbackRequest(self.command, self.path, headers, self.rfile.read(length)))
                self.send_response_only(status)
                self.send_header("Content-Length", "0")
                if status >= 500:
                    self.send_header("Retry-After", "1")
                self.end_headers()

            do_GET = do_POST = _take  # noqa: N815 - the names that the standard library calls

            def log_message(self, *arguments: object) -> None:
                """Log nothing."""

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                """Ignore errors of connections that a killed gateway leaves."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The address of the receiver."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def take(self, request: CallbackRequest) -> int:
        """Take one request; return the status of the response."""
        with self._changed:
            self.calls += 1
            status = self._answer(request)
            if 200 <= status < 300:
                self.taken.append(request)
            self._changed.notify_all()
        return status

    def wait(self, enough: Callable[[list[CallbackRequest]], bool], seconds: float = 20.0) -> list[CallbackRequest]:
        """Wait until the accepted requests are enough; return them."""
        with self._changed:
            if not self._changed.wait_for(lambda: enough(self.taken), seconds):
                raise AssertionError(f"not enough calls: {len(self.taken)} taken of {self.calls}")
            return list(self.taken)

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


def failing_at_random(share: float, seed: int) -> Callable[[CallbackRequest], int]:
    """Return a function that answers 500 to this share of the requests."""
    dice = random.Random(seed)
    return lambda request: 500 if dice.random() < share else 200
