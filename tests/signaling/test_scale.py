"""The crowd in small: what `python -m tests.bench --only signaling` does with 10,000 nodes."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from tests.signaling.crowd import Crowd
from tests.signaling.nats import nats_server
from tests.signaling.processes import Process, server
from tests.signaling.tools import until_json

NODES, MESSAGES, RATE = 300, 3000, 1500.0
CLUSTER_NODES, CLUSTER_MESSAGES, CLUSTER_RATE = 150, 1500, 500.0
MOST_BYTES_A_NODE = 20_000


async def test_three_hundred_nodes_on_one_server() -> None:
    async with server() as alone:
        crowd = Crowd([alone.port])
        await crowd.connect(50)
        before = alone.rss
        await crowd.connect(NODES - 50)
        assert (alone.rss - before) / (NODES - 50) <= MOST_BYTES_A_NODE
        tally = await crowd.exchange(MESSAGES, RATE)
        assert not tally.refused
        assert set(tally.latencies) == tally.answered == set(range(MESSAGES))
        assert tally.again == 0
        crowd.close()


@pytest.mark.needs("nats-server")
async def test_three_instances_one_of_which_is_killed_half_way() -> None:
    async with nats_server() as nats, contextlib.AsyncExitStack() as stack:
        instances = [await stack.enter_async_context(server("--cluster", nats.url)) for _ in range(3)]
        await until_joined(instances)
        crowd = Crowd([instance.port for instance in instances])
        await crowd.connect(CLUSTER_NODES)
        killing = asyncio.create_task(kill(crowd, instances[2], CLUSTER_MESSAGES / 2))
        tally = await crowd.exchange(CLUSTER_MESSAGES, CLUSTER_RATE)
        await killing
        await crowd.settled()
        assert not tally.refused
        assert tally.missing == 0
        assert set(tally.latencies) == tally.answered == set(range(CLUSTER_MESSAGES))
        assert len(crowd.moves) >= CLUSTER_NODES / 3
        crowd.close()


async def kill(crowd: Crowd, instance: Process, after: float) -> None:
    """Kill an instance when so many messages have arrived."""
    while len(crowd.tally.latencies) < after:  # noqa: ASYNC110 (messages have no event)
        await asyncio.sleep(0.01)
    crowd.ports.remove(instance.port)
    instance.kill()


async def until_joined(instances: list[Process]) -> None:
    """Return when they all know each other."""
    for instance in instances:
        await until_json(
            instance.port, lambda stats: stats["cluster_joined"] == 1 and stats["cluster_instances"] == len(instances)
        )
