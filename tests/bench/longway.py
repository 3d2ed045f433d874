"""How many round trips it takes to be connected: everything as in `setup`, but each datagram takes 50 ms."""

from __future__ import annotations

from tests.bench.pair import Pair
from tests.bench.plan import Plan
from tests.bench.samples import CONTROL, LONG_RECONNECT, LONG_SETUP, OURS, Samples

ONE_WAY = 0.05
SIGNALED: dict[str, float] = {OURS: 0.0, CONTROL: 1.0}
"""Round trips that the signaling of offer and answer would take; a code needs none."""


async def measure(plan: Plan, samples: Samples) -> None:
    """A new mesh and a new peer connection every round, after one that does not count."""
    async with Pair(OURS) as ours, Pair(CONTROL) as control:
        for pair in (ours, control):
            for end in (pair.host, pair.dialer):
                await end.ask("", "delay", ONE_WAY)
        for number in range(plan.rounds + 1):
            for pair in (ours, control) if number % 2 else (control, ours):
                name = f"way {number}"
                took = await pair.connect(name, name) / (2 * ONE_WAY) + SIGNALED[pair.stack]
                if number:
                    samples.add(LONG_SETUP, pair.stack, took)
                if number and pair is ours:
                    again = await ours.dialer.ask(name, "reconnect")
                    samples.add(LONG_RECONNECT, OURS, again / (2 * ONE_WAY))
                await pair.close(name, name)
