"""An account whose requests send nothing (F5)."""

from __future__ import annotations

import json

from smsgw.services.accounts import WORK_RATE
from tests.frontends.api.test_resource import JSON, NUMBER, V1TestCase
from tests.protocols.http.support import BASIC, request


class F5Tests(V1TestCase):
    """Requests that send nothing."""

    def test_f5_requests_wait(self) -> None:
        """Requests that send nothing are answered as fast as the account's share of work allows; messages are free."""
        for _ in range(int(WORK_RATE)):
            self.assertEqual(self.send().status, 201)
        many = {"messages": [{"to": "12", "text": "Hello"}] * 500}
        for method, path, value in (
            ("GET", "/v1/messages/1", None),
            ("POST", "/v1/messages", {"to": "12", "text": "Hello"}),
            ("POST", "/v1/messages", many),
            ("POST", "/v1/preview", {"to": NUMBER, "text": "Hello"}),
        ):
            self.clock.advance(10)
            octets = request(
                method.encode(), path.encode(), None if value is None else json.dumps(value).encode(), BASIC, JSON
            )
            self.client.send(octets * int(WORK_RATE))
            now = len(self.client.responses())
            self.assertTrue(1 < now <= WORK_RATE / 2, now)
            self.clock.pump([0.1] * 200)
            self.assertEqual(now + len(self.client.responses()), WORK_RATE)
