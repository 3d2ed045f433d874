"""`python -m tests.bench [--quick] [--json] [--only PART…]`: measure this machine, side by side with aiortc."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from typing import Any

from tests.bench import commands, data, idle, longway, peers, process, relay, setup, signaling
from tests.bench.plan import FULL, QUICK, Plan
from tests.bench.samples import Samples, table

PARTS = {
    "data": data.measure,
    "setup": setup.measure,
    "longway": longway.measure,
    "idle": idle.measure,
    "peers": peers.measure,
    "relay": relay.measure,
    "signaling": signaling.measure,
}
COMMANDS = "commands"


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a look, in less than a minute")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of a table")
    parser.add_argument("--only", nargs="+", choices=[*PARTS, COMMANDS], help="these parts alone")
    return parser.parse_args(arguments)


def measure(plan: Plan, parts: list[str]) -> dict[str, Any]:
    """Measure these parts one after another; what was seen, and on what."""
    samples, began, load = Samples(), time.monotonic(), os.getloadavg()
    for part in parts:
        print(f"measuring {part} …", file=sys.stderr, flush=True)
        if part == COMMANDS:
            commands.measure(plan, samples)
        else:
            asyncio.run(PARTS[part](plan, samples))
    return {
        "rows": samples.rows(),
        "versions": process.versions(),
        "load": {"before": load, "after": os.getloadavg()},
        "seconds": round(time.monotonic() - began, 1),
    }


def describe(measured: dict[str, Any]) -> str:
    """For people."""
    versions = ", ".join(f"{name} {value}" for name, value in measured["versions"].items())
    load = " then ".join(f"{measured['load'][when][0]:.1f}" for when in ("before", "after"))
    return f"{table(measured['rows'])}\n\n{versions}\nload {load}; {measured['seconds']} s"


def main(arguments: list[str]) -> None:
    options = parse(arguments)
    measured = measure(QUICK if options.quick else FULL, options.only or [*PARTS, COMMANDS])
    print(json.dumps(measured) if options.json else describe(measured))


if __name__ == "__main__":
    main(sys.argv[1:])
