"""Clients that send bad SMPP or floods are answered or closed, without effect on others."""

from __future__ import annotations

import random
import socket
import struct

from twisted.trial.unittest import SynchronousTestCase

from tests.flows.esme import BIND_TRANSCEIVER, HEADER, RESPONSE, SUBMIT_SM, Esme
from tests.flows.shared import shared_gateway

GENERIC_NACK = 0x80000000
INVALID_LENGTH = 0x02
MOST = 128 * 1024

BOMBS = {
    "nothing but a length of 4 GiB": b"\xff\xff\xff\xff",
    "a header that announces 2 GiB": HEADER.pack(0x7FFFFFFF, SUBMIT_SM, 0, 1),
    "one octet more than is allowed": HEADER.pack(MOST + 1, SUBMIT_SM, 0, 1),
    "a length of 0": HEADER.pack(0, SUBMIT_SM, 0, 1),
    "a length shorter than a header": HEADER.pack(15, SUBMIT_SM, 0, 1),
    "a browser": b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n",
    "a mail program": b"EHLO client.example\r\nMAIL FROM:<a@b.example>\r\n",
    "a TLS client": bytes.fromhex("16030100c8010000c40303") + bytes(range(200)),
    "letters": b"A" * 4096,
}
"""Octets after which the start of the next PDU is unknown."""

JUNK = {
    "a bind without a body": HEADER.pack(16, BIND_TRANSCEIVER, 0, 1),
    "a bind that ends within a string": HEADER.pack(20, BIND_TRANSCEIVER, 0, 1) + b"demo",
    "a bind with an endless name": HEADER.pack(16 + 5_000, BIND_TRANSCEIVER, 0, 1) + b"d" * 5_000,
    "a submit before any bind": HEADER.pack(16 + 3, SUBMIT_SM, 0, 1) + b"\0\1\1",
    "a command that there is not": HEADER.pack(16, 0x0BAD, 0, 1),
    "a response to nothing": HEADER.pack(17, SUBMIT_SM | RESPONSE, 0, 1) + b"\0",
    "a generic_nack to nothing": HEADER.pack(16, GENERIC_NACK, 3, 1),
}
"""Faulty PDUs whose length is right."""


class BadPeerTests(SynchronousTestCase):
    def setUp(self) -> None:
        """Bind a client that must be served during the test."""
        self.gateway = shared_gateway("good", "new")
        self.esme = Esme(self.gateway.smpp, "good", "good")
        self.addCleanup(self.esme.close)

    def check_served(self) -> None:
        """Check that a message is delivered and that a new client can bind."""
        id = self.esme.accepted("Am I served?")
        self.assertEqual(self.esme.receipts(1), [(id, "DELIVRD")])
        Esme(self.gateway.smpp, "new", "new").close()

    def connect(self) -> socket.socket:
        """Open a connection of a bad client."""
        peer = socket.create_connection(("127.0.0.1", self.gateway.smpp), 10)
        self.addCleanup(peer.close)
        return peer

    def everything(self, peer: socket.socket) -> bytes:
        """Return the gateway's octets until it closes; TimeoutError if it does not."""
        said = b""
        try:
            while data := peer.recv(1 << 16):
                said += data
        except ConnectionResetError:
            self.assertTrue(said, "cut off without a word")
        return said

    def test_length_bombs(self) -> None:
        """Broken framing is answered with one generic_nack, invalid length, and the connection is closed at once."""
        for name, octets in BOMBS.items():
            peer = self.connect()
            peer.sendall(octets)
            length, command, status, _ = HEADER.unpack(self.everything(peer))
            self.assertEqual((length, command, status), (16, GENERIC_NACK, INVALID_LENGTH), name)
        self.check_served()

    def test_bomb_of_a_bound_peer(self) -> None:
        """The same for a bound client; its earlier messages are answered first, and delivered."""
        bad = Esme(self.gateway.smpp)
        number = bad.submit("The last good one")
        bad._socket.sendall(BOMBS["a header that announces 2 GiB"])
        with self.assertRaises(ConnectionError):
            while bad.read(10):
                pass
        bad.close()
        (sequence, status, body), (_, nack, _) = bad.answers
        self.assertEqual((sequence, status, nack), (number, 0, INVALID_LENGTH))
        self.check_served()
        again = Esme(self.gateway.smpp)
        self.addCleanup(again.close)
        self.assertEqual(again.receipts(1), [(body.rstrip(b"\0").decode(), "DELIVRD")])

    def test_wrong_pdus(self) -> None:
        """A faulty PDU gets one answer at most; the bind after it succeeds."""
        bind = b"demo\0demo\0\0\x34\0\0\0"
        for name, octets in JUNK.items():
            peer = self.connect()
            peer.sendall(octets + HEADER.pack(16 + len(bind), BIND_TRANSCEIVER, 0, 77) + bind)
            said = b""
            while struct.pack(">III", BIND_TRANSCEIVER | RESPONSE, 0, 77) not in said:
                data = peer.recv(1 << 16)
                self.assertTrue(data, f"{name}: hung up after {said.hex()}")
                said += data
            peer.close()
        self.check_served()

    def test_garbage(self) -> None:
        """Random octets, in pieces, by many clients at once, end each of these connections and no other."""
        dice = random.Random(20261121)
        peers = [self.connect() for _ in range(8)]
        for _ in range(3):
            for peer in peers:
                try:
                    peer.sendall(b"\xff" + dice.randbytes(dice.randrange(100, 3000)))
                except ConnectionError:
                    continue
        for peer in peers:
            try:
                self.everything(peer)
            finally:
                peer.close()
        self.check_served()

    def test_silence_and_half_a_pdu(self) -> None:
        """Silent clients, and those that stop inside a PDU, do not delay others."""
        silent = [self.connect() for _ in range(10)]
        for peer in silent[::2]:
            peer.sendall(HEADER.pack(200, BIND_TRANSCEIVER, 0, 1) + b"demo")
        self.check_served()
