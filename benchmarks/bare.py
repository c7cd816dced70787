"""The baseline of the end-to-end benchmark: an SMPP server on Twisted without a store.

It splits frames, answers each submit_sm and sends its receipt at once. The ratio to the gateway in one run shows the
cost of decoding, checking, routing and synced commits, independent of the machine.

    python benchmarks/bare.py 27750
"""

from __future__ import annotations

import struct
import sys

from twisted.internet import reactor
from twisted.internet.protocol import Factory, Protocol

HEADER = struct.Struct(">IIII")
SUBMIT_SM, DELIVER_SM_RESP, ENQUIRE_LINK, BIND_TRANSCEIVER, UNBIND = 0x4, 0x80000005, 0x15, 0x9, 0x6
RECEIPT = b"\0\1\1%b\0\5\0%b\0\4\0\0\0\0\0\0\0\0%c%b"
TEXT = b"id:%d sub:001 dlvrd:001 submit date:2601010000 done date:2601010000 stat:DELIVRD err:000 text:"


class Bare(Protocol):
    """Answers at once and keeps no state."""

    tail = b""
    last_id = 0

    def connectionMade(self) -> None:
        """Set TCP_NODELAY."""
        self.transport.setTcpNoDelay(True)  # type: ignore[union-attr]

    def dataReceived(self, data: bytes) -> None:
        """One write per read, as in the gateway."""
        data = self.tail + data
        at, size, out = 0, len(data), []
        while size - at >= 16:
            length, command, _, sequence = HEADER.unpack_from(data, at)
            if size - at < length:
                break
            if command == SUBMIT_SM:
                self.last_id += 1
                name = b"%d\0" % self.last_id
                out.append(HEADER.pack(16 + len(name), command | 0x80000000, 0, sequence) + name)
                text = TEXT % self.last_id
                body = RECEIPT % (b"79161234567", b"DEMO", len(text), text)
                out.append(HEADER.pack(16 + len(body), 0x5, 0, self.last_id) + body)
            elif command == BIND_TRANSCEIVER:
                out.append(HEADER.pack(21, command | 0x80000000, 0, sequence) + b"bare\0")
            elif command != DELIVER_SM_RESP:
                out.append(HEADER.pack(16, command | 0x80000000, 0, sequence))
            at += length
        self.tail = data[at:]
        self.transport.write(b"".join(out))  # type: ignore[union-attr]


if __name__ == "__main__":
    reactor.listenTCP(int(sys.argv[1]), Factory.forProtocol(Bare), interface="127.0.0.1")  # type: ignore[attr-defined]
    reactor.run()  # type: ignore[attr-defined]
