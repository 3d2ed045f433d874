"""What goes over a relay, ours and coturn: `python -m tests.bench.relayed [--quick]`.

Two nodes that may use nothing but a TURN server over UDP, and one channel between them; each of its packets passes the
server twice, for both have a relayed address of their own. Beside it the same two nodes without a server, with the
1,200-byte packets that relayed paths have. A figure is the median of its rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
from collections import defaultdict
from contextlib import AsyncExitStack

from tests.bench.data import END
from tests.bench.pair import Pair, Worker
from tests.bench.relay_process import RelayProcess, available, running
from tests.bench.samples import OURS, RELAY_CONTROL
from tests.bench.turn_client import PASSWORD, USER
from tests.signaling.tools import serving, url_of

DIRECT = "no relay"
STACK = "atmosphere, 1200"
TITLES = ("MB/s", "ms of processor a MB, both ends", "ms of processor a MB, relay")
Figures = dict[tuple[str, str], list[float]]


async def measure(rounds: int, seconds: float) -> Figures:
    """Figures by what and by relay."""
    found: Figures = defaultdict(list)
    async with AsyncExitStack() as stack:
        signaling = await stack.enter_async_context(serving())
        relays: dict[str, RelayProcess | None] = {DIRECT: None}
        for kind in (OURS, RELAY_CONTROL):
            if available(kind):
                relays[kind] = stack.enter_context(running(kind))
        pairs = {}
        for name, relay in relays.items():
            pair = Pair(STACK) if relay is None else relayed(STACK, relay, url_of(signaling))
            pairs[name] = await stack.enter_async_context(pair)
            await pairs[name].connect(END, END)
        for number in range(rounds + 1):
            for name, pair in pairs.items():
                figures = await one(pair, relays[name], seconds)
                if number:  # nobody's first packets count
                    for title, figure in zip(TITLES, figures, strict=False):
                        found[title, name].append(figure)
    return found


def relayed(stack: str, relay: RelayProcess, signaling: str) -> Pair:
    """Two workers that have nothing but that relay, and meet at that signaling server if they need one."""
    host, port = relay.address
    where = {"BENCH_TURN": f"turn:{USER}:{PASSWORD}@{host}:{port}", "BENCH_SIGNALING": signaling}
    return Pair(stack, Worker(stack, environment=where), Worker(stack, environment=where))


async def one(pair: Pair, relay: RelayProcess | None, seconds: float) -> list[float]:
    ends, middle = await pair.both("cpu"), relay.processor() if relay is not None else 0.0
    rate, megabytes = await pair.dialer.ask(END, "throughput", "channel", seconds)
    figures = [rate, (await pair.both("cpu") - ends) * 1000 / megabytes]
    return figures if relay is None else [*figures, (relay.processor() - middle) * 1000 / megabytes]


def table(found: Figures) -> str:
    """Medians and extremes."""
    names = list(dict.fromkeys(name for _, name in found))
    lines = [f"| | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for title in TITLES:
        seen = [found.get((title, name)) for name in names]
        cells = [f"{statistics.median(one):.1f} ({min(one):.1f}–{max(one):.1f})" if one else "" for one in seen]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.relayed", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three rounds of half a second")
    quick = parser.parse_args().quick
    print(table(asyncio.run(measure(3, 0.5) if quick else measure(7, 2.0))))


if __name__ == "__main__":
    main()
