"""Measures messages a second through the HTTP and SMTP front ends, and twisted.web and twisted.mail in one run.

The gateway runs as in production, with synced commits; the servers compared with it read the same requests and store
nothing. The load client is a separate process with plain sockets.

    python benchmarks/frontends.py [--seconds N]
"""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.flows.process import GatewayProcess, free_ports  # noqa: E402 - the checkout is put on the path above

WEB = """
import json, sys
from twisted.internet import reactor
from twisted.web.resource import Resource
from twisted.web.server import Site
class Bare(Resource):
    isLeaf = True
    def render_POST(self, request):
        value = json.loads(request.content.read())
        count = len(value.get("messages", [0]))
        request.setHeader(b"Content-Type", b"application/json")
        return json.dumps({"messages": [{"id": n} for n in range(count)]}).encode()
reactor.listenTCP(int(sys.argv[1]), Site(Bare()), interface="127.0.0.1")
reactor.run()
"""

MAIL = """
import sys
from twisted.internet import reactor
from twisted.internet.defer import succeed
from twisted.internet.protocol import Factory
from twisted.mail import smtp
from zope.interface import implementer
@implementer(smtp.IMessage)
class Sink:
    def lineReceived(self, line): pass
    def eomReceived(self): return succeed(None)
    def connectionLost(self): pass
@implementer(smtp.IMessageDelivery)
class Delivery:
    def receivedHeader(self, helo, origin, recipients): return b""
    def validateFrom(self, helo, origin): return origin
    def validateTo(self, user): return Sink
class Bare(Factory):
    def buildProtocol(self, address):
        protocol = smtp.ESMTP()
        protocol.delivery = Delivery()
        return protocol
reactor.listenTCP(int(sys.argv[1]), Bare(), interface="127.0.0.1")
reactor.run()
"""

LOAD = r"""
import json, selectors, socket, sys, time
kind, port, sessions, each, seconds = sys.argv[1], *map(int, sys.argv[2:5]), float(sys.argv[5])
BODY = {"to": "79161234567", "text": "Hello from the benchmark"}
if kind == "http":
    value = BODY if each == 1 else {"messages": [BODY] * each}
    body = json.dumps(value).encode()
    head = (b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Basic ZGVtbzpkZW1v\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body))
    opening, rounds = [], [(head + body, None)]
else:
    opening = [b"", b"EHLO x\r\n"] + ([b"AUTH PLAIN AGRlbW8AZGVtbw==\r\n"] if each else [])
    rounds = [(b"MAIL FROM:<DEMO@x.example>\r\n", 250), (b"RCPT TO:<79161234567@sms.qtelecom.ru>\r\n", 250),
              (b"DATA\r\n", 354), (b"Subject: x\r\n\r\nHello from the benchmark\r\n.\r\n", 250)]
def complete(data):
    if kind == "http":
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return 0
        at = data.lower().find(b"content-length: ", 0, end)
        whole = end + 4 + int(data[at + 16:data.index(b"\r", at)])
        if len(data) < whole:
            return 0
        assert data[9:12] in (b"200", b"201"), data[:200]
        return whole
    lines = data.split(b"\r\n")
    if len(lines) < 2 or lines[-1] or lines[-2][3:4] == b"-":
        return 0
    assert lines[-2][:1] in b"23", data
    return len(data)
class Session:
    def __init__(self):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.step, self.data = 0, b""
        self.todo = list(opening)
        if self.todo:
            self.todo.pop(0)
        else:
            self.socket.sendall(rounds[0][0])
    def read(self):
        self.data += self.socket.recv(65536)
        used = complete(self.data)
        if not used:
            return 0
        self.data = self.data[used:]
        if self.todo:
            self.socket.sendall(self.todo.pop(0))
            return 0
        if kind == "smtp" and self.step == 0 and not hasattr(self, "on"):
            self.on = True
            self.socket.sendall(rounds[0][0])
            return 0
        self.step = (self.step + 1) % len(rounds)
        self.socket.sendall(rounds[self.step][0])
        return 0 if self.step else max(each, 1)
selector = selectors.DefaultSelector()
for _ in range(sessions):
    one = Session()
    selector.register(one.socket, selectors.EVENT_READ, one)
warm, done, began = time.perf_counter() + 0.5, 0, None
while True:
    for key, _ in selector.select(1):
        done += key.data.read()
    now = time.perf_counter()
    if began is None and now >= warm:
        done, began = 0, now
    if began is not None and now - began >= seconds:
        print(done / (now - began))
        break
"""


def rate(kind: str, port: int, sessions: int, each: int, seconds: float) -> float:
    """Messages a second."""
    command = [sys.executable, "-c", LOAD, kind, str(port), str(sessions), str(each), str(seconds)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, check=False)
    if ran.returncode:
        raise SystemExit(ran.stderr)
    return float(ran.stdout)


def bare(text: str, port: int) -> subprocess.Popen[bytes]:
    """A server without a store."""
    process = subprocess.Popen([sys.executable, "-c", text, str(port)])
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return process
        time.sleep(0.05)
    raise SystemExit("the bare server does not start")


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    seconds = parser.parse_args().seconds
    web, mail = free_ports(2)
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as directory:
        gateway = GatewayProcess(Path(directory), connector="delay = 0.1\nwindow = 5000\nrate = 0")
        others = [bare(WEB, web), bare(MAIL, mail)]
        try:
            gateway.start()
            print("messages a second            gateway      bare   ratio")
            for name, kind, sessions, each in (
                ("HTTP, 1 a request", "http", 20, 1),
                ("HTTP, 100 a request", "http", 20, 100),
                ("SMTP, 1 session", "smtp", 1, 1),
                ("SMTP, 10 sessions", "smtp", 10, 1),
                ("SMTP, 100 sessions", "smtp", 100, 1),
            ):
                other = rate(kind, web if kind == "http" else mail, sessions, each if kind == "http" else 0, seconds)
                ours = rate(kind, gateway.http if kind == "http" else gateway.smtp, sessions, each, seconds)
                found[name] = {"gateway": ours, "bare": other}
                print(f"{name:24} {ours:11.0f} {other:9.0f} {ours / other:7.2f}", flush=True)
        finally:
            gateway.kill()
            for process in others:
                process.terminate()
                process.wait()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
