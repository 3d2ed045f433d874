"""Nodes that may use nothing but a relay, and the relay is ours: over UDP, TCP and WebSocket, lent and static users."""

from __future__ import annotations

import asyncio
import hashlib
import random
from pathlib import Path
from typing import Any

import pytest

from atmosphere.channels.stream import Stream
from atmosphere.mesh.node import Node
from atmosphere.network import RelayServer, RelaySettings
from atmosphere.turn.server.settings import TurnSettings
from tests.mesh.nodes import WAIT, connected
from tests.mesh.nodes import mesh as make_mesh
from tests.network.relays import PASSWORD, USER, relaying
from tests.signaling.tools import serving
from tests.until import until

DATA = random.Random(1).randbytes(400_000)


async def digest(stream: Stream) -> None:
    """Answer with the hash of everything that comes."""
    stream.write(hashlib.sha256(await stream.read()).digest())
    await stream.write_eof()


async def is_relayed(node: Node, name: str, *transports: str) -> None:
    """The path is relayed, our side of it over one of `transports`, and carries data intact."""
    [peer] = await connected(node, name)
    path = peer.info().path
    assert path is not None
    assert (path.kind, path.local.type) == ("relay", "relay")
    assert path.protocol in transports
    async with asyncio.timeout(WAIT):
        stream = await peer.open_stream("digest")
        stream.write(DATA)
        await stream.write_eof()
        assert await stream.read() == hashlib.sha256(DATA).digest()


async def both_are_relayed(one: Node, other: Node, *transports: str) -> None:
    for node in (one, other):
        node.on_stream("digest", digest)
    await is_relayed(one, other.name, *transports)
    await is_relayed(other, one.name, *transports)


def turn_is_there(node: Node) -> bool:
    return any(one.uri.startswith("turn") and one.ok for one in node.status().servers)


@pytest.mark.parametrize("transport", ["udp", "tcp", "ws"])
async def test_static_users(tmp_path: Path, transport: str) -> None:
    async with relaying(relay=TurnSettings()) as relay, serving() as meeting, make_mesh(tmp_path) as mesh:
        turn = f"turn:{USER}:{PASSWORD}@127.0.0.1:{relay.port}?transport={transport}"
        options: dict[str, Any] = {
            "path_policy": "relay",
            "signaling": [f"ws://127.0.0.1:{meeting.port}"],
            "turn": [turn],
        }
        alpha = await mesh.found(**options)
        beta = await mesh.join(alpha, "beta", **options)
        await both_are_relayed(alpha, beta, transport)
        stats = relay.stats()
        assert stats["turn_bytes_inside_total"] > 2 * len(DATA)  # from one allocation to the other, on no network
        assert stats["turn_streams"] == (0 if transport == "udp" else 2)


async def test_users_that_signaling_lends(tmp_path: Path) -> None:
    async with relaying(relay=TurnSettings()) as relay, make_mesh(tmp_path) as mesh:
        options: dict[str, Any] = {"path_policy": "relay", "signaling": [relay.places.signaling]}
        alpha = await mesh.found(**options)
        await until(lambda: turn_is_there(alpha))
        beta = await mesh.join(alpha, "beta", **options)
        await both_are_relayed(alpha, beta, "udp")


async def test_a_restarted_relay_has_its_members_back(tmp_path: Path) -> None:
    """The new one has another secret: what was lent by the old one is worth nothing there."""
    first = RelayServer("127.0.0.1", 0)
    await first.start()
    try:
        async with make_mesh(tmp_path) as mesh:
            options: dict[str, Any] = {"path_policy": "relay", "signaling": [first.places.signaling]}
            alpha = await mesh.found(**options)
            await until(lambda: turn_is_there(alpha))
            beta = await mesh.join(alpha, "beta", **options)
            await connected(alpha, "beta")
            await first.stop()
            async with RelayServer("127.0.0.1", first.port, settings=RelaySettings()) as second:
                await until(lambda: second.stats()["turn_allocations"] >= 2, timeout=60)
                await until(lambda: second.stats()["turn_bytes_inside_total"] > 0, timeout=60)
                await both_are_relayed(alpha, beta, "udp", "tcp", "ws")  # whichever was there first
    finally:
        await first.stop()
