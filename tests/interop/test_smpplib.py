"""The gateway with the Python library smpplib."""

from __future__ import annotations

import time
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.flows.shared import shown
from tests.interop import peers

NUMBER = "79161234567"
DELIVERED = 2


class SmpplibTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.smpplib = peers.module("smpplib")
        self.module = peers.module("smpplib.client")
        self.gsm = peers.module("smpplib.gsm")
        self.gateway = peers.gateway()
        self.ids: list[str] = []
        self.receipts: dict[str, Any] = {}
        self.queried: list[Any] = []

    def client(self, bind: str, password: str = "smpplib") -> Any:
        """A bound client that records PDUs."""
        client = self.module.Client("127.0.0.1", self.gateway.smpp, timeout=10, allow_unknown_opt_params=True)
        client.set_message_sent_handler(lambda pdu: self.ids.append(pdu.message_id.decode()))
        client.set_message_received_handler(self.received)
        client.set_query_resp_handler(self.queried.append)
        client.connect()
        self.addCleanup(self.hang_up, client)
        getattr(client, f"bind_{bind}")(system_id="smpplib", password=password)
        return client

    @staticmethod
    def hang_up(client: Any) -> None:
        """Unbind and disconnect; the library then counts its state as open."""
        if client._socket is not None:
            client.state = peers.module("smpplib.consts").SMPP_CLIENT_STATE_OPEN
            client.disconnect()

    def received(self, pdu: Any) -> int:
        """Record a receipt."""
        self.receipts[pdu.receipted_message_id.rstrip(b"\0").decode()] = pdu
        return 0

    def submit(self, client: Any, octets: bytes, data_coding: int, esm_class: int = 0, **more: Any) -> None:
        """Send one submit_sm that requests a receipt."""
        text = {} if "message_payload" in more else {"short_message": octets}
        client.send_message(
            source_addr_ton=5,
            source_addr="DEMO",
            dest_addr_ton=1,
            dest_addr_npi=1,
            destination_addr=NUMBER,
            data_coding=data_coding,
            esm_class=esm_class,
            registered_delivery=1,
            **text,
            **more,
        )

    def submit_text(self, client: Any, text: str) -> int:
        """Send a text split by the library; return the number of parts."""
        parts, data_coding, esm_class = self.gsm.make_parts(text)
        for octets in parts:
            self.submit(client, octets, data_coding, esm_class)
        return len(parts)

    def read(self, client: Any, what: dict[str, Any] | list[Any], number: int) -> None:
        """Read until `what` has grown to `number`."""
        deadline = time.monotonic() + peers.PATIENCE
        while len(what) < number and time.monotonic() < deadline:
            client.read_once()
        self.assertEqual(len(what), number)

    def check_delivered(self, client: Any, number: int) -> None:
        """That many messages were accepted, have receipts with DELIVRD, and query_sm reports them delivered."""
        self.read(client, self.ids, number)
        self.read(client, self.receipts, number)
        self.assertEqual(sorted(self.receipts), sorted(self.ids))
        for id, pdu in self.receipts.items():
            text = pdu.short_message.decode("ascii")
            self.assertRegex(
                text, rf"\Aid:{id} sub:001 dlvrd:001 submit date:\d{{10}} done date:\d{{10}} stat:DELIVRD "
            )
            self.assertEqual((pdu.esm_class, pdu.message_state), (0x04, DELIVERED))
            self.assertEqual((pdu.source_addr, pdu.destination_addr), (NUMBER.encode(), b"DEMO"))
        self.check_query(client)

    def check_query(self, client: Any) -> None:
        """query_sm reports each accepted message delivered, with the time."""
        for id in self.ids:
            client.query_message(message_id=id, source_addr_ton=5, source_addr_npi=0, source_addr="DEMO")
        self.read(client, self.queried, len(self.ids))
        for id, answer in zip(self.ids, self.queried, strict=True):
            self.assertEqual((answer.message_id.decode(), answer.message_state), (id, DELIVERED))
            self.assertRegex(answer.final_date, rb"\A\d{15}[+-]\Z")

    def texts(self) -> list[str]:
        """Return the texts of the accepted messages in the gateway."""
        return [shown(self.gateway, "smpplib", id)["text"] for id in self.ids]

    def test_gsm_text(self) -> None:
        """A text of the default alphabet with its extension arrives unchanged, has a receipt and can be queried."""
        client = self.client("transceiver")
        self.assertEqual(self.submit_text(client, peers.GSM), 1)
        self.check_delivered(client, 1)
        self.assertEqual(self.texts(), [peers.GSM])

    def test_ucs2_text(self) -> None:
        """A text in UCS-2 with a character beyond the basic plane arrives unchanged and has a receipt."""
        client = self.client("transceiver")
        self.assertEqual(self.submit_text(client, peers.UCS2), 1)
        self.check_delivered(client, 1)
        self.assertEqual(self.texts(), [peers.UCS2])

    def test_three_parts(self) -> None:
        """A text that the library splits into three parts with UDHs gets an id and a receipt for each part."""
        client = self.client("transceiver")
        self.assertEqual(self.submit_text(client, peers.LONG), 3)
        self.check_delivered(client, 3)
        self.assertEqual(len(set(self.ids)), 3)
        self.assertEqual("".join(self.texts()), peers.LONG)

    def test_payload(self) -> None:
        """A long text in message_payload is one message with one id and one receipt, and goes out in three parts."""
        client = self.client("transceiver")
        self.submit(client, b"", 0, message_payload=self.gsm.gsm_encode(peers.LONG))
        self.read(client, self.ids, 1)
        self.read(client, self.receipts, 1)
        self.check_query(client)
        found = shown(self.gateway, "smpplib", self.ids[0])
        self.assertEqual((found["text"], found["pdu_count"], found["status"]), (peers.LONG, 3, "delivered"))

    def test_pair(self) -> None:
        """What is submitted over a transmitter is reported to the receiver of the account."""
        transmitter, receiver = self.client("transmitter"), self.client("receiver")
        self.submit_text(transmitter, peers.GSM)
        self.read(transmitter, self.ids, 1)
        self.read(receiver, self.receipts, 1)
        self.assertEqual(list(self.receipts), self.ids)
        self.assertEqual(shown(self.gateway, "smpplib", self.ids[0])["status"], "delivered")

    def test_link_and_unbind(self) -> None:
        """enquire_link and unbind are answered; then the gateway disconnects."""
        client = self.client("transceiver")
        client.send_pdu(peers.module("smpplib.smpp").make_pdu("enquire_link", client=client))
        answer = client.read_pdu()
        self.assertEqual((answer.command, answer.status), ("enquire_link_resp", 0))
        answer = client.unbind()
        self.assertEqual((answer.command, answer.status), ("unbind_resp", 0))
        self.assertRaises(peers.module("smpplib.exceptions").ConnectionError, client.read_pdu)

    def test_i1_refused_query(self) -> None:
        """The refusal of a query_sm is read with empty fields, and the session goes on."""
        client = self.client("transceiver")
        client.query_message(message_id="999999", source_addr_ton=5, source_addr_npi=0, source_addr="DEMO")
        answer = client.read_pdu()
        found = (answer.command, answer.status, answer.message_id, answer.final_date, answer.message_state)
        self.assertEqual(found, ("query_sm_resp", 0x0C, b"", b"", 0))
        answer = client.unbind()
        self.assertEqual((answer.command, answer.status), ("unbind_resp", 0))

    def test_wrong_password(self) -> None:
        """A bind with a wrong password fails with invalid password, which the library raises."""
        error = self.assertRaises(peers.module("smpplib.exceptions").PDUError, self.client, "transceiver", "wrong")
        self.assertEqual(error.args[1], 0x0E)
