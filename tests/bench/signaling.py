"""A crowd of nodes on one signaling server, and on three instances over NATS of which one is killed half-way."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import statistics

from tests.bench import samples as rows
from tests.bench.plan import Plan
from tests.bench.samples import OURS, Samples
from tests.signaling.crowd import Crowd, Tally
from tests.signaling.nats import nats_server
from tests.signaling.processes import Process, server
from tests.signaling.tools import until_json

WARM = 20
"""Nodes that come first and do not count: what is made once is made for them."""

WAIT = 60.0
"""Seconds that messages get after the last was sent."""


async def measure(plan: Plan, samples: Samples) -> None:
    """The nodes live in this process, each server in its own; once each, for a crowd is its own average."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    await _one(plan, samples)
    await _three(plan, samples)


async def _one(plan: Plan, samples: Samples) -> None:
    async with server() as alone:
        crowd = Crowd([alone.port])
        await crowd.connect(WARM)
        before = alone.rss
        await crowd.connect(plan.signaling_nodes - WARM)
        await asyncio.sleep(plan.settle_seconds)
        samples.add(rows.NODE_MEMORY, OURS, (alone.rss - before) / (plan.signaling_nodes - WARM) / 1e3)
        used = alone.cpu
        tally = await crowd.exchange(plan.signaling_messages, plan.signaling_rate, wait=WAIT)
        samples.add(rows.SERVER_CPU, OURS, (alone.cpu - used) / plan.signaling_messages * 1e6)
        samples.add(rows.SERVER_P50, OURS, tally.percentile(50))
        samples.add(rows.SERVER_P99, OURS, tally.percentile(99))
        samples.add(rows.SERVER_MISSED, OURS, _missed(plan, tally))
        samples.add(rows.SERVER_TWICE, OURS, tally.again)
        crowd.close()


async def _three(plan: Plan, samples: Samples) -> None:
    async with nats_server() as nats, contextlib.AsyncExitStack() as stack:
        instances = [await stack.enter_async_context(server("--cluster", nats.url)) for _ in range(3)]
        for instance in instances:
            await until_json(instance.port, lambda stats: stats["cluster_instances"] == 3)
        crowd = Crowd([instance.port for instance in instances])
        await crowd.connect(plan.signaling_nodes)
        killing = asyncio.create_task(_kill_half_way(crowd, instances[2], plan.signaling_messages))
        tally = await crowd.exchange(plan.signaling_messages, plan.cluster_rate, wait=WAIT)
        await killing
        await crowd.settled(WAIT)
        samples.add(rows.CLUSTER_P50, OURS, tally.percentile(50))
        samples.add(rows.CLUSTER_P99, OURS, tally.percentile(99))
        samples.add(rows.CLUSTER_MISSED, OURS, tally.missing)
        samples.add(rows.CLUSTER_MOVE_P50, OURS, statistics.median(crowd.moves))
        samples.add(rows.CLUSTER_MOVE, OURS, max(crowd.moves))
        crowd.close()


async def _kill_half_way(crowd: Crowd, instance: Process, messages: int) -> None:
    while len(crowd.tally.latencies) < messages / 2:  # noqa: ASYNC110 (messages have no event)
        await asyncio.sleep(0.01)
    crowd.ports.remove(instance.port)
    instance.kill()


def _missed(plan: Plan, tally: Tally) -> int:
    """What did not arrive, and what was refused."""
    return plan.signaling_messages - len(tally.latencies) + tally.refused.total()
