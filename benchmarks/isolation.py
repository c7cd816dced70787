"""Measures a good account while another client misbehaves: latency, and what is refused to it.

The gateway runs as in production. For each load the good account submits over one SMPP session at a fixed rate, first
alone, then while the load runs; the table shows both quantiles in milliseconds and their ratio. Meanwhile good clients
connect anew over SMPP (with hashed passwords that were not checked before), SMTP (with a mail in HTML) and HTTP, from
an address that their account lists and from one that no account lists; the table shows how many of them were refused,
and the slowest.

Exits 1 if a p99 is above five times its quiet value, or a good client was refused.

    python benchmarks/isolation.py [--quick] [--seconds N] [LOAD ...]
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import struct
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import attrs

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.attackers import GREEDY, bind  # noqa: E402 - the checkout is put on the path above
from smsgw.services.passwords import hash_password  # noqa: E402
from tests.flows.process import GatewayProcess  # noqa: E402

RATE = 200
"""Messages a second of the good account."""

MOST = 5.0
"""The most that p99 may grow under load."""

HASHED = 60
"""Accounts with a hashed password; each binds once."""

ACCOUNT = """
[account {name}]
{password}
senders = *
default_sender = DEMO
allow_from = {source}
"""

HTML = b"Subject: x\r\nContent-Type: text/html\r\n\r\n<p>hello <i>world</i></p>\r\n.\r\n"


@attrs.frozen
class Load:
    """One way to misbehave: the kind of client, the protocol that it uses, its sources and connections from each."""

    kind: str
    listener: str
    sources: int
    each: int


LOADS = {
    "F3 unknown logins, 400 addresses": Load("unknown", "smpp", 400, 1),
    "F4 600 idle SMTP connections": Load("idle", "smtp", 5, 120),
    "F4 1200 half HTTP requests": Load("half", "http", 5, 240),
    "F5 mails of 120 KB, 60 sessions": Load("html", "smtp", 1, 60),
    "F5 mails of 1 MB, 2 sessions": Load("mails", "smtp", 1, 2),
    "F5 mails of 1 MB, 60 sessions": Load("mails", "smtp", 1, 60),
    "F5 enquire_link": Load("enquire", "smpp", 1, 1),
    "F5 refused submit_sm, 10 sessions": Load("refused", "smpp", 1, 10),
    "F5 STATUS, 60 sessions": Load("status", "smtp", 1, 60),
    "F5 GET /v1/messages/1, 60 sessions": Load("get", "http", 1, 60),
}


class Probes:
    """Good clients that connect anew until they are stopped.

    :ivar refused: what went wrong. :ivar slowest: milliseconds.
    """

    def __init__(self, gateway: GatewayProcess, hashed: list[str]) -> None:
        self._gateway = gateway
        self._hashed = hashed
        self.count = 0
        self._turn = 0
        self.refused: list[str] = []
        self.slowest = 0.0

    async def run(self) -> None:
        """Run all kinds, each five times a second."""
        await asyncio.gather(*map(self._repeat, (self._bind, self._mail, self._post)))

    async def _repeat(self, probe: Callable[[], Awaitable[None]]) -> None:
        while True:
            begun = time.perf_counter()
            try:
                await asyncio.wait_for(probe(), 10)
            except Exception as error:  # noqa: BLE001 - whatever it is, the good client was not served
                self.refused.append(f"{probe.__name__}: {error!r}")
            took = time.perf_counter() - begun
            self.count += 1
            self.slowest = max(self.slowest, 1000 * took)
            await asyncio.sleep(max(0.0, 0.2 - took))

    async def _bind(self) -> None:
        if not self._hashed:
            return await asyncio.sleep(0.2)
        name = self._hashed.pop()
        reader, writer = await asyncio.open_connection("127.0.0.1", self._gateway.smpp)
        try:
            writer.write(bind(name, name))
            _, _, status, _ = struct.unpack(">IIII", await reader.readexactly(16))
            if status:
                raise ValueError(hex(status))
        finally:
            writer.close()

    def _next(self) -> tuple[str, str]:
        """Return the login and the address of the next client: one that is listed, or one that is not."""
        self._turn += 1
        return ("demo", "127.0.0.1") if self._turn % 2 else ("any", "127.2.0.1")

    async def _mail(self) -> None:
        login, source = self._next()
        reader, writer = await asyncio.open_connection("127.0.0.1", self._gateway.smtp, local_addr=(source, 0))
        plain = base64.b64encode(f"\0{login}\0{login}".encode())
        try:
            for octets in (b"", b"EHLO x\r\n", b"AUTH PLAIN %b\r\n" % plain, b"MAIL FROM:<DEMO@x.example>\r\n",
                           b"RCPT TO:<79161234567@sms.qtelecom.ru>\r\n", b"DATA\r\n", HTML):  # fmt: skip
                writer.write(octets)
                line = b"250-"
                while line[3:4] == b"-":
                    line = await reader.readuntil(b"\r\n")
                if line[:1] not in b"23":
                    raise ValueError(line)
        finally:
            writer.close()

    async def _post(self) -> None:
        body = b'{"to":"79161234567","text":"Hello"}'
        login, source = self._next()
        reader, writer = await asyncio.open_connection("127.0.0.1", self._gateway.http, local_addr=(source, 0))
        basic = base64.b64encode(f"{login}:{login}".encode())
        try:
            writer.write(
                b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Basic %b\r\nConnection: close\r\n"
                b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (basic, len(body), body)
            )
            line = await reader.readuntil(b"\r\n")
            if b" 201 " not in line:
                raise ValueError(line)
        finally:
            writer.close()


async def run(script: str, *arguments: object) -> dict[str, Any]:
    """Run another benchmark script; return the JSON that it prints."""
    command = [str(ROOT / "benchmarks" / script), *map(str, arguments)]
    process = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    if not out:
        raise SystemExit(f"{script} failed")
    figures: dict[str, Any] = json.loads(out)
    return figures


async def good(gateway: GatewayProcess, seconds: float) -> dict[str, Any]:
    """Submit as the good account; return the figures of the load client."""
    count = int(RATE * seconds)
    return await run("load.py", "--port", gateway.smpp, "--count", count, "--rate", RATE, "--window", 1000)


async def measure(gateway: GatewayProcess, hashed: list[str], name: str, load: Load, seconds: float) -> bool:
    """Measure one load, print its line; return whether the good account was isolated from it."""
    port = getattr(gateway, load.listener)
    quiet = await good(gateway, seconds)
    options = ("--port", port, "--sources", load.sources, "--each", load.each, "--seconds", seconds + 2)
    attack = asyncio.ensure_future(run("attackers.py", load.kind, *options))
    await asyncio.sleep(1.0)
    probes = Probes(gateway, hashed)
    probing = asyncio.ensure_future(probes.run())
    loaded = await good(gateway, seconds)
    probing.cancel()
    did = await attack
    await asyncio.sleep(1.0)
    before, after = quiet["answer_ms"], loaded["answer_ms"]
    ratio = after["p99"] / before["p99"]
    faults = [key for key in ("lost", "doubled", "unanswered", "refused") if loaded[key]]
    print(
        f"{name:34} {before['p50']:>7}/{before['p99']:<7} {after['p50']:>7}/{after['p99']:<7} {ratio:>6.1f}"
        f" {len(probes.refused):>6} of {probes.count:<4} {probes.slowest:>7.0f}   {json.dumps(did)}",
        flush=True,
    )
    for why in {*probes.refused[:5], *(f"{key}: {loaded[key]}" for key in faults)}:
        print(f"    FAULT: {why}")
    return ratio <= MOST and not faults and not probes.refused


async def measure_all(names: list[str], seconds: float) -> bool:
    """Start the gateway, measure all loads; return whether all were borne."""
    hashed = [f"hashed{number}" for number in range(HASHED)]
    one = hash_password
    accounts = [
        ACCOUNT.format(name=name, password=f"password_hash = {one(name)}", source="127.0.0.1") for name in hashed
    ]
    accounts += [ACCOUNT.format(name=name, password=f"password = {name}", source="any") for name in (GREEDY, "any")]
    with tempfile.TemporaryDirectory(prefix="smsgw-bench-") as directory:
        gateway = GatewayProcess(
            Path(directory), connector="delay = 0.001\nwindow = 2000\nrate = 0", sections="".join(accounts)
        )
        settings = gateway.config.read_text()
        gateway.config.write_text(settings.replace("127.0.0.0/8", "127.0.0.1"))
        gateway.start()
        try:
            heads = f"{'quiet p50/p99':>15} {'loaded p50/p99':>15} {'ratio':>6} {'refused':>14} {'slowest':>7}"
            print(f"{'load':34} {heads}   the load's own count")
            well = [await measure(gateway, hashed, name, LOADS[name], seconds) for name in names]
        finally:
            gateway.stop()
    return all(well)


def main() -> int:
    """Measure, print a table, return whether the good account suffered."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("loads", nargs="*", metavar="LOAD", help="the begin of the names of loads, such as F5")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--quick", action="store_true", help="two seconds for each load")
    options = parser.parse_args()
    names = [name for name in LOADS if not options.loads or name.startswith(tuple(options.loads))]
    return int(not asyncio.run(measure_all(names, 2.0 if options.quick else options.seconds)))


if __name__ == "__main__":
    sys.exit(main())
