"""Measures the whole path: ESME, SMPP, synced store, simulated message centre, receipt, ESME.

The gateway runs as in production (twistd, a configuration file, SQLite with synced commits), the load client in a
separate process. The same run measures a bare SMPP server without a store: the ratio is the cost of durability on this
machine. Exits 1 if a message was lost or duplicated.

    python benchmarks/endtoend.py [--quick] [--rounds N]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.flows.process import GatewayProcess, free_ports  # noqa: E402 - the checkout is put on the path above

WINDOWS = {1: 1_000, 10: 6_000, 100: 40_000, 1000: 60_000}
"""Messages sent per window: a few seconds each."""

RATE = 5_000

ROUND_TRIPS = """
import json, time
value, rounds, begun = {"a": 1, "b": "x", "c": 2, "d": 3, "e": 4}, 0, time.perf_counter()
while time.perf_counter() - begun < 1.5:
    for _ in range(500):
        json.loads(json.dumps(value))
    rounds += 500
print((time.perf_counter() - begun) / rounds * 1e6)
"""
"""Prints the mean microseconds of a round of plain Python, measured for a second and a half."""


def load(port: int, **options: object) -> dict[str, Any]:
    """Run the load client; return its results."""
    arguments = [word for key, value in options.items() for word in (f"--{key}", str(value))]
    command = [sys.executable, str(ROOT / "benchmarks" / "load.py"), "--port", str(port), *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if not ran.stdout:
        raise SystemExit(ran.stderr)
    figures: dict[str, Any] = json.loads(ran.stdout)
    return figures


def yardsticks() -> str:
    """Measure the speed of this machine with plain Python; two processes at once show how independent its cores are."""
    command = [sys.executable, "-c", ROUND_TRIPS]
    alone = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    pair = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    both = max(float(one.communicate()[0]) for one in pair)
    with tempfile.TemporaryFile() as file:
        begun = time.perf_counter()
        for _ in range(200):
            file.write(b"x" * 4096)
            file.flush()
            os.fdatasync(file.fileno())
        sync = (time.perf_counter() - begun) / 200
    return (
        f"machine now: json round trip of 5 keys {alone:.1f} us, {both:.1f} us with both cores busy;"
        f" 4 KiB write and sync {sync * 1e3:.2f} ms"
    )


def measured(rounds: int, run: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return the round with the median rate; losses of all rounds are added."""
    results = [run() for _ in range(rounds)]
    results.sort(key=lambda figures: figures["messages_per_s"])
    middle = results[len(results) // 2]
    middle["spread"] = f"{results[0]['messages_per_s']}-{results[-1]['messages_per_s']}"
    for key in ("lost", "doubled", "unanswered", "same_id"):
        middle[key] = sum(figures[key] for figures in results)
    return middle


def main() -> int:
    """Measure, print a table, return whether a message was lost or duplicated."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a tenth of the messages, one round")
    options = parser.parse_args()
    rounds, share = (1, 10) if options.quick else (options.rounds, 1)
    print(yardsticks())
    (bare_port,) = free_ports(1)
    directory = Path(tempfile.mkdtemp(prefix="smsgw-bench-"))
    gateway = GatewayProcess(directory, connector="delay = 0.001\nwindow = 2000\nrate = 0")
    bare = subprocess.Popen([sys.executable, str(ROOT / "benchmarks" / "bare.py"), str(bare_port)])
    bad = 0
    ratios = []
    try:
        gateway.start()
        print(f"{'load':>14} {'messages/s':>11} {'spread':>13} {'bare/s':>8} {'of bare':>8}"
              f" {'answer p50/p99 ms':>18} {'receipt p50/p99 ms':>19}")  # fmt: skip
        cases: list[tuple[str, int, dict[str, object]]] = [
            (f"window {window}", count // share, {"window": window}) for window, count in WINDOWS.items()
        ]
        cases.append((f"{RATE}/s", RATE * 4 // share, {"window": 1000, "rate": RATE}))
        for name, count, keys in cases:
            ours = measured(rounds, lambda count=count, keys=keys: load(gateway.smpp, count=count, **keys))
            theirs = measured(rounds, lambda count=count, keys=keys: load(bare_port, count=count, **keys))
            ratio = ours["messages_per_s"] / theirs["messages_per_s"]
            ratios.append(ratio)
            answer, receipt = ours["answer_ms"], ours["receipt_ms"]
            print(
                f"{name:>14} {ours['messages_per_s']:>11} {ours['spread']:>13}"
                f" {theirs['messages_per_s']:>8} {ratio:>8.2f}"
                f" {answer['p50']:>10}/{answer['p99']:<7} {receipt['p50']:>10}/{receipt['p99']:<8}"
            )
            faults = {key: ours[key] for key in ("lost", "doubled", "unanswered", "same_id") if ours[key]}
            if faults or ours["refused"]:
                print(f"    FAULT: {faults} refused {ours['refused']}")
                bad = 1
    finally:
        bare.terminate()
        bare.wait()
        gateway.stop()
    print(f"median share of the bare server: {statistics.median(ratios):.2f}; {yardsticks()}")
    return bad


if __name__ == "__main__":
    sys.exit(main())
