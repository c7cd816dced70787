"""The JSON API with curl."""

from __future__ import annotations

import json
import select
import time
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.interop import peers

NUMBER = 79161234571


class CurlTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.gateway = peers.gateway()

    def curl(self, path: str, *options: str, login: str = "web:web") -> tuple[int, Any]:
        """Send a request with curl; return HTTP status and JSON."""
        done = peers.run(
            *(peers.program("curl"), "--silent", "--show-error", "--user", login, "--write-out", "\n%{http_code}"),
            *options,
            f"http://127.0.0.1:{self.gateway.http}{path}",
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        body, _, status = done.stdout.rpartition("\n")
        return int(status), json.loads(body)

    def post(self, **message: object) -> str:
        """Submit a message; return its uid."""
        body = json.dumps(message, ensure_ascii=False)
        status, answer = self.curl("/api/v2/send_message", "--data", body)
        self.assertEqual((status, answer["status"]), (200, "ok"), answer)
        self.assertRegex(answer["result"]["uid"], r"\Amessage-id-[1-9]\d*\Z")
        return str(answer["result"]["uid"])

    def delivered(self, uid: str) -> Any:
        """Query until the message is delivered; return the last response."""
        deadline = time.monotonic() + peers.PATIENCE
        while True:
            status, answer = self.curl(f"/api/v2/send_message/{uid}")
            self.assertEqual((status, answer["status"]), (200, "ok"), answer)
            if answer["result"]["status"] != "awaiting_report" or time.monotonic() > deadline:
                return answer["result"]
            select.select([], [], [], 0.1)

    def test_post_and_get(self) -> None:
        """A message sent by POST is delivered, and GET returns its text, number and parts."""
        for text, parts in ((peers.GSM, 1), (peers.UCS2, 1), (peers.LONG, 3)):
            uid = self.post(msisdn=NUMBER, shortcode="DEMO", text=text)
            found = self.delivered(uid)
            self.assertGreaterEqual(found.pop("updated_at"), found.pop("created_at"))
            self.assertEqual(
                found, {"uid": uid, "msisdn": NUMBER, "text": text, "pdu_count": parts, "status": "delivered"}
            )

    def test_expect(self) -> None:
        """A client with Expect: 100-continue gets 100 Continue before it sends the body."""
        done = peers.run(
            *(peers.program("curl"), "--silent", "--verbose", "--user", "web:web"),
            *("--header", "Expect: 100-continue", "--expect100-timeout", str(peers.PATIENCE), "--data", "@-"),
            f"http://127.0.0.1:{self.gateway.http}/api/v2/send_message",
            stdin=json.dumps({"msisdn": NUMBER, "shortcode": "DEMO", "text": "May I?"}),
        )
        self.assertIn("< HTTP/1.1 100 Continue", done.stderr)
        self.assertEqual(self.delivered(json.loads(done.stdout)["result"]["uid"])["text"], "May I?")

    def test_wrong_password(self) -> None:
        """A wrong password gets 403 and a body with the reason."""
        status, answer = self.curl("/api/v2/send_message/message-id-1", login="web:wrong")
        self.assertEqual((status, answer["status"], answer["reason"]), (403, "error", "wrong_credentials"))
