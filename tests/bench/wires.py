"""What else could carry the bytes: `python -m tests.bench.wires [--quick]`.

Messages of several sizes on one reliable, ordered channel between two processes on the loopback, by: our own stack,
with the packets that the path carries and with 1,200 bytes; aiortc; libdatachannel by its bindings for asyncio
(tools/bench-deps.sh installs it) and for Node; length-prefixed messages over asyncio's TLS; and a bare loop of AES-GCM
and bursts, which does nothing else. All are connected all the while and asked in turns; a figure is the median of its
rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import statistics
from collections import defaultdict
from contextlib import AsyncExitStack

from tests.bench.data import END
from tests.bench.pair import AIOLIBDATACHANNEL, ROOT, Pair
from tests.bench.process import versions
from tests.bench.samples import percentile

OURS = "atmosphere"
STACKS = (OURS, "atmosphere, 1200", "aiortc", "aiolibdatachannel", "libdatachannel", "TLS", "bare loop")
SIZES = {"1 KB": 1024, "16 KB": 16_384, "64 KB": 65_536, "256 KB": 262_144, "1 MB": 1_048_576}
MOST = {"aiortc": 65_536}
"""Bytes in the largest message that a stack takes."""
Figures = dict[tuple[str, str], list[float]]


def stacks() -> list[str]:
    """Those that this machine has."""
    node = shutil.which("node") and (ROOT / ".node" / "node_modules" / "node-datachannel").exists()
    here = {"libdatachannel": node, "aiolibdatachannel": AIOLIBDATACHANNEL.exists()}
    return [stack for stack in STACKS if here.get(stack, True)]


async def measure(names: list[str], rounds: int, seconds: float, echoes: int) -> Figures:
    """MB a second by size and stack, milliseconds of processor a MB, microseconds of an echo, MB of memory."""
    found: Figures = defaultdict(list)
    async with AsyncExitStack() as open_pairs:
        pairs = {name: await open_pairs.enter_async_context(Pair(name)) for name in names}
        for pair in pairs.values():
            await pair.connect(END, END)
            await pair.dialer.ask(END, "throughput", "channel", seconds / 2)
        for number in range(rounds):
            turns = names[number % len(names) :] + names[: number % len(names)]
            for title, size in SIZES.items():
                for name in turns:
                    if size <= MOST.get(name, size):
                        await one(pairs[name], name, title, size, seconds, found)
            for name in turns:
                took = await pairs[name].dialer.ask(END, "echo", "channel", echoes)
                found["echo p50, µs", name].append(percentile(took, 0.5))
                found["echo p99, µs", name].append(percentile(took, 0.99))
    return found


async def one(pair: Pair, name: str, title: str, size: int, seconds: float, found: Figures) -> None:
    before = await pair.both("cpu")
    rate, megabytes = await pair.dialer.ask(END, "throughput", "channel", seconds, size)
    found[f"{title}, MB/s", name].append(rate)
    found[f"{title}, ms of processor a MB", name].append((await pair.both("cpu") - before) * 1000 / megabytes)


def table(found: Figures, names: list[str]) -> str:
    """Medians, and how many times each is of ours (a median of the rounds' ratios) in brackets."""
    lines = [f"| | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for title in sorted({title for title, _ in found}, key=list(dict.fromkeys(title for title, _ in found)).index):
        ours, cells = found[title, OURS], []
        for name in names:
            theirs = found.get((title, name))
            if not theirs:
                cells.append("")
                continue
            ratio = statistics.median(mine / other for mine, other in zip(ours, theirs, strict=True))
            cells.append(f"{statistics.median(theirs):.1f}" + ("" if name == OURS else f" ({ratio:.2f})"))
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.wires", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three rounds of a third of a second")
    quick, names = parser.parse_args().quick, stacks()
    load = os.getloadavg()[0]
    found = asyncio.run(measure(names, 3, 0.35, 200) if quick else measure(names, 7, 1.0, 1000))
    print(f"{table(found, names)}\n\nIn brackets: how many times theirs ours is.")
    print(", ".join(f"{name} {version}" for name, version in versions().items()), f"load {load:.1f}")


if __name__ == "__main__":
    main()
