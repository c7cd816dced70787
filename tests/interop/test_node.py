"""The gateway with the package smpp for Node.js."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from smsgw.smpp.consts import MessageState
from tests.flows.shared import shown
from tests.interop import peers

NUMBER = "79161234568"


class NodeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.node = peers.node("smpp")
        self.gateway = peers.gateway()

    def send(self, bind: str, *messages: dict[str, object]) -> Any:
        """Bind, submit, wait for the receipts, query, unbind; return the script's results."""
        report = peers.report(
            "esme.js",
            self.node,
            environment=peers.NODE,
            port=self.gateway.smpp,
            login="node",
            password="node",
            bind=bind,
            messages=[{"destination_addr": NUMBER, **message} for message in messages],
        )
        self.check_session(report, 2 if bind == "pair" else 1)
        self.check_messages(report, len(messages))
        return report

    def check_session(self, report: Any, sessions: int) -> None:
        """Binds, enquire_link and unbinds were answered with success, and the gateway then disconnected."""
        self.assertEqual(report["binds"], [{"status": 0, "system_id": "smsgw", "version": 0x50}] * sessions)
        self.assertEqual(report["unbinds"], [0] * sessions)
        self.assertEqual(report["enquire_link"], 0)

    def check_messages(self, report: Any, number: int) -> None:
        """Each message was accepted, has one receipt with DELIVRD, and query_sm reports it delivered."""
        ids = [submit["id"] for submit in report["submits"]]
        self.assertEqual([submit["status"] for submit in report["submits"]], [0] * number)
        self.assertEqual(len(set(ids)), number)
        self.assertEqual(sorted(receipt["id"] for receipt in report["receipts"]), sorted(ids))
        for receipt in report["receipts"]:
            fields = (receipt["state"], receipt["esm_class"], receipt["from"], receipt["to"])
            self.assertEqual(fields, (MessageState.DELIVERED, 0x04, NUMBER, "DEMO"))
            self.assertRegex(receipt["text"], rf"\Aid:{receipt['id']} sub:001 dlvrd:001 .* stat:DELIVRD err:000 text:")
        for id, query in zip(ids, report["queries"], strict=True):
            self.assertTrue(query.pop("final_date"))
            self.assertEqual(query, {"status": 0, "id": id, "state": MessageState.DELIVERED, "error": 0})

    def texts(self, report: Any) -> list[str]:
        """Return the texts of the accepted messages in the gateway."""
        return [shown(self.gateway, "node", submit["id"])["text"] for submit in report["submits"]]

    def test_gsm_and_ucs2_text(self) -> None:
        """Texts that the package encodes as GSM and UCS-2 arrive unchanged, have receipts and can be queried."""
        report = self.send(
            "transceiver",
            {"short_message": peers.GSM, "data_coding": 0},
            {"short_message": peers.UCS2, "data_coding": 8},
        )
        self.assertEqual(self.texts(report), [peers.GSM, peers.UCS2])

    def test_three_parts(self) -> None:
        """A text in three parts, tied by user data headers, gets an id and a receipt for each part."""
        cut = [peers.LONG[at : at + 153] for at in range(0, len(peers.LONG), 153)]
        self.assertEqual(len(cut), 3)
        parts = [
            {"udh": f"050003a703{number:02x}", "short_message": text, "data_coding": 0}
            for number, text in enumerate(cut, 1)
        ]
        report = self.send("transceiver", *parts)
        self.assertEqual(self.texts(report), cut)

    def test_pair(self) -> None:
        """A long text in message_payload, submitted over a transmitter, is reported to the receiver as one message."""
        report = self.send("pair", {"message_payload": peers.LONG, "data_coding": 0})
        found = shown(self.gateway, "node", report["submits"][0]["id"])
        self.assertEqual((found["text"], found["pdu_count"]), (peers.LONG, 3))
