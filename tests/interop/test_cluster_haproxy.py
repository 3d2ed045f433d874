"""Instances of a cluster behind HAProxy: one URL for all, no sticky sessions, and whoever dies is not missed."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable

import pytest

from signaling import KeySigner, SignalingClient
from tests.interop.haproxy import haproxy
from tests.signaling.nats import nats_server
from tests.signaling.processes import Process, server
from tests.signaling.tools import PATIENCE, get_json, until, until_json

pytestmark = [pytest.mark.needs("haproxy"), pytest.mark.needs("nats-server")]

MOVED_WITHIN = 3.0


@contextlib.asynccontextmanager
async def cluster(mode: str, instances: int = 2) -> AsyncIterator[tuple[str, list[Process]]]:
    """The one URL of a cluster, and its instances."""
    async with nats_server() as nats, contextlib.AsyncExitStack() as stack:
        made = [
            await stack.enter_async_context(server("--cluster", nats.url, "--drain", "10", limits={}))
            for _ in range(instances)
        ]
        for one in made:
            await until_json(one.port, lambda stats: stats["cluster_instances"] == instances)
        port = await stack.enter_async_context(haproxy([one.port for one in made], mode))
        yield f"ws://127.0.0.1:{port}/", made


async def holder(instances: list[Process], client: SignalingClient) -> Process:
    """The instance that has the only node that is connected by now."""
    await client.wait_connected(PATIENCE)
    for instance in instances:
        if (await get_json(instance.port))["nodes"]:
            return instance
    raise AssertionError("no instance has the node")


async def moved_after(client: SignalingClient, happens: Callable[[], None]) -> float:
    """Seconds from what happens until the client is connected again."""
    states: list[str] = []
    client.on_state = states.append
    began = asyncio.get_running_loop().time()
    happens()
    await until(lambda: states[-1:] == ["connected"])
    return asyncio.get_running_loop().time() - began


@pytest.mark.parametrize("mode", ["http", "tcp"])
async def test_a_client_whose_instance_is_killed_moves_and_misses_nothing(mode: str) -> None:
    async with cluster(mode) as (url, instances), SignalingClient(url, KeySigner()) as bob:
        received: list[bytes] = []
        bob.on_message = lambda message: received.append(message.payload)
        dying = await holder(instances, bob)
        [other] = [instance for instance in instances if instance is not dying]
        async with SignalingClient(f"ws://127.0.0.1:{other.port}/", KeySigner()) as ann:
            assert await ann.send(bob.id, b"one") == "delivered"
            assert await moved_after(bob, dying.kill) <= MOVED_WITHIN
            assert await ann.send(bob.id, b"two") == "delivered"
            await until(lambda: len(received) == 2)
    assert received == [b"one", b"two"]


async def test_a_client_whose_instance_freezes_moves() -> None:
    async with cluster("http") as (url, instances), SignalingClient(url, KeySigner()) as bob:
        frozen = await holder(instances, bob)
        try:
            assert await moved_after(bob, lambda: frozen.process.send_signal(signal.SIGSTOP)) <= MOVED_WITHIN
        finally:
            frozen.process.send_signal(signal.SIGCONT)


async def test_sigterm_drains_and_nobody_is_sent_to_who_goes() -> None:
    signer = KeySigner()
    async with cluster("http") as (url, instances), SignalingClient(url, KeySigner()) as ann:
        going = await holder(instances, ann)
        [other] = [instance for instance in instances if instance is not going]
        absent = SignalingClient(url, signer)
        assert await ann.send(absent.id, b"kept", ttl=60.0) == "queued"
        assert await moved_after(ann, going.process.terminate) <= MOVED_WITHIN + 2.0  # it is given two seconds to go
        async with asyncio.timeout(PATIENCE):
            assert await going.process.wait() == 0
        await until_json(other.port, lambda stats: stats["cluster_instances"] == 1)
        received: list[bytes] = []
        absent.on_message = lambda message: received.append(message.payload)
        async with absent:
            await until(lambda: received == [b"kept"])
