"""A load client (ESME) in a separate process: submits over SMPP, acknowledges receipts, matches both.

It splits frames and reads only the octets that it needs, so that the gateway is the bottleneck. Prints one JSON object;
exits 1 if a message was lost or duplicated.

    python benchmarks/load.py --port 2775 --account demo --password demo --count 20000 --window 100
"""

from __future__ import annotations

import argparse
import json
import select
import socket
import struct
import sys
import time
from collections import deque
from typing import Any

HEADER = struct.Struct(">IIII")
SUBMIT_SM, SUBMIT_SM_RESP, DELIVER_SM, DELIVER_SM_RESP = 0x4, 0x80000004, 0x5, 0x80000005
BIND_TRANSCEIVER, BIND_TRANSCEIVER_RESP = 0x9, 0x80000009
ENQUIRE_LINK, ENQUIRE_LINK_RESP, UNBIND = 0x15, 0x80000015, 0x6


def frame(command: int, sequence: int, body: bytes = b"", status: int = 0) -> bytes:
    """One PDU."""
    return HEADER.pack(16 + len(body), command, status, sequence) + body


class Session:
    """One bound connection with its share of the messages."""

    def __init__(self, options: argparse.Namespace, count: int, seconds: list[float]) -> None:
        self.count = count
        self.sent = self.answered = 0
        self.window = options.window
        self.times = seconds
        self.started: dict[int, float] = {}
        self.ids: dict[bytes, float] = {}
        self.early: dict[bytes, float] = {}
        self.receipts: dict[bytes, int] = {}
        self.answers: list[float] = []
        self.reports: list[float] = []
        self.refused: dict[int, int] = {}
        self.tail = b""
        self.out: deque[bytes] = deque()
        body = b"\0\5\0%b\0\1\1%b\0\0\0\0\0\0%c\0\0\0%c%b"
        text = options.text.encode()
        self.body = body % (options.source.encode(), options.to.encode(), 1, len(text), text)
        self.socket = socket.create_connection((options.host, options.port), 10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        bind = options.account.encode() + b"\0" + options.password.encode() + b"\0\0\x34\0\0\0"
        self.socket.sendall(frame(BIND_TRANSCEIVER, 0x7FFFFFFF, bind))
        answer = self.socket.recv(65536)
        length, command, status, _ = HEADER.unpack_from(answer)
        if command != BIND_TRANSCEIVER_RESP or status:
            raise SystemExit(f"the bind was answered {command:#x} with status {status:#x}")
        self.tail = answer[length:]
        self.socket.setblocking(False)

    def submit(self, now: float, allowed: int) -> int:
        """Send as many messages as the window, the count and `allowed` permit; return the number."""
        number = min(self.window - (self.sent - self.answered), self.count - self.sent, allowed)
        if number <= 0:
            return 0
        size, body, started = 16 + len(self.body), self.body, self.started
        pack, pieces = HEADER.pack, []
        for sequence in range(self.sent + 1, self.sent + number + 1):
            pieces.append(pack(size, SUBMIT_SM, 0, sequence))
            pieces.append(body)
            started[sequence] = now
        self.sent += number
        self.out.append(b"".join(pieces))
        return number

    def received(self, data: bytes, now: float) -> None:
        """Handle all PDUs of one read."""
        data = self.tail + data if self.tail else data
        at, size, unpack = 0, len(data), HEADER.unpack_from
        answers = []
        while size - at >= 16:
            length, command, status, sequence = unpack(data, at)
            if size - at < length:
                break
            if command == SUBMIT_SM_RESP:
                self.answered += 1
                start = self.started.pop(sequence)
                if status:
                    self.refused[status] = self.refused.get(status, 0) + 1
                else:
                    self.answers.append(now - start)
                    name = data[at + 16 : at + length - 1]
                    if name in self.early:
                        self.reports.append(self.early.pop(name) - start)
                    self.ids[name] = start
            elif command == DELIVER_SM:
                name = data[data.index(b"id:", at) + 3 : data.index(b" sub:", at)]
                self.receipts[name] = self.receipts.get(name, 0) + 1
                started = self.ids.get(name)
                if started is None:
                    self.early[name] = now
                else:
                    self.reports.append(now - started)
                answers.append(HEADER.pack(17, DELIVER_SM_RESP, 0, sequence) + b"\0")
            elif command == ENQUIRE_LINK:
                answers.append(HEADER.pack(16, ENQUIRE_LINK_RESP, 0, sequence))
            at += length
        self.tail = data[at:]
        if answers:
            self.out.append(b"".join(answers))

    def flush(self) -> None:
        """Write octets up to the socket's buffer."""
        while self.out:
            chunk = self.out.popleft()
            try:
                written = self.socket.send(chunk)
            except BlockingIOError:
                written = 0
            if written < len(chunk):
                self.out.appendleft(chunk[written:])
                return

    @property
    def done(self) -> bool:
        """Return whether every message is answered and every accepted one has its receipt."""
        return self.answered >= self.count and len(self.receipts) >= len(self.ids)


def quantile(values: list[float], share: float) -> float | None:
    """A quantile in milliseconds."""
    if not values:
        return None
    ordered = sorted(values)
    return round(1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Send all messages, wait for all receipts, return the results."""
    times: list[float] = []
    each = options.count // options.connections
    sessions = [Session(options, each, times) for _ in range(options.connections)]
    poll = select.poll()
    by_fd = {session.socket.fileno(): session for session in sessions}
    for fd in by_fd:
        poll.register(fd, select.POLLIN)
    begun = last_read = time.perf_counter()
    last_answer = last_receipt = begun
    offered = 0
    while not all(session.done for session in sessions):
        now = time.perf_counter()
        if now - last_read > options.patience:
            break
        allowed = int((now - begun) * options.rate) - offered if options.rate else 1 << 30
        for session in sessions:
            number = session.submit(now, allowed)
            offered += number
            allowed -= number
            session.flush()
            poll.modify(session.socket.fileno(), select.POLLIN | (select.POLLOUT if session.out else 0))
        for fd, _ in poll.poll(1 if options.rate else 200):
            session = by_fd[fd]
            try:
                data = session.socket.recv(1 << 18)
            except BlockingIOError:
                continue
            if not data:
                raise SystemExit("the gateway closed the connection")
            last_read = time.perf_counter()
            before = session.answered
            session.received(data, last_read)
            if session.answered > before:
                last_answer = last_read
            last_receipt = last_read
    for session in sessions:
        session.out.append(frame(UNBIND, 0x7FFFFFFE))
        session.flush()
    accepted = sum(len(session.answers) for session in sessions)
    ids = [name for session in sessions for name in session.ids]
    receipts_by_id: dict[bytes, int] = {}
    for session in sessions:
        for name, number in session.receipts.items():
            receipts_by_id[name] = receipts_by_id.get(name, 0) + number
    answers = [value for session in sessions for value in session.answers]
    reports = [value for session in sessions for value in session.reports]
    return {
        "accepted": accepted,
        "unanswered": sum(session.sent - session.answered for session in sessions),
        "refused": {f"{status:#x}": number for session in sessions for status, number in session.refused.items()},
        "receipts": sum(receipts_by_id.values()),
        "lost": sum(1 for name in ids if name not in receipts_by_id),
        "doubled": sum(number - 1 for number in receipts_by_id.values()),
        "same_id": len(ids) - len(set(ids)),
        "seconds": round(last_receipt - begun, 3),
        "answers_per_s": round(accepted / (last_answer - begun or 1)),
        "messages_per_s": round(accepted / (last_receipt - begun or 1)),
        "answer_ms": {"p50": quantile(answers, 0.5), "p99": quantile(answers, 0.99)},
        "receipt_ms": {"p50": quantile(reports, 0.5), "p99": quantile(reports, 0.99)},
    }


def main() -> int:
    """Read the options, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=2775)
    parser.add_argument("--account", default="demo")
    parser.add_argument("--password", default="demo")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--window", type=int, default=100)
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--rate", type=float, default=0, help="messages a second; 0: as fast as the window allows")
    parser.add_argument("--source", default="DEMO")
    parser.add_argument("--to", default="79161234567")
    parser.add_argument("--text", default="Hello, this is a test message of forty c")
    parser.add_argument("--patience", type=float, default=10, help="seconds of silence after which to give up")
    figures = run(parser.parse_args())
    print(json.dumps(figures))
    return int(bool(figures["lost"] or figures["doubled"] or figures["unanswered"] or figures["same_id"]))


if __name__ == "__main__":
    sys.exit(main())
