"""The PDUs of the gateway, decoded by Wireshark's dissector."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.flows.esme import (
    BIND_TRANSCEIVER,
    DELIVER_SM,
    ENQUIRE_LINK,
    HEADER,
    QUERY_SM,
    RESPONSE,
    SUBMIT_SM,
    UNBIND,
    Esme,
)
from tests.interop import peers

PORT = 2775
GENERIC_NACK = 0x80000000
DELIVERED = "2"
GLOBAL_HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)
"""A capture of bare IP packets, in the pcap format."""


class RecordingEsme(Esme):
    """Records the PDUs that the gateway sends."""

    def __init__(self, port: int, account: str, password: str) -> None:
        self.pdus: list[bytes] = []
        super().__init__(port, account, password)

    def _look(self, command: int, status: int, sequence: int, body: bytes) -> None:
        self.pdus.append(HEADER.pack(16 + len(body), command, status, sequence) + body)
        super()._look(command, status, sequence, body)


def capture(pdus: list[bytes]) -> bytes:
    """Write a pcap file with each PDU in its own TCP segment."""
    records = [GLOBAL_HEADER]
    sequence = 1
    for number, pdu in enumerate(pdus):
        tcp = struct.pack(">HHIIBBHHH", PORT, 50_000, sequence, 1, 0x50, 0x18, 0xFFFF, 0, 0)
        ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 40 + len(pdu), number, 0, 64, 6, 0, b"\x7f\0\0\1", b"\x7f\0\0\1")
        records += [struct.pack("<IIII", number, 0, 40 + len(pdu), 40 + len(pdu)), ip, tcp, pdu]
        sequence += len(pdu)
    return b"".join(records)


class DissectorTests(SynchronousTestCase):
    def test_everything_is_well_formed(self) -> None:
        """Each kind of PDU that a message causes is decoded completely, with its TLVs, and none is malformed."""
        tshark = peers.program("tshark")
        gateway = peers.gateway()
        esme = RecordingEsme(gateway.smpp, "tshark", "tshark")
        esme.submit("Read me")
        ((id, _),) = esme.receipts(1)
        esme.request(QUERY_SM, id.encode() + b"\0\5\0DEMO\0")
        esme.request(QUERY_SM, b"999999\0\0\0\0")
        esme.request(0x00000777)
        esme.request(ENQUIRE_LINK)
        esme.request(UNBIND)
        esme.close()
        layers = self.dissect(tshark, esme.pdus)
        heads = [(int(one["smpp.command_id"], 16), int(one.get("smpp.command_status", "0"), 16)) for one in layers]
        self.assertEqual(
            heads,
            [
                *((BIND_TRANSCEIVER | RESPONSE, 0), (SUBMIT_SM | RESPONSE, 0), (DELIVER_SM, 0)),
                *((QUERY_SM | RESPONSE, 0), (QUERY_SM | RESPONSE, 0x0C), (GENERIC_NACK, 0x03)),
                *((ENQUIRE_LINK | RESPONSE, 0), (UNBIND | RESPONSE, 0)),
            ],
        )
        bound, accepted, receipt, answer = layers[:4]
        self.assertEqual(bound["smpp.system_id"], "smsgw")
        self.assertEqual(tlvs(bound), {"smpp.SC_interface_version": "80"})
        self.assertEqual(accepted["smpp.message_id"], id)
        facts = ("source_addr", "destination_addr", "esm.submit.msg_type", "data_coding")
        self.assertEqual([receipt[f"smpp.{fact}"] for fact in facts], ["79161234567", "DEMO", "0x01", "0x00"])
        fields = tlvs(receipt)
        self.assertEqual((fields["smpp.receipted_message_id"], fields["smpp.message_state"]), (id, DELIVERED))
        self.assertEqual((answer["smpp.message_id"], answer["smpp.message_state"]), (id, DELIVERED))
        self.assertIn("UTC", answer["smpp.final_date"])

    def dissect(self, tshark: str, pdus: list[bytes]) -> list[Any]:
        """Return the dissector's result for each PDU; it must report only the broken PDU that is appended."""
        broken = HEADER.pack(16 + 3, SUBMIT_SM | RESPONSE, 0, 9) + b"abc"
        path = Path(self.mktemp()).absolute()
        path.write_bytes(capture([*pdus, broken]))
        done = peers.run(
            *(tshark, "-r", str(path), "-d", f"tcp.port=={PORT},smpp", "-T", "json", "--no-duplicate-keys"),
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        *packets, last = [packet["_source"]["layers"] for packet in json.loads(done.stdout)]
        for packet in packets:
            self.assertEqual(set(packet), {"frame", "raw", "ip", "tcp", "smpp"})
            self.assertNotIn("_ws.", json.dumps(packet["smpp"]))
        self.assertIn("_ws.malformed", last)
        return [packet["smpp"] for packet in packets]


def tlvs(layer: Any) -> dict[str, str]:
    """Return the optional parameters of a PDU with their descriptions."""
    found = layer["smpp.opt_params"]["smpp.opt_param"]
    merged: dict[str, str] = {}
    for one in found if isinstance(found, list) else [found]:
        merged.update(one)
    return {name: value for name, value in merged.items() if not name.startswith("smpp.opt_param_")}
