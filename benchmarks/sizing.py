"""Measures what a machine for the gateway must have: memory, disk, processor, and the time of a restart and a backup.

    python benchmarks/sizing.py [--messages N] [--sessions N]

The gateway runs as in production, with the simulated message centre. docs/operations.rst has the figures of one run.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.endtoend import load, yardsticks  # noqa: E402 - the checkout is put on the path above
from tests.flows.esme import Esme  # noqa: E402
from tests.flows.process import GatewayProcess  # noqa: E402

RATES = 500, 2_000, 5_000
"""Messages a second at which the processor's time is measured."""


def row(what: str, value: float, unit: str) -> None:
    """Print one figure."""
    print(f"{what:<58} {value:>10,.1f} {unit}", flush=True)


def memory(gateway: GatewayProcess) -> int:
    """The resident memory of the gateway in octets."""
    text = Path(f"/proc/{gateway.pid}/status").read_text()
    (kibibytes,) = re.findall(r"VmRSS:\s+(\d+) kB", text)
    return int(kibibytes) * 1024


def processor(gateway: GatewayProcess) -> float:
    """The seconds of the processor that the gateway has used."""
    fields = Path(f"/proc/{gateway.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def stored(gateway: GatewayProcess) -> int:
    """The octets of the database after a stop, which puts the log into it."""
    gateway.stop()
    return (gateway.directory / "state" / "messages.sqlite").stat().st_size


def back_up(gateway: GatewayProcess) -> tuple[int, float]:
    """Make a backup; return its octets and how long it took."""
    begun = time.perf_counter()
    request = urllib.request.Request(f"http://127.0.0.1:{gateway.admin}/backup", b"{}")
    with urllib.request.urlopen(request, timeout=600) as answer:
        answer.read()
    return (gateway.directory / "state" / "backup.sqlite").stat().st_size, time.perf_counter() - begun


def measure_finished(gateway: GatewayProcess, messages: int, sessions: int) -> None:
    """Measure a gateway that delivers at once: sessions, processor, finished messages, backup."""
    gateway.start()
    base = memory(gateway)
    row("memory after the start", base / 2**20, "MiB")
    esmes = [Esme(gateway.smpp) for _ in range(sessions)]
    row("memory of an idle SMPP session", (memory(gateway) - base) / sessions / 1024, "KiB")
    for esme in esmes:
        esme.close()
    for rate in RATES:
        before = processor(gateway)
        figures = load(gateway.smpp, count=rate * 4, window=1000, rate=rate)
        row(f"processor at {rate} messages/s", (processor(gateway) - before) / 4 * 100, "% of a core")
        row(f"  answers at {figures['messages_per_s']}/s: 99 of 100 within", figures["answer_ms"]["p99"], "ms")
    done = sum(RATES) * 4
    load(gateway.smpp, count=messages, window=1000)
    row(f"memory after {messages + done} messages", memory(gateway) / 2**20, "MiB")
    octets, seconds = back_up(gateway)
    row("backup while running", octets / 2**20 / seconds, "MiB/s")
    row("disk for a finished message of 40 characters", stored(gateway) / (messages + done), "octets")


def measure_waiting(gateway: GatewayProcess, messages: int) -> None:
    """Measure a gateway whose upstream is slow: waiting messages and a restart with them."""
    gateway.start()
    base = memory(gateway)
    esme = Esme(gateway.smpp)
    for at in range(0, messages, 1000):
        for _ in range(min(1000, messages - at)):
            esme.submit("Hello, this is a test message of forty c", notify=0)
        while len(esme.answers) < min(1000, messages - at):
            esme.read(10)
        esme.answers.clear()
    row(f"memory more with {messages} messages waiting", (memory(gateway) - base) / 2**20, "MiB")
    row("disk for a waiting message of 40 characters", stored(gateway) / messages, "octets")
    begun = time.perf_counter()
    gateway.start()
    row(f"start with {messages} messages waiting", time.perf_counter() - begun, "s")
    gateway.stop()


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--sessions", type=int, default=500)
    options = parser.parse_args()
    print(yardsticks())
    directory = Path(tempfile.mkdtemp(prefix="smsgw-bench-"))
    fast = GatewayProcess(
        directory / "fast", connector="delay = 0.001\nwindow = 2000\nrate = 0", smpp_listener="connections = 10000"
    )
    slow = GatewayProcess(directory / "slow", connector="rate = 0.001\nwindow = 1", smpp_listener="connections = 10000")
    try:
        measure_finished(fast, options.messages, options.sessions)
        measure_waiting(slow, options.messages)
    finally:
        fast.kill()
        slow.kill()


if __name__ == "__main__":
    main()
