"""The timeline of a message, as the administrator sees it."""

from __future__ import annotations

from typing import Any

from smsgw.model.lifecycle import State
from tests.frontends.admin.case import AdminTests
from tests.frontends.admin.support import START


class StoryTests(AdminTests):
    def steps(self, number: int) -> list[tuple[str, float | None, bool]]:
        """Return the timeline of a message: step, seconds after the start, whether it is in the future."""
        return [
            (step["step"], None if step["at"] is None else step["at"] - START, step.get("expected", False))
            for step in self.shown(f"/messages/{number}")["timeline"]
        ]

    def test_delivered(self) -> None:
        """The details of a delivered message: accepted, sent under an upstream id, delivered, and the event that the
        client has not acknowledged."""
        message = self.admin.accept(claimed=True)
        self.admin.clock.advance(1)
        self.admin.sent(message, "abc")
        self.admin.clock.advance(2)
        self.admin.reported("abc")
        details = self.shown("/messages/1")
        self.assertEqual((details["state"], details["final"]), ("delivered", True))
        self.assertEqual(details["notify"], ["delivered", "failed"])
        self.assertEqual(
            details["timeline"],
            [
                {"step": "accepted", "at": START, "account": "demo", "listener": "api"},
                {"step": "handed over", "at": START + 1, "connector": "sim", "remote_id": "abc"},
                {"step": "delivered", "at": START + 3, "error": 0},
                {
                    "step": "to be reported",
                    "at": None,
                    "expected": True,
                    "path": "smpp",
                    "state": "delivered",
                    "attempts": 0,
                },
            ],
        )
        self.assertEqual(details["part_states"], [{"seq": 1, "state": "delivered", "error": 0, "remote_id": "abc"}])
        self.assertEqual(details["events"], [
            {"state": "delivered", "error": 0, "at": START + 3, "attempts": 0, "due": None}
        ])
        self.assertEqual(details["awaited"], [])

    def test_scheduled(self) -> None:
        """A scheduled message shows when it will be sent."""
        self.admin.accept(state=State.SCHEDULED, due=START + 600)
        self.assertEqual(
            self.steps(1), [("accepted", 0.0, False), ("due", 600.0, True), ("expiry", 86_400.0, True)]
        )

    def test_queued(self) -> None:
        """A queued message waits for room on its connector."""
        self.admin.accept()
        self.assertEqual(self.steps(1), [("accepted", 0.0, False), ("room", None, True), ("expiry", 86_400.0, True)])

    def test_condition(self) -> None:
        """It also shows whether that connector is up, down, paused or configured no more."""
        self.admin.accept()

        def condition(connectors: dict[str, Any]) -> Any:
            self.admin.connectors = connectors
            return self.shown("/messages/1")["timeline"][1]["condition"]

        self.assertEqual(condition({"sim": {"up": True, "paused": False}}), "up")
        self.assertEqual(condition({"sim": {"up": False, "paused": False}}), "down")
        self.assertEqual(condition({"sim": {"up": True, "paused": True}}), "paused")
        self.assertEqual(condition({"sim": {"up": False, "paused": True}}), "paused")
        self.assertIsNone(condition({}))
        self.admin.stranded = {"sim": 1}
        self.assertEqual(condition({}), "missing")

    def test_claimed(self) -> None:
        """A message that was sent by its connector waits for the upstream's answer."""
        self.admin.accept(claimed=True)
        self.assertEqual(self.steps(1), [("accepted", 0.0, False), ("answer", None, True), ("expiry", 86_400.0, True)])

    def test_receipt_awaited(self) -> None:
        """A message that the upstream took waits for a receipt with the upstream's id."""
        message = self.admin.accept(claimed=True)
        self.admin.sent(message, "abc")
        self.assertEqual(
            self.steps(1), [("accepted", 0.0, False), ("handed over", 0.0, False), ("receipt", 3600.0, True)]
        )
        self.assertEqual(
            self.shown("/messages/1")["awaited"], [{"seq": 1, "remote_id": "abc", "until": START + 3600}]
        )

    def test_parts(self) -> None:
        """Each part of a long text has its own state and id."""
        message = self.admin.accept(parts=(b"one", b"two", b"three"), claimed=True)
        self.admin.sent(message, "a", 1)
        self.admin.sent(message, "b", 2)
        self.admin.sent(message, "c", 3)
        self.admin.reported("b", State.UNDELIVERABLE)
        details = self.shown("/messages/1")
        self.assertEqual(
            [(part["seq"], part["state"], part["remote_id"]) for part in details["part_states"]],
            [(1, "enroute", "a"), (2, "undeliverable", "b"), (3, "enroute", "c")],
        )
        self.assertEqual([one["remote_id"] for one in details["awaited"]], ["a", "c"])

    def test_failed(self) -> None:
        """A message that failed has its error code."""
        message = self.admin.accept(claimed=True)
        self.admin.ended(message, State.REJECTED, 255)
        details = self.shown("/messages/1")
        self.assertEqual(details["timeline"][1], {"step": "rejected", "at": START, "error": 255})

    def test_batch(self) -> None:
        """The id of a batch shows its messages."""
        batch = self.admin.store.next_id()
        self.admin.accept(batch=batch)
        self.admin.accept(batch=batch)
        shown = self.shown(f"/messages/{batch}")
        self.assertEqual(shown["batch"], batch)
        self.assertEqual([(one["id"], one["batch"]) for one in shown["messages"]], [(2, 1), (3, 1)])
        self.assertEqual(shown["counts"], [{"state": "queued", "error": 0, "messages": 2, "parts": 2}])

    def test_unknown(self) -> None:
        """An unknown id is not found, nor is a malformed one."""
        for path in ("/messages/1", "/messages/999999999999999999", "/messages/0", "/messages/x", "/messages/1/",
                     "/messages/1000000000000000000000"):
            self.assertEqual(self.refused(path), (404, "not_found"), path)
