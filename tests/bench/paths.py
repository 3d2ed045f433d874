"""What our congestion control and windows make of paths, in virtual time: `python -m tests.bench.paths [--quick]`.

Two associations of ours over a network in memory, one reliable channel that always has something to send; no socket, no
DTLS, no clock. So paths that no machine carries in real time can be looked at, and nothing but the protocol is seen. A
figure is the part of the rate that arrived in ten seconds or sixty round trips, slow start and the end included.
"""

from __future__ import annotations

import argparse
import itertools
import random
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor

from tests.bench.links import HEADERS, MEGABIT, Path
from tests.sctp.bulk import Bulk
from tests.sctp.network import Judge, Weather, connected

AHEAD = 40_000_000


def carried(path: Path) -> float:
    """The part of the rate that arrives."""
    network = connected(Weather(delay=path.round_trip / 2))
    network.weather = Weather(
        loss=path.loss if path.burst == 1 else 0.0,
        repeat=path.duplicate,
        reorder=path.reorder,
        delay=path.round_trip / 2,
        rate=path.rate * MEGABIT,
        queue=path.queue * max(path.round_trip, 0.05),
    )
    if path.burst > 1:
        network.lose = in_bursts(path.loss, path.burst)
    return Bulk(network, AHEAD).run(path.seconds) / (path.rate * MEGABIT * HEADERS)


def in_bursts(loss: float, burst: float) -> Judge:
    """Loses the part `loss` of all packets, `burst` in a row on average (Gilbert)."""
    chance, losing = random.Random(1), False

    def loses(packet: bytes) -> bool:
        nonlocal losing
        losing = chance.random() < (1 - 1 / burst if losing else loss / (1 - loss) / burst)
        return losing

    return loses


ROUND_TRIPS, LOSSES, RATES, QUEUES = (0.02, 0.1, 0.3), (0.0, 0.001, 0.01, 0.05), (10.0, 100.0), (1.0, 0.1)
FAST = 500.0
"""Mbit/s on which only the less lossy paths are looked at: the others take many minutes each."""
QUICK = [Path(trip, loss, 10) for trip, loss in itertools.product((0.02, 0.1), (0.0, 0.01))]
FULL = [
    *(Path(*given) for given in itertools.product(ROUND_TRIPS, LOSSES, RATES, QUEUES)),
    *(Path(trip, loss, FAST) for trip, loss in itertools.product(ROUND_TRIPS[:2], LOSSES[:2])),
]
TROUBLES = [Path(0.1, 0.01, 100, burst=5), Path(0.1, 0.0, 100, reorder=0.01), Path(0.1, 0.0, 100, duplicate=0.01)]


def table(paths: Iterable[Path], parts: Iterable[float]) -> list[str]:
    """A row for each round trip and loss, a column for each rate and queue."""
    found = dict(zip(paths, parts, strict=True))
    columns = list(dict.fromkeys((path.rate, path.queue) for path in found))
    heads = [f"{rate:g} Mbit/s, queue {queue:g}" for rate, queue in columns]
    lines = [f"| round trip, lost | {' | '.join(heads)} |", "|---" * (len(columns) + 1) + "|"]
    for trip, loss in dict.fromkeys((path.round_trip, path.loss) for path in found):
        row = [found.get(Path(trip, loss, rate, queue)) for rate, queue in columns]
        cells = ["" if part is None else f"{part:.0%}" for part in row]
        lines.append(f"| {trip * 1000:.0f} ms, {loss * 100:g} % | {' | '.join(cells)} |")
    return lines


def measure(paths: list[Path], troubles: list[Path]) -> list[str]:
    """All of it, in as many processes as there are cores."""
    every, parts = [*paths, *troubles], []
    with ProcessPoolExecutor() as pool:
        for path, part in zip(every, pool.map(carried, every), strict=True):
            print(f"{path}: {part:.1%}", file=sys.stderr, flush=True)
            parts.append(part)
    lines = table(paths, parts[: len(paths)])
    return lines + [f"{path}: {part:.0%}" for path, part in zip(troubles, parts[len(paths) :], strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.paths", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="four slow paths")
    quick = parser.parse_args().quick
    print(*(measure(QUICK, []) if quick else measure(FULL, TROUBLES)), sep="\n")


if __name__ == "__main__":
    main()
