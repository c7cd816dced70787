"""One message over each front end: its sender sees the states accepted, enroute, delivered."""

from __future__ import annotations

import json
import select
import smtplib
import time
import urllib.request
from base64 import b64encode
from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from smsgw.smpp.consts import MessageState
from tests.flows.esme import Esme, receipt
from tests.flows.shared import shared_gateway

NUMBER = "79161234567"
PATIENCE = 20.0
TICK = 0.02
RECEIPT_AND_INTERMEDIATE = 0x11


class FrontEndTests(SynchronousTestCase):
    def setUp(self) -> None:
        """Start a gateway whose upstream takes a second to answer and another to deliver."""
        self.gateway = shared_gateway(connector="latency = 1\ndelay = 1")

    def seen(self, ask: Callable[[], Any], last: object) -> list[Any]:
        """Call `ask` until it returns `last`; return the different results in order."""
        answers = [ask()]
        deadline = time.monotonic() + PATIENCE
        while answers[-1] != last and time.monotonic() < deadline:
            select.select([], [], [], TICK)
            if (answer := ask()) != answers[-1]:
                answers.append(answer)
        return answers

    def check_timeline(self, id: str, path: str) -> None:
        """Check that the timeline has the same three steps, ordered by time."""
        status, details = self.gateway.get(f"/messages/{id}")
        self.assertEqual((status, details["path"], details["final"]), (200, path, True))
        self.assertEqual([step["step"] for step in details["timeline"]], ["accepted", "handed over", "delivered"])
        times = [step["at"] for step in details["timeline"]]
        self.assertEqual(times, sorted(times))

    def test_mail(self) -> None:
        """A mail gets an id, for which STATUS reports accepted, then handed over, then delivered."""
        with smtplib.SMTP("127.0.0.1", self.gateway.smtp, timeout=10) as server:
            server.login("demo", "demo")
            server.mail("DEMO@example.org")
            server.rcpt(f"{NUMBER}@sms.qtelecom.ru")
            code, text = server.data("Subject: ignored\r\n\r\nHello by mail")
            self.assertEqual(code, 250, text)
            id, _, rest = text.decode().partition(" ")
            self.assertEqual(rest, "message accepted")

            def ask() -> str:
                code, text = server.docmd("STATUS", id)
                self.assertEqual(code, 250, text)
                return text.decode()

            answers = self.seen(ask, f"{id} 1 1 2 Message is delivered")
        self.assertEqual(
            answers,
            [
                f"{id} 1 0 0 Message is accepted for delivery",
                f"{id} 1 0 1 Message is handed over to the operator",
                f"{id} 1 1 2 Message is delivered",
            ],
        )
        self.check_timeline(id, "")

    def test_esme(self) -> None:
        """A message over SMPP gets an intermediate notification and a receipt; query_sm gives the same states."""
        esme = Esme(self.gateway.smpp)
        self.addCleanup(esme.close)
        id = esme.accepted("Hello over SMPP", to=NUMBER, notify=RECEIPT_AND_INTERMEDIATE)
        self.assertEqual(self.gateway.get(f"/messages/{id}")[1]["state"], "queued")
        self.assertEqual(
            self.seen(lambda: esme.state(id), MessageState.DELIVERED), [MessageState.ENROUTE, MessageState.DELIVERED]
        )
        while len(esme.deliveries) < 2:
            self.assertTrue(esme.read(PATIENCE))
        self.assertEqual([receipt(body) for body in esme.deliveries], [(id, "ENROUTE"), (id, "DELIVRD")])
        last = esme.deliveries[-1]
        self.assertTrue(last.startswith(b"\0\1\1%b\0\5\0DEMO\0\4" % NUMBER.encode()), last)
        self.assertIn(b" err:000 text:Hello over SMPP", last)
        self.check_timeline(id, "smpp")

    def test_json(self) -> None:
        """A message over HTTP is shown by GET as awaiting its report, then as delivered."""
        answer = self.ask("/api/v2/send_message", {"msisdn": int(NUMBER), "shortcode": "DEMO", "text": "Hello"})
        uid = answer["uid"]
        words = self.seen(lambda: self.ask(f"/api/v2/send_message/{uid}")["status"], "delivered")
        self.assertEqual(words, ["awaiting_report", "delivered"])
        self.check_timeline(uid.rpartition("-")[2], "")

    def ask(self, path: str, body: dict[str, object] | None = None) -> Any:
        """Send a request as `demo`; return the result in the response."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.gateway.http}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": "Basic " + b64encode(b"demo:demo").decode()},
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            answer = json.loads(response.read())
        self.assertEqual(answer["status"], "ok", answer)
        return answer["result"]
