"""Wishes of an administrator over the admin listener: who asks, what, and the log line of it."""

from __future__ import annotations

from typing import Any

from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from tests.frontends.admin.support import Admin
from tests.protocols.http.support import request


class OperationTests(SynchronousTestCase):
    """The requests that change something."""

    def setUp(self) -> None:
        """A listener with operations that only note the wishes."""
        self.admin = Admin(self.mktemp())
        self.addCleanup(self.admin.store.close)
        self.lines: list[str] = []
        globalLogPublisher.addObserver(self.note)
        self.addCleanup(globalLogPublisher.removeObserver, self.note)

    def note(self, event: LogEvent) -> None:
        """Keep the lines of the admin front end."""
        if "admin" in event.get("log_namespace", ""):
            self.lines.append(formatEvent(event))

    def asked(self, path: str) -> tuple[int, Any]:
        """Status and value of the answer to a POST."""
        answer = self.admin.post(path)
        return answer.status, answer.json

    def test_each(self) -> None:
        """Each request passes its names on and answers with the result."""
        self.assertEqual(self.asked("/messages/7/resend"), (200, {"message": 7, "sent_as": 8}))
        self.assertEqual(self.asked("/connectors/sim/retry"), (200, {"connector": "sim", "messages": 7}))
        self.assertEqual(self.asked("/connectors/sim/pause"), (200, {"connector": "sim", "paused": True}))
        self.assertEqual(self.asked("/connectors/sim/resume"), (200, {"connector": "sim", "paused": False}))
        moved = {"connector": "sim", "to": "mts.2", "moved": 5, "stayed": 1}
        self.assertEqual(self.asked("/connectors/sim/move/mts.2"), (200, moved))
        self.assertEqual(
            self.admin.operations.wishes,
            [("resend", 7), ("retry", "sim"), ("pause", "sim"), ("resume", "sim"), ("move", "sim", "mts.2")],
        )

    def test_not_possible(self) -> None:
        """What there is not is 404, what cannot be is 409, each with the reason in words."""
        for path in ("/connectors/gone/retry", "/connectors/gone/pause", "/messages/999/resend"):
            status, value = self.asked(path)
            self.assertEqual((status, value["reason"], value["why"]), (404, "not_found", "there is no such thing"))
        for path in ("/connectors/no/resume", "/connectors/sim/move/no"):
            status, value = self.asked(path)
            self.assertEqual((status, value["reason"], value["why"]), (409, "not_possible", "not now"))

    def test_audit(self) -> None:
        """Every request that changes something leaves a line in the log with who asked, what, and the result."""
        message = self.admin.accept()
        self.admin.post("/connectors/sim/pause")
        self.admin.post("/connectors/gone/retry")
        self.admin.post(f"/messages/{message.id}/cancel")
        self.admin.post("/replay", body=b'{"all": true}')
        self.admin.post("/simulate", body=b'{"kind": "call", "from": "79031112233", "to": "4455"}')
        self.assertEqual(
            self.lines,
            [
                "alice asked for /connectors/sim/pause: 200",
                "alice asked for /connectors/gone/retry: 404",
                f"alice asked for /messages/{message.id}/cancel: 200",
                "alice asked for /replay: 200",
                "alice asked for /simulate: 200",
            ],
        )

    def test_somebody(self) -> None:
        """Without the name of who asks, or with one that could forge a log line, nothing is done."""
        for lines in ((), (b"X-Smsgw-User: ",), (b"X-Smsgw-User: a", b"X-Smsgw-User: b"),
                      (b"X-Smsgw-User: a\tb",), (b"X-Smsgw-User: " + b"a" * 65,), (b"X-Smsgw-User: \xff",)):
            answer = self.admin.client.ask(request(b"POST", b"/connectors/sim/pause", b"", *lines))
            self.assertEqual((answer.status, answer.json["reason"]), (400, "no_user"), lines)
        self.assertEqual((self.admin.operations.wishes, self.lines), ([], []))

    def test_reading_leaves_no_line(self) -> None:
        """Requests that only read are not logged."""
        for path in ("/health", "/messages", "/parked"):
            self.admin.get(path)
        self.assertEqual(self.lines, [])
