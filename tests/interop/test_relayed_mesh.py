"""Nodes that may use nothing but a relay, through a real coturn: UDP and TCP, static and lent credentials."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from atmosphere.channels.stream import Stream
from atmosphere.mesh.node import Node
from atmosphere.mesh.peer import Peer
from signaling import SignalingServer, TurnCredentialSource
from tests.interop.coturn import SECRET, Coturn, running_coturn
from tests.mesh.nodes import WAIT, Mesh, connected
from tests.mesh.nodes import mesh as make_mesh
from tests.signaling.tools import serving
from tests.until import until

pytestmark = pytest.mark.needs("coturn")

DATA = random.Random(1).randbytes(600_000)
TRANSPORTS = pytest.mark.parametrize("transport", ["udp", "tcp"])


@pytest.fixture
async def coturn(tmp_path: Path) -> AsyncIterator[Coturn]:
    async with running_coturn(tmp_path) as server:
        yield server


@pytest.fixture
async def mesh(tmp_path: Path, coturn: Coturn) -> AsyncIterator[Mesh]:
    """Nodes that are stopped while coturn still runs."""
    async with make_mesh(tmp_path) as made:
        yield made


@pytest.fixture
async def signaling() -> AsyncIterator[SignalingServer]:
    """Where relayed nodes meet: a coturn lets nobody through whom the other side has not permitted."""
    async with serving() as server:
        yield server


def relayed(server: SignalingServer, *turn: str) -> dict[str, Any]:
    return {"path_policy": "relay", "signaling": [url(server)], "turn": turn}


def url(server: SignalingServer) -> str:
    return f"ws://127.0.0.1:{server.port}"


async def digest(stream: Stream) -> None:
    """Answer with the hash of everything that comes."""
    stream.write(hashlib.sha256(await stream.read()).digest())
    await stream.write_eof()


async def is_relayed(node: Node, name: str, transport: str) -> None:
    """The path goes over our own relayed address, which is reached over `transport`, and carries data intact."""
    [peer] = await connected(node, name)
    path = peer.info().path
    assert path is not None
    assert (path.kind, path.protocol) == ("relay", transport)
    assert path.local.type == "relay"
    assert path.remote.type in ("relay", "prflx")  # a check may come before the signal that names the candidate
    assert await asyncio.wait_for(digest_at(peer), WAIT) == hashlib.sha256(DATA).digest()


async def digest_at(peer: Peer) -> bytes:
    stream = await peer.open_stream("digest")
    stream.write(DATA)
    await stream.write_eof()
    return await stream.read()


async def both_are_relayed(one: Node, other: Node, transport: str) -> None:
    for node in (one, other):
        node.on_stream("digest", digest)
    await is_relayed(one, other.name, transport)
    await is_relayed(other, one.name, transport)


@TRANSPORTS
async def test_two_nodes_on_static_credentials(
    mesh: Mesh, signaling: SignalingServer, coturn: Coturn, transport: str
) -> None:
    options = relayed(signaling, coturn.turn(transport))
    alpha = await mesh.found(**options)
    beta = await mesh.join(alpha, "beta", **options)
    await both_are_relayed(alpha, beta, transport)


@TRANSPORTS
async def test_two_nodes_on_credentials_that_signaling_lends(tmp_path: Path, transport: str) -> None:
    async with (
        running_coturn(tmp_path, rest=True) as coturn,
        serving(turn=lending(coturn, transport)) as server,
        make_mesh(tmp_path) as mesh,
    ):
        alpha = await mesh.found(**relayed(server))
        await until(lambda: any(one.uri.startswith("turn") and one.ok for one in alpha.status().servers))
        beta = await mesh.join(alpha, "beta", **relayed(server))
        await both_are_relayed(alpha, beta, transport)


def lending(coturn: Coturn, transport: str) -> TurnCredentialSource:
    return TurnCredentialSource((f"turn:127.0.0.1:{coturn.port}?transport={transport}",), SECRET)


async def test_one_node_over_tcp_and_one_over_udp(mesh: Mesh, signaling: SignalingServer, coturn: Coturn) -> None:
    alpha = await mesh.found(**relayed(signaling, coturn.turn("tcp")))
    beta = await mesh.join(alpha, "beta", **relayed(signaling, coturn.turn("udp")))
    alpha.on_stream("digest", digest)
    beta.on_stream("digest", digest)
    await is_relayed(alpha, "beta", "tcp")
    await is_relayed(beta, "alpha", "udp")


async def test_a_restarted_relayed_node_is_back(mesh: Mesh, signaling: SignalingServer, coturn: Coturn) -> None:
    options = relayed(signaling, coturn.turn())
    alpha = await mesh.found(**options)
    beta = await mesh.join(alpha, "beta", **options)
    beta = await mesh.restart(beta, **options)
    await both_are_relayed(alpha, beta, "udp")


async def test_one_relayed_end_hides_its_addresses(mesh: Mesh, signaling: SignalingServer, coturn: Coturn) -> None:
    alpha = await mesh.found(signaling=[url(signaling)])
    beta = await mesh.join(alpha, "beta", **relayed(signaling, coturn.turn()))
    [peer] = await connected(alpha, "beta")
    path = peer.info().path
    assert path is not None
    assert path.kind == "relay"
    assert path.remote.port != beta.port
