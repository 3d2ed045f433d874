"""What long, lossy and narrow paths let through: `python -m tests.bench.links [--quick]` (Linux, root).

Two machines of the laboratory with a link between them that delays, loses and throttles packets in user space; over it
one reliable channel of ours, one of aiortc's, and the kernel's TCP with CUBIC and with BBR, one after another. A figure
is the part of the link's rate that arrived, slow start and the end included. Then two of them at once, as their shares.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import itertools
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from tests.bench.data import END
from tests.bench.pair import Failed, Pair, Worker
from tests.lab.machines import Machine
from tests.lab.pipe import Conditions
from tests.lab.processes import command_in
from tests.lab.topology import Lab

OURS = "atmosphere"
STACKS = (OURS, "aiortc", "TCP cubic", "TCP bbr")
MEGABIT = 125_000.0
HEADERS = 0.93
"""What of a packet of 1,200 bytes is the application's, at least: the rest is Ethernet, IP, UDP, DTLS and SCTP."""


@dataclass(frozen=True, slots=True)
class Path:
    """Round trip in seconds, the part that is lost each way, Mbit/s, and the queue in round trips (50 ms at least).

    `burst` packets are lost in a row; of all packets the parts `reorder` and `duplicate` are overtaken and come twice.
    """

    round_trip: float
    loss: float
    rate: float
    queue: float = 1.0
    burst: float = 1.0
    reorder: float = 0.0
    duplicate: float = 0.0

    @property
    def conditions(self) -> Conditions:
        """The same for the link, in each direction."""
        queue = int(self.rate * MEGABIT * self.queue * max(self.round_trip, 0.05))
        return Conditions(
            delay=self.round_trip / 2,
            loss=self.loss,
            burst=self.burst,
            reorder=self.reorder,
            duplicate=self.duplicate,
            rate=self.rate * MEGABIT,
            queue=queue,
        )

    @property
    def seconds(self) -> float:
        """How long to send: slow start is a small part of it."""
        return max(10.0, 60 * self.round_trip)

    def __str__(self) -> str:
        lost = f"{self.loss * 100:g} % lost" + (f", {self.burst:g} in a row" if self.burst > 1 else "")
        more = {"overtaken": self.reorder, "twice": self.duplicate}
        also = "".join(f", {part * 100:g} % {name}" for name, part in more.items() if part)
        return f"{self.round_trip * 1000:.0f} ms, {lost}{also}, {self.rate:g} Mbit/s, queue {self.queue:g}"


QUICK = [Path(0.1, 0.0, 50), Path(0.1, 0.01, 50)]
FULL = [
    *(Path(trip, loss, 50) for trip, loss in itertools.product((0.02, 0.1, 0.3), (0.0, 0.001, 0.01, 0.05))),
    *(Path(0.1, loss, rate, queue) for loss, rate, queue in ((0.0, 10, 1.0), (0.0, 50, 0.1), (0.01, 50, 0.1))),
    *(Path(0.1, loss, 100) for loss in (0.0, 0.01)),
    Path(0.1, 0.01, 50, burst=5),
    Path(0.1, 0.0, 50, reorder=0.01),
    Path(0.1, 0.0, 50, duplicate=0.01),
]
COMPANY = [(OURS, OURS), (OURS, "TCP cubic"), (OURS, "TCP bbr"), ("TCP cubic", "TCP cubic")]
TOGETHER = Path(0.05, 0.0, 50)
TOGETHER_SECONDS = 15.0


class Links:
    """Two machines and the link between them. Everybody connects over the link as it is: what stacks have learnt of
    another path would be measured otherwise."""

    def __init__(self, lab: Lab) -> None:
        self._host, self._dialer = lab.public("host"), lab.public("dialer", link=Conditions())

    async def carry(self, stacks: Sequence[str], path: Path, seconds: float) -> list[float]:
        """Megabytes a second of each, at the same time."""
        assert self._dialer.link is not None
        self._dialer.link.set(**dataclasses.asdict(path.conditions))
        async with AsyncExitStack() as open_pairs:
            pairs = []
            for stack in stacks:
                made = Pair(stack, worker(stack, self._host), worker(stack, self._dialer))
                pairs.append(await open_pairs.enter_async_context(made))
                await made.connect(END, END)
            asked = [pair.dialer.ask(END, "throughput", "channel", seconds) for pair in pairs]
            return [float(rate) for rate, _ in await asyncio.gather(*asked)]


def worker(stack: str, machine: Machine) -> Worker:
    """A worker process on that machine."""
    return Worker(stack, command_in(machine.namespace, []), machine.address)


async def measure(paths: Iterable[Path], company: Iterable[tuple[str, str]], seconds: float | None = None) -> list[str]:
    """Both tables, line by line; `seconds` is how long each is to send, if not as long as its path deserves."""
    lines = [f"| path | {' | '.join(STACKS)} |", "|---" * (len(STACKS) + 1) + "|"]
    with Lab() as lab:
        links = Links(lab)
        for path in paths:
            cells = []
            for stack in STACKS:
                try:
                    (rate,) = await links.carry([stack], path, seconds or path.seconds)
                except (Failed, TimeoutError):  # aiortc gives an association up where much is lost
                    cells.append("failed")
                else:
                    cells.append(f"{rate / (path.rate * MEGABIT / 1e6 * HEADERS):.1%}")
            lines.append(f"| {path} | {' | '.join(cells)} |")
            print(lines[-1], flush=True)
        lines += ["", f"Two at once ({TOGETHER}), MB/s:", ""]
        for stacks in company:
            rates = await links.carry(stacks, TOGETHER, seconds or TOGETHER_SECONDS)
            lines.append(", ".join(f"{stack} {rate:.2f}" for stack, rate in zip(stacks, rates, strict=True)))
            print(lines[-1], flush=True)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.links", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two paths, two pairs at once")
    quick = parser.parse_args().quick
    lines = asyncio.run(measure(QUICK, COMPANY[:2]) if quick else measure(FULL, COMPANY))
    print("", *lines, sep="\n")


if __name__ == "__main__":
    main()
