"""How many round trips it takes to be connected: everything as in `setup`, but whatever is said arrives 50 ms late."""

from __future__ import annotations

from tests.bench.pair import Pair
from tests.bench.plan import Plan
from tests.bench.relay_process import running
from tests.bench.relayed import relayed
from tests.bench.samples import CONTROL, LONG_RECONNECT, LONG_RELAYED, LONG_SETUP, OURS, Measurement, Samples
from tests.signaling.tools import serving, url_of

ONE_WAY = 0.05
SIGNALED: dict[str, float] = {OURS: 0.0, CONTROL: 1.0}
"""Round trips that the signaling of aiortc's offer and answer would take; ours has its own, or needs none."""


async def measure(plan: Plan, samples: Samples) -> None:
    """A new mesh and a new peer connection every round, after one that does not count; straight, and by a relay."""
    async with Pair(OURS) as ours, Pair(CONTROL) as control:
        await _rounds(plan, samples, (ours, control), LONG_SETUP)
    with running(OURS) as relay:
        async with (
            serving() as server,
            relayed(OURS, relay, url_of(server)) as ours,
            relayed(CONTROL, relay, url_of(server)) as control,
        ):
            await _rounds(plan, samples, (ours, control), LONG_RELAYED)


async def _rounds(plan: Plan, samples: Samples, pairs: tuple[Pair, Pair], what: Measurement) -> None:
    for pair in pairs:
        for end in (pair.host, pair.dialer):
            await end.ask("", "delay", ONE_WAY)
    for number in range(plan.rounds + 1):
        for pair in pairs if number % 2 else pairs[::-1]:
            name = f"way {number}"
            took = await pair.connect(name, name) / (2 * ONE_WAY) + SIGNALED[pair.stack]
            if number:
                samples.add(what, pair.stack, took)
            if number and pair.stack == OURS and what is LONG_SETUP:
                again = await pair.dialer.ask(name, "reconnect")
                samples.add(LONG_RECONNECT, OURS, again / (2 * ONE_WAY))
            await pair.close(name, name)
