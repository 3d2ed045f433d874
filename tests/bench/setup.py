"""How long it takes to be connected: by a code, again after a restart, and aiortc's offer and answer."""

from __future__ import annotations

from tests.bench.pair import Pair
from tests.bench.plan import Plan
from tests.bench.samples import CONTROL, OURS, RECONNECT, SETUP, Samples


async def measure(plan: Plan, samples: Samples) -> None:
    """A new mesh and a new peer connection every round, in processes that have imported everything before."""
    async with Pair(OURS) as ours, Pair(CONTROL) as control:
        for number in range(plan.rounds + 1):
            counts = number > 0
            for pair in (ours, control) if number % 2 else (control, ours):
                name = f"setup {number}"
                took = await pair.connect(name, name)
                if counts:
                    samples.add(SETUP, pair.stack, took * 1000)
                if counts and pair is ours:
                    samples.add(RECONNECT, OURS, await ours.dialer.ask(name, "reconnect") * 1000)
                await pair.close(name, name)
