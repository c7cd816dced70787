"""Clients that misbehave, for ``isolation.py``: each kind holds or floods a listener for some seconds, in bounds.

    python benchmarks/attackers.py idle --port 2525 --sources 5 --each 100 --seconds 5

Addresses are of the loopback network. Prints the number of what it did (connections, mails, PDUs) as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import random
import struct
import time
from collections import Counter
from collections.abc import Awaitable, Callable

HEADER = struct.Struct(">IIII")
SUBMIT_SM, BIND_TRANSCEIVER, ENQUIRE_LINK = 0x4, 0x9, 0x15
GREEDY = "greedy"
"""Login and password of the greedy account."""



def mail(size: int) -> bytes:
    """Return a mail of so many octets, which is refused because its text is too long."""
    line = b"<p>hello <i>world</i> &amp; more</p>\r\n"
    return b"Subject: x\r\nContent-Type: text/html\r\n\r\n" + line * (size // len(line)) + b".\r\n"



GET = b"GET /v1/messages/1 HTTP/1.1\r\nHost: x\r\nAuthorization: Basic %b\r\n\r\n" % base64.b64encode(
    f"{GREEDY}:{GREEDY}".encode()
)

done: Counter[str] = Counter()


def address(number: int) -> tuple[str, int]:
    """Return one of many source addresses."""
    return f"127.1.{number // 250}.{number % 250 + 1}", 0


def bind(login: str, password: str) -> bytes:
    """Return a bind_transceiver."""
    body = f"{login}\0{password}\0\0".encode() + b"\x34\0\0\0"
    return HEADER.pack(16 + len(body), BIND_TRANSCEIVER, 0, 1) + body


async def unknown_login(port: int, number: int) -> None:
    """Bind with a login that does not exist, twice a second."""
    begun = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=address(number))
    try:
        writer.write(bind(f"unknown{number}", "x"))
        _, _, status, _ = HEADER.unpack(await reader.readexactly(16))
        done[f"status {status:#x}"] += 1
    finally:
        writer.close()
    await asyncio.sleep(max(0.0, begun + random.uniform(0.3, 0.7) - time.monotonic()))


async def hold(port: int, number: int, octets: bytes) -> None:
    """Send some octets, then hold the connection until the gateway closes it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=address(number))
    done["connections"] += 1
    try:
        writer.write(octets)
        while await reader.read(4096):
            pass
    finally:
        writer.close()


async def mails(port: int, number: int, text: bytes) -> None:
    """Send mails that are refused, one after the other in one session; or only STATUS if there is no text."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=address(number), limit=1 << 16)

    async def ask(octets: bytes) -> bytes:
        writer.write(octets)
        await writer.drain()
        while True:
            line = await reader.readuntil(b"\r\n")
            if line[3:4] != b"-":
                return line

    try:
        await ask(b"EHLO x\r\n")
        await ask(b"")
        await ask(b"AUTH PLAIN %b\r\n" % base64.b64encode(f"\0{GREEDY}\0{GREEDY}".encode()))
        while not text:
            await ask(b"STATUS 1\r\n")
            done["STATUS"] += 1
        while True:
            await ask(b"MAIL FROM:<x@x.example>\r\n")
            await ask(b"RCPT TO:<79161234567@sms.qtelecom.ru>\r\n")
            if (await ask(b"DATA\r\n")).startswith(b"354"):
                done[(await ask(text))[:3].decode()] += 1
            else:
                done["no DATA"] += 1
    finally:
        writer.close()


async def pdus(port: int, number: int, pdu: bytes, first: bytes = bind(GREEDY, GREEDY)) -> None:
    """Write one PDU or request again and again, as fast as the gateway reads, after a first one."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=address(number))
    flood = pdu * (65_536 // len(pdu))

    async def drop() -> None:
        while await reader.read(65_536):
            pass

    writer.write(first)
    dropping = asyncio.ensure_future(drop())
    try:
        while not dropping.done():
            writer.write(flood)
            await writer.drain()
            done["PDUs"] += len(flood) // len(pdu)
    finally:
        dropping.cancel()
        writer.close()


def submit(to: bytes) -> bytes:
    """Return a submit_sm to a recipient."""
    body = b"\0\5\0DEMO\0\1\1%b\0\0\0\0\0\0\0\0\0\0\2hi" % to
    return HEADER.pack(16 + len(body), SUBMIT_SM, 0, 7) + body


KINDS: dict[str, Callable[[int, int], Awaitable[None]]] = {
    "unknown": unknown_login,
    "idle": lambda port, number: hold(port, number, b""),
    "half": lambda port, number: hold(port, number, b"POST /v1/messages HTTP/1.1\r\nHost: x\r\n"),
    "mails": lambda port, number: mails(port, number, mail(1_000_000)),
    "html": lambda port, number: mails(port, number, mail(120_000)),
    "status": lambda port, number: mails(port, number, b""),
    "get": lambda port, number: pdus(port, number, GET, b""),
    "enquire": lambda port, number: pdus(port, number, HEADER.pack(16, ENQUIRE_LINK, 0, 7)),
    "refused": lambda port, number: pdus(port, number, submit(b"12")),
}


async def again_and_again(kind: Callable[[int, int], Awaitable[None]], port: int, number: int) -> None:
    """Begin anew whenever the gateway closes, after a tenth of a second."""
    while True:
        try:
            await kind(port, number)
        except (OSError, EOFError, asyncio.IncompleteReadError):
            done["closed"] += 1
        await asyncio.sleep(0.1)


async def attack(options: argparse.Namespace) -> None:
    """Run all clients for the given time."""
    clients = [
        asyncio.ensure_future(again_and_again(KINDS[options.kind], options.port, number % options.sources))
        for number in range(options.sources * options.each)
    ]
    await asyncio.sleep(options.seconds)
    for client in clients:
        client.cancel()
    await asyncio.gather(*clients, return_exceptions=True)


def main() -> None:
    """Read the options, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--sources", type=int, default=1)
    parser.add_argument("--each", type=int, default=1, help="connections from each source")
    parser.add_argument("--seconds", type=float, default=5.0)
    os.nice(19)  # the gateway competes with its own work, not with that of its attackers
    asyncio.run(attack(parser.parse_args()))
    print(json.dumps(done))


if __name__ == "__main__":
    main()
