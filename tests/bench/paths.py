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
from dataclasses import dataclass

from tests.sctp.bulk import Bulk
from tests.sctp.network import Judge, Weather, connected

MEGABIT = 125_000.0
DATA = 0.93
"""What of a packet is the application's, as in `links`."""
AHEAD = 40_000_000


@dataclass(frozen=True, slots=True)
class Path:
    """As in `links`: seconds, parts of one, Mbit/s, round trips (50 ms at least), packets in a row."""

    round_trip: float
    loss: float
    rate: float
    queue: float = 1.0
    burst: float = 1.0
    reorder: float = 0.0
    repeat: float = 0.0

    @property
    def seconds(self) -> float:
        return max(10.0, 60 * self.round_trip)

    def carried(self) -> float:
        """The part of the rate that arrives."""
        network = connected(Weather(delay=self.round_trip / 2))
        network.weather = Weather(
            loss=self.loss if self.burst == 1 else 0.0,
            repeat=self.repeat,
            reorder=self.reorder,
            delay=self.round_trip / 2,
            rate=self.rate * MEGABIT,
            queue=self.queue * max(self.round_trip, 0.05),
        )
        if self.burst > 1:
            network.lose = in_bursts(self.loss, self.burst)
        return Bulk(network, AHEAD).run(self.seconds) / (self.rate * MEGABIT * DATA)


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
TROUBLES = [Path(0.1, 0.01, 100, burst=5), Path(0.1, 0.0, 100, reorder=0.01), Path(0.1, 0.0, 100, repeat=0.01)]


def table(paths: Iterable[Path], carried: Iterable[float]) -> list[str]:
    """A row for each round trip and loss, a column for each rate and queue."""
    found = dict(zip(paths, carried, strict=True))
    columns = list(dict.fromkeys((path.rate, path.queue) for path in found))
    heads = [f"{rate:g} Mbit/s, queue {queue:g}" for rate, queue in columns]
    lines = [f"| round trip, lost | {' | '.join(heads)} |", "|---" * (len(columns) + 1) + "|"]
    for trip, loss in dict.fromkeys((path.round_trip, path.loss) for path in found):
        parts = [found.get(Path(trip, loss, rate, queue)) for rate, queue in columns]
        cells = ["" if part is None else f"{part:.0%}" for part in parts]
        lines.append(f"| {trip * 1000:.0f} ms, {loss * 100:g} % | {' | '.join(cells)} |")
    return lines


def measure(paths: list[Path], troubles: list[Path]) -> list[str]:
    """All of it, in as many processes as there are cores."""
    with ProcessPoolExecutor() as pool:
        carried = []
        for path, part in zip([*paths, *troubles], pool.map(Path.carried, [*paths, *troubles]), strict=True):
            print(f"{path}: {part:.1%}", file=sys.stderr, flush=True)
            carried.append(part)
    lines = table(paths, carried[: len(paths)])
    return lines + [f"{path}: {part:.0%}" for path, part in zip(troubles, carried[len(paths) :], strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.paths", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="four slow paths")
    quick = parser.parse_args().quick
    print(*(measure(QUICK, []) if quick else measure(FULL, TROUBLES)), sep="\n")


if __name__ == "__main__":
    main()
