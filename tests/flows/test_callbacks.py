"""Callbacks of the real program: every form, incoming texts, dead letters, replay, kill -9."""

from __future__ import annotations

import hashlib
import hmac
import random
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from twisted.trial.unittest import SynchronousTestCase

from tests.flows.esme import Esme
from tests.flows.process import ROOT, GatewayProcess
from tests.flows.receiver import CallbackReceiver, CallbackRequest, failing_at_random

OURS = "\n[number 4455]\naccount = demo\n"


class FormTests(SynchronousTestCase):
    """An account with a callback."""

    def begin(self, account: str, sections: str = "", connector: str = "delay = 0.05", gateway: str = "") -> Esme:
        """Start a receiver and a gateway with a callback to it; return a bound client."""
        self.receiver = CallbackReceiver()
        self.addCleanup(self.receiver.close)
        self.gateway = GatewayProcess(
            Path(self.mktemp()).absolute(),
            account=account.format(url=self.receiver.url),
            connector=connector,
            sections=sections,
            gateway=gateway,
        )
        self.addCleanup(self.gateway.kill)
        self.gateway.start()
        return Esme(self.gateway.smpp)

    def command(self, *words: str) -> str:
        """Return the output of a command."""
        program = [sys.executable, "-m", "smsgw", *words, "-c", str(self.gateway.config)]
        done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_native(self) -> None:
        """A message without an SMPP receipt gets two signed callbacks, in order (002-107); one with a receipt, as the
        command ``send`` asks for, gets none (002-106)."""
        esme = self.begin("callback = {url}/x\ncallback_dialect = native\ncallback_key = a-long-secret")
        id = esme.accepted("hello", notify=0)
        first, second = self.receiver.wait(lambda taken: len(taken) == 2)
        self.assertEqual([one.json["state"] for one in (first, second)], ["enroute", "delivered"])
        self.assertEqual({one.json["id"] for one in (first, second)}, {int(id)})
        signed = f"{first.headers['x-smsgw-timestamp']}.{first.headers['x-smsgw-event']}.".encode() + first.body
        expected = hmac.new(b"a-long-secret", signed, hashlib.sha256).hexdigest()
        self.assertEqual(first.headers["x-smsgw-signature"], f"v1={expected}")
        esme.accepted("with a receipt", notify=1)
        esme.receipts(1)
        self.assertEqual(self.receiver.calls, 2)
        self.assertEqual(self.gateway.stop(), 0)

    def test_rostelecom(self) -> None:
        """The form of Rostelecom: GET with id, status and parts (004-198)."""
        esme = self.begin("callback = {url}/x?a=b")
        id = esme.accepted("hello", notify=0)
        calls = self.receiver.wait(lambda taken: len(taken) == 2)
        queries = [parse_qs(urlsplit(one.path).query) for one in calls]
        self.assertEqual([one.method for one in calls], ["GET", "GET"])
        self.assertEqual([query["status"] for query in queries], [["awaiting_report"], ["delivered"]])
        self.assertEqual(
            queries[0], {"a": ["b"], "id": [f"message-id-{id}"], "status": ["awaiting_report"], "parts": ["1"]}
        )

    def test_subscribers(self) -> None:
        """Incoming texts, calls and keys are reported in the form of smsc.ru, each with its own fields (002-105)."""
        esme = self.begin("callback = {url}/x?charset=utf-8\ncallback_dialect = smsc", OURS + "calls = yes\n")
        id = esme.accepted("hello", notify=0)
        self.receiver.wait(lambda taken: len(taken) == 2)
        self.command("simulate", "message", "79031112233", "Привет", "--to", "4455")
        self.command("simulate", "call", "79031112233", "--to", "4455")
        self.command("simulate", "keys", id, "12")
        calls = self.receiver.wait(lambda taken: len(taken) == 5)[2:]
        fields = [parse_qs(one.body.decode()) for one in calls]
        self.assertEqual(fields[0]["mes"], ["Привет"])
        self.assertEqual(fields[1]["waitcall"], ["4455"])
        self.assertEqual((fields[2]["id"], fields[2]["key"]), ([id], ["12"]))
        self.assertIn("4455", self.command("list", "incoming"))

    def test_dead_letters_and_replay(self) -> None:
        """Events not taken within event_keep are listed as dead letters, and sent again by ``replay``."""
        esme = self.begin("callback = {url}/x\ncallback_dialect = native", gateway="event_keep = 2s")
        status = [500]
        self.receiver._answer = lambda request: status[0]
        id = esme.accepted("hello", notify=0)
        deadline = time.monotonic() + 20
        while len(self.gateway.get("/events")[1]["events"]) < 2:
            self.assertLess(time.monotonic(), deadline, "not given up")
        self.assertIn(id, self.command("list", "events"))
        status[0] = 200
        self.command("replay", id)
        calls = self.receiver.wait(lambda taken: len(taken) == 2)
        self.assertEqual([one.json["state"] for one in calls], ["enroute", "delivered"])
        self.assertNotIn(id, self.command("list", "events").split())


class KillTests(SynchronousTestCase):
    """kill -9 during callbacks to receivers that fail at random."""

    MESSAGES = 5_000
    KILLS = 4

    def flow(self, dialect: str, share: float) -> tuple[CallbackReceiver, set[int], set[int]]:
        """Send messages over kills; return the receiver, the accepted ids, and those after the last kill."""
        receiver = CallbackReceiver(failing_at_random(share, 7))
        self.addCleanup(receiver.close)
        gateway = GatewayProcess(
            Path(self.mktemp()).absolute(),
            account=f"callback = {receiver.url}/x\ncallback_dialect = {dialect}",
            connector="delay = 0.05\nwindow = 2000\nrate = 0",
        )
        self.addCleanup(gateway.kill)
        dice = random.Random(11)
        promised: set[int] = set()
        stage = self.MESSAGES // (self.KILLS + 1)
        for kill in range(self.KILLS + 1):
            before = set(promised)
            reported = len(receiver.taken) + dice.randrange(stage)
            gateway.start()
            esme = Esme(gateway.smpp)
            outstanding = 0
            while len(promised) < len(before) + stage:
                while outstanding < 200:
                    esme.submit("report this", notify=0)
                    outstanding += 1
                esme.read(1)
                outstanding -= len(esme.answers)
                promised |= {int(body.rstrip(b"\0")) for _, status, body in esme.answers if not status}
                esme.answers.clear()
            esme.close()
            if kill < self.KILLS:
                receiver.wait(lambda taken, reported=reported: len(taken) >= reported)  # type: ignore[misc]
                gateway.kill()
        self.gateway = gateway
        return receiver, promised, promised - before

    def test_repeated_until_taken(self) -> None:
        """10,000 events arrive, each once or more, in the order of their message, over kills and failures."""
        receiver, promised, _ = self.flow("native", 0.1)
        expected = {f"{id}.{kind}" for id in promised for kind in (1, 2)}
        seen: set[str] = set()
        looked = 0

        def all_there(taken: list[CallbackRequest]) -> bool:
            nonlocal looked
            seen.update(one.headers["x-smsgw-event"] for one in taken[looked:])
            looked = len(taken)
            return expected <= seen

        calls = receiver.wait(all_there, 90)
        first: dict[str, int] = {}
        for place, one in enumerate(calls):
            first.setdefault(one.headers["x-smsgw-event"], place)
        disordered = [id for id in promised if first[f"{id}.1"] > first[f"{id}.2"]]
        self.assertEqual(disordered, [])
        self.assertEqual(self.gateway.stop(), 0)

    def test_at_most_once(self) -> None:
        """In the form of Rostelecom no event is sent twice, over kills and failures."""
        self.patch(KillTests, "MESSAGES", 1_000)
        receiver, promised, last = self.flow("rostelecom", 0.0)
        words = ("awaiting_report", "delivered")
        expected = {f"/x?id=message-id-{id}&status={word}&parts=1" for id in last for word in words}
        receiver.wait(lambda taken: expected <= {one.path for one in taken}, 60)
        self.assertEqual(self.gateway.stop(), 0)
        reported = [one.path for one in receiver.taken]
        self.assertEqual(len(reported), len(set(reported)), "reported twice")
        self.assertGreater(len(reported), len(promised))
