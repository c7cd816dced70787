"""Measures callbacks per second to one receiver and to fifty, and the bare HTTP client in the same run.

The receivers are one process with one port each; the callbacks go through the real return path, and a loop replaces the
outbox. The bare client is Twisted's Agent with the same number of concurrent requests.

    python benchmarks/callbacks.py [--seconds N]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import attrs  # noqa: E402 - the checkout is put on the path above
from twisted.internet import reactor as installed  # noqa: E402
from twisted.internet.defer import Deferred, gatherResults  # noqa: E402
from twisted.internet.protocol import Protocol  # noqa: E402
from twisted.web.client import Agent, HTTPConnectionPool  # noqa: E402

from smsgw.config import AccountSettings, Settings  # noqa: E402
from smsgw.frontends.callbacks.path import PER_RECEIVER, CallbackPath  # noqa: E402
from smsgw.model.content import Content  # noqa: E402
from smsgw.model.lifecycle import State  # noqa: E402
from smsgw.model.message import CALLBACK, Event, EventKind, Message  # noqa: E402
from smsgw.plugins import dialects  # noqa: E402
from smsgw.protocols.http.client import WebClient  # noqa: E402

reactor: Any = installed

RECEIVER = """
import sys
from twisted.internet import reactor
from twisted.internet.protocol import Factory, Protocol
class Receiver(Protocol):
    octets = b""
    def dataReceived(self, data):
        octets = self.octets + data
        while True:
            end = octets.find(b"\\r\\n\\r\\n")
            if end < 0:
                break
            at = octets.lower().find(b"content-length: ", 0, end)
            length = int(octets[at + 16:octets.index(b"\\r", at)]) if at >= 0 else 0
            if len(octets) < end + 4 + length:
                break
            octets = octets[end + 4 + length:]
            self.transport.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n")
        self.octets = octets
ports = [reactor.listenTCP(0, Factory.forProtocol(Receiver), interface="127.0.0.1") for _ in range(50)]
print(*(port.getHost().port for port in ports), flush=True)
reactor.run()
"""

CONTENT = Content("DEMO", 5, 0, 1, 1, 0, 0, b"hello")


@attrs.frozen
class Account:
    """An account with its settings."""

    settings: AccountSettings


class Feeder:
    """Replaces the outbox: it always has another event for each account."""

    def __init__(self, accounts: list[str]) -> None:
        self.accounts = accounts
        self.path: Any = None
        self.number = 0
        self.acknowledged_count = 0
        self.running = True

    def ready(self, account: str) -> None:
        """Deliver events up to the room."""
        room = self.path.room(account) if self.running else 0
        if room > 0:
            self.path.deliver([self.event(account) for _ in range(room)])

    def event(self, account: str) -> Event:
        """The next."""
        self.number += 1
        message = Message(
            self.number, account, CALLBACK, "sim", State.DELIVERED, 0, False, 0, 7, 1, 0.0, 1e9, 1e9, 0.0, 0,
            "79161234567", 0, CONTENT,
        )  # fmt: skip
        return Event(message, EventKind.FINAL, State.DELIVERED, 0, 1e9)

    def acknowledged(self, events: list[Event]) -> None:
        """Counted."""
        self.acknowledged_count += len(events)

    def retry(self, events: list[Event], seconds: float | None) -> None:
        """Fail: no callback of the benchmark may fail."""
        raise SystemExit("a callback failed")

    acknowledge_before_send = retry

    def requeue(self, events: list[Event]) -> None:
        """The end."""


async def callbacks(ports: list[int], seconds: float) -> float:
    """Return callbacks per second, with one account for each port."""
    names = [f"account{port}" for port in ports]
    accounts = {
        name: Account(
            AccountSettings(
                name=name, callback=f"http://127.0.0.1:{port}/x", callback_dialect="native", password="x"
            )
        )
        for name, port in zip(names, ports, strict=True)
    }
    feeder = Feeder(names)
    client = WebClient(reactor, per_host=PER_RECEIVER)
    path = CallbackPath(Settings(), accounts, dialects(), client, client, reactor, time.time)
    feeder.path = path
    path.attach(feeder)
    began = time.perf_counter()
    for name in names:
        feeder.ready(name)
    await pause(seconds)
    rate = feeder.acknowledged_count / (time.perf_counter() - began)
    feeder.running = False
    await path.stop()
    await client.close()
    return rate


class Ended(Protocol):
    """Drops the body of a response."""

    def __init__(self) -> None:
        self.done: Deferred[None] = Deferred()

    def connectionLost(self, reason: object = None) -> None:  # type: ignore[override]
        """Take a piece of the body."""
        self.done.callback(None)


def ended(response: Any) -> Deferred[None]:
    """Return a Deferred that fires when the response is complete."""
    body = Ended()
    response.deliverBody(body)
    return body.done


async def bare(port: int, at_a_time: int, seconds: float) -> float:
    """Return requests per second of the bare client."""
    pool = HTTPConnectionPool(reactor)
    pool.maxPersistentPerHost = at_a_time
    agent = Agent(reactor, pool=pool)
    done = 0
    end = time.perf_counter() + seconds

    async def one_after_the_other() -> None:
        nonlocal done
        while time.perf_counter() < end:
            await ended(await agent.request(b"GET", b"http://127.0.0.1:%d/x" % port))
            done += 1

    await gatherResults([Deferred.fromCoroutine(one_after_the_other()) for _ in range(at_a_time)])
    await pool.closeCachedConnections()
    return done / seconds


def pause(seconds: float) -> Deferred[None]:
    """So long."""
    done: Deferred[None] = Deferred()
    reactor.callLater(seconds, done.callback, None)
    return done


async def measure(ports: list[int], seconds: float) -> None:
    """Run all measurements."""
    base = await bare(ports[0], PER_RECEIVER, seconds)
    print(f"bare client, {PER_RECEIVER} at a time      {base:8.0f} /s   1.00")
    for name, some in (("one receiver", ports[:1]), ("fifty receivers", ports)):
        rate = await callbacks(some, seconds)
        print(f"callbacks to {name:16} {rate:8.0f} /s   {rate / base:.2f}")


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    seconds = parser.parse_args().seconds
    failures: list[Any] = []
    receiver = subprocess.Popen([sys.executable, "-c", RECEIVER], stdout=subprocess.PIPE, text=True)
    try:
        assert receiver.stdout is not None
        ports = [int(word) for word in receiver.stdout.readline().split()]

        def begin() -> None:
            done = Deferred.fromCoroutine(measure(ports, seconds)).addErrback(failures.append)
            done.addBoth(lambda _: reactor.stop())

        reactor.callWhenRunning(begin)
        reactor.run()
    finally:
        receiver.terminate()
        receiver.wait()
    if failures:
        failures[0].raiseException()


if __name__ == "__main__":
    main()
