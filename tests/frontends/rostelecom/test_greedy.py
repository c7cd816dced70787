"""An account whose requests send nothing (F5)."""

from __future__ import annotations

import json

from smsgw.services.accounts import WORK_RATE
from tests.frontends.rostelecom.test_frontend import SEND, SHOW, HttpTestCase
from tests.protocols.http.support import BASIC, Client, request


class F5Tests(HttpTestCase):
    """Requests that send nothing."""

    def test_f5_requests_wait(self) -> None:
        """Queries and refused messages are answered as fast as the account's share of work allows."""
        body = json.dumps({"msisdn": 79104567890, "shortcode": "WRONG", "text": "x"}).encode()
        for octets in (request(b"GET", SHOW + b"1", None, BASIC), request(b"POST", SEND, body, BASIC)):
            self.clock.advance(10)
            self.client = Client(self.site)
            self.client.send(octets * int(WORK_RATE))
            self.assertEqual(len(self.client.responses()), WORK_RATE / 2)
            self.clock.pump([0.1] * 10)
            self.assertEqual(len(self.client.responses()), WORK_RATE / 2)
