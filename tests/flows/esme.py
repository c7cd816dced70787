"""A small blocking ESME. It encodes PDUs itself, so that it does not share mistakes with the codec."""

from __future__ import annotations

import select
import socket
import struct
import time
from collections import deque

HEADER = struct.Struct(">IIII")
BIND_TRANSCEIVER, SUBMIT_SM, QUERY_SM, DELIVER_SM, ENQUIRE_LINK, UNBIND = 0x9, 0x4, 0x3, 0x5, 0x15, 0x6
RESPONSE = 0x80000000


class Esme:
    """A bound transceiver, which answers deliver_sm and enquire_link by itself.

    :ivar answers: (sequence_number, command_status, body) of received responses, in order.
    :ivar deliveries: bodies of received deliver_sm, in order. :ivar kinds: command_ids of the answers.
    :ivar requests: command_ids of the gateway's other requests.
    """

    def __init__(self, port: int, account: str = "demo", password: str = "demo", acknowledge: bool = True) -> None:
        self.answers: deque[tuple[int, int, bytes]] = deque()
        self.deliveries: deque[bytes] = deque()
        self.kinds: list[int] = []
        self.requests: list[int] = []
        self._acknowledge = acknowledge
        self._tail = b""
        self._sequence = 0
        self._socket = socket.create_connection(("127.0.0.1", port), 10)
        body = f"{account}\0{password}\0\0".encode() + b"\x34\0\0\0"
        self._socket.sendall(HEADER.pack(16 + len(body), BIND_TRANSCEIVER, 0, 0x7000000) + body)
        while not self.answers:
            if not self.read(10):
                raise AssertionError("no answer to the bind")
        _, status, _ = self.answers.popleft()
        if status:
            raise AssertionError(f"bind refused with {status:#x}")

    def submit(self, text: str, to: str = "79161234567", source: str = "DEMO", notify: int = 1) -> int:
        """Send one submit_sm of Latin text; return its sequence_number."""
        self._sequence += 1
        octets = text.encode("ascii")
        body = b"\0\5\0%b\0\1\1%b\0\0\0\0\0\0%c\0\0\0%c%b" % (source.encode(), to.encode(), notify, len(octets), octets)
        self._socket.sendall(HEADER.pack(16 + len(body), SUBMIT_SM, 0, self._sequence) + body)
        return self._sequence

    def request(self, command: int, body: bytes = b"") -> tuple[int, bytes]:
        """Send a request; return command_status and body of its response."""
        self._sequence += 1
        self._socket.sendall(HEADER.pack(16 + len(body), command, 0, self._sequence) + body)
        return self.answer(self._sequence)

    def answer(self, number: int) -> tuple[int, bytes]:
        """Return command_status and body of the response to one request; other responses are kept."""
        while True:
            for one in self.answers:
                if one[0] == number:
                    self.answers.remove(one)
                    return one[1:]
            if not self.read(10):
                raise AssertionError(f"no answer to request {number}")

    def accepted(self, text: str, to: str = "79161234567", source: str = "DEMO", notify: int = 1) -> str:
        """Submit a message, which must be accepted; return its id."""
        status, body = self.answer(self.submit(text, to, source, notify))
        if status:
            raise AssertionError(f"refused with {status:#x}")
        return body.rstrip(b"\0").decode()

    def state(self, id: str) -> int:
        """Return the message_state of a message by query_sm."""
        status, body = self.request(QUERY_SM, id.encode() + b"\0\0\0\0")
        if status:
            raise AssertionError(f"query refused with {status:#x}")
        return body[-2]

    def read(self, seconds: float) -> bool:
        """Wait for octets and process them; return False if none arrived. Raises ConnectionError if the gateway
        closed."""
        if not select.select([self._socket], [], [], seconds)[0]:
            return False
        data = self._socket.recv(1 << 16)
        if not data:
            raise ConnectionError("closed by the gateway")
        data = self._tail + data
        while len(data) >= 16:
            length, command, status, sequence = HEADER.unpack_from(data)
            if len(data) < length:
                break
            self._look(command, status, sequence, data[16:length])
            data = data[length:]
        self._tail = data
        return True

    def _look(self, command: int, status: int, sequence: int, body: bytes) -> None:
        if command & RESPONSE:
            self.answers.append((sequence, status, body))
            self.kinds.append(command)
        elif command == DELIVER_SM:
            self.deliveries.append(body)
            if self._acknowledge:
                self._socket.sendall(HEADER.pack(17, DELIVER_SM | RESPONSE, 0, sequence) + b"\0")
        else:
            self.requests.append(command)
            self._socket.sendall(HEADER.pack(16, command | RESPONSE, 0, sequence))

    def receipts(self, number: int, seconds: float = 10.0) -> list[tuple[str, str]]:
        """Wait for `number` receipts; return (id, stat) of each."""
        deadline = time.monotonic() + seconds
        while len(self.deliveries) < number and (left := deadline - time.monotonic()) > 0:
            self.read(left)
        return [receipt(self.deliveries.popleft()) for _ in range(min(number, len(self.deliveries)))]

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


def receipt(body: bytes) -> tuple[str, str]:
    """Return id and stat of a receipt's text."""
    text = body[body.index(b"id:") :]
    name = text[3 : text.index(b" ")].decode()
    stat = text[text.index(b"stat:") + 5 :].split(b" ", 1)[0].decode()
    return name, stat
