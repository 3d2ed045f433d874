"""What a connected peer costs that nobody talks to: memory and processor of one process with many."""

from __future__ import annotations

import asyncio

from tests.bench.pair import Pair
from tests.bench.plan import Plan
from tests.bench.samples import CONTROL, IDLE_CPU, IDLE_MEMORY, LONELY_CPU, OURS, Samples

WARM = 3
"""Peers that come first and do not count: what is made once is made for them."""


async def measure(plan: Plan, samples: Samples) -> None:
    """Fresh processes every round; both stacks idle through the same seconds. Only the host's process is looked at."""
    for _ in range(plan.idle_rounds):
        async with Pair(OURS) as ours, Pair(CONTROL) as control:
            pairs = (ours, control)
            lonely = {}
            for pair in pairs:
                await pair.host.ask(_host(pair, 0), "prepare")
            for pair, used in zip(pairs, await _processor(pairs, plan.lonely_seconds), strict=True):
                samples.add(LONELY_CPU, pair.stack, used)
                lonely[pair] = used
            for pair in pairs:
                samples.add(IDLE_MEMORY, pair.stack, await _memory(pair, plan) / 1e3)
            await asyncio.sleep(plan.quiet_seconds)  # a path is watched more closely for a while after the last data
            for pair, used in zip(pairs, await _processor(pairs, plan.idle_seconds), strict=True):
                per_peer = (used - lonely[pair]) / (plan.idle_peers + WARM)
                samples.add(IDLE_CPU, pair.stack, max(per_peer, 0.0))


def _host(pair: Pair, number: int) -> str:
    """One node has all its peers; aiortc needs a peer connection for each."""
    return "host" if pair.stack == OURS else f"host {number}"


async def _memory(pair: Pair, plan: Plan) -> float:
    """Bytes that the host's process grew by with each further peer."""
    before = 0.0
    for number in range(WARM + plan.idle_peers):
        if number == WARM:
            before = await _settled(pair, plan)
        await pair.connect(_host(pair, number), f"dialer {number}")
    return (await _settled(pair, plan) - before) / plan.idle_peers


async def _settled(pair: Pair, plan: Plan) -> float:
    """The host's memory once what goes on at the start of a link is over."""
    await asyncio.sleep(plan.settle_seconds)
    return float(await pair.host.ask("", "rss"))


async def _processor(pairs: tuple[Pair, ...], seconds: float) -> list[float]:
    """The share of a core, in percent, that each host's process uses through the same seconds."""
    before = [await pair.host.ask("", "cpu") for pair in pairs]
    await asyncio.sleep(seconds)
    after = [await pair.host.ask("", "cpu") for pair in pairs]
    return [(late - early) / seconds * 100 for early, late in zip(before, after, strict=True)]
