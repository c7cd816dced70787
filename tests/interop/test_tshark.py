"""What the gateway sends over SMPP as Wireshark's dissector reads it."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.flows.esme import ENQUIRE_LINK, HEADER, UNBIND, Esme
from tests.interop import peers

PORT = 2775
GLOBAL_HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)
"""A capture of bare IP packets, in the pcap format."""


class RecordingEsme(Esme):
    """Keeps the PDUs that the gateway sends."""

    def __init__(self, port: int, account: str, password: str) -> None:
        self.pdus: list[bytes] = []
        super().__init__(port, account, password)

    def _look(self, command: int, status: int, sequence: int, body: bytes) -> None:
        self.pdus.append(HEADER.pack(16 + len(body), command, status, sequence) + body)
        super()._look(command, status, sequence, body)

    def ask(self, command: int, body: bytes = b"") -> None:
        """Send a request and wait until something is answered."""
        self._sequence += 1
        self._socket.sendall(HEADER.pack(16 + len(body), command, 0, self._sequence) + body)
        before = len(self.answers)
        while len(self.answers) == before:
            assert self.read(10)


def capture(pdus: list[bytes]) -> bytes:
    """A pcap file with each PDU in a TCP segment of its own, as if the gateway had sent it."""
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
        """Every kind of PDU that a message brings about is read to the end, with its TLVs, and nothing is malformed."""
        tshark = peers.program("tshark")
        gateway = peers.gateway()
        esme = RecordingEsme(gateway.smpp, "tshark", "tshark")
        esme.submit("Read me")
        ((id, _),) = esme.receipts(1)
        esme.ask(0x00000003, id.encode() + b"\0\5\0DEMO\0")
        esme.ask(0x00000003, b"999999\0\0\0\0")
        esme.ask(0x00000777)
        esme.ask(ENQUIRE_LINK)
        esme.ask(UNBIND)
        esme.close()
        path = Path(self.mktemp()).absolute()
        path.write_bytes(capture(esme.pdus))
        done = peers.run(
            *(tshark, "-r", str(path), "-d", f"tcp.port=={PORT},smpp", "-T", "json", "--no-duplicate-keys"),
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("_ws.malformed", done.stdout)
        self.assertNotIn("_ws.expert.severity\": \"8388608", done.stdout)
        seen: list[Any] = [packet["_source"]["layers"]["smpp"] for packet in json.loads(done.stdout)]
        print(done.stdout)
        heads = [(one["smpp.command_id"], one["smpp.command_status"]) for one in seen]
        self.assertEqual(heads, [
            ("0x80000009", "0x00000000"), ("0x80000004", "0x00000000"), ("0x00000005", None),
            ("0x80000003", "0x00000000"), ("0x80000003", "0x0000000c"), ("0x80000000", "0x00000003"),
            ("0x80000015", "0x00000000"), ("0x80000006", "0x00000000"),
        ])
        print(json.dumps(seen, indent=1))
