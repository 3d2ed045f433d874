"""One node with a hundred peers: how long they take to be connected, and what each costs while it is idle."""

from __future__ import annotations

import asyncio

from tests.bench.pair import Worker
from tests.bench.plan import Plan
from tests.bench.samples import OURS, PEERS_BYTES, PEERS_CPU, PEERS_JOIN, PEERS_JOIN_CPU, PEERS_MEMORY, Samples

GROUP = 10
WARM = 3
"""Peers that come first and do not count: what is made once is made for them."""


async def measure(plan: Plan, samples: Samples) -> None:
    """A hub in a process of its own, its peers in another; only the hub's process is looked at."""
    hub, spokes = Worker("hub"), Worker("hub")
    await asyncio.gather(hub.start(), spokes.start())
    try:
        await _join(hub, spokes, WARM)
        await asyncio.sleep(plan.quiet_seconds)
        memory, processor = await _state(hub)
        samples.add(PEERS_JOIN, OURS, await _join(hub, spokes, plan.hub_peers))
        await asyncio.sleep(plan.quiet_seconds)
        after, idle = await _state(hub)
        samples.add(PEERS_MEMORY, OURS, (after - memory) / plan.hub_peers / 1e3)
        samples.add(PEERS_JOIN_CPU, OURS, (idle - processor) / plan.hub_peers * 1e3)
        before = await hub.ask("hub", "traffic")
        await asyncio.sleep(plan.hub_seconds)
        _, later = await _state(hub)
        bytes_each = (await hub.ask("hub", "traffic") - before) / (plan.hub_peers + WARM)
        samples.add(PEERS_BYTES, OURS, bytes_each * 3600 / plan.hub_seconds / 1e3)
        samples.add(PEERS_CPU, OURS, (later - idle) / plan.hub_seconds / (plan.hub_peers + WARM) * 100)
    finally:
        await asyncio.gather(spokes.stop(), hub.stop())


async def _join(hub: Worker, spokes: Worker, count: int) -> float:
    """Seconds that so many took, in groups, for each question to a worker is answered within a minute."""
    took, sizes = 0.0, [GROUP] * (count // GROUP) + [count % GROUP] * (count % GROUP > 0)
    for size in sizes:
        took += float(await spokes.ask("spokes", "join_all", await hub.ask("hub", "invite", size), size))
    return took


async def _state(hub: Worker) -> tuple[float, float]:
    """Bytes that the hub's process holds, and seconds of processor that it has used."""
    return float(await hub.ask("", "rss")), float(await hub.ask("", "cpu"))
