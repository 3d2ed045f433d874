"""100,000 frames at a node's own signaling server, and what comes in reality at `python -m signaling`."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from atmosphere.mesh import listeners
from atmosphere.tasks import Tasks
from signaling import KeySigner, Settings, SignalingClient, SignalingServer
from signaling.auth import Signer
from signaling.model import Message
from tests.fuzz.frames import CLOSE, PATIENCE, FrameMutator, RawSocket, frame
from tests.fuzz.memory import MIB, growth_below
from tests.fuzz.test_datagrams import talking
from tests.mesh.nodes import Mesh, connected
from tests.signaling.test_main import program
from tests.until import until

TEXTS = 85_000
BROKEN = 15_000
REQUESTS = 1_500
MAX_GROWTH = 48 * MIB
CONNECTIONS = 6
BATCH = 50

UNHURRIED: dict[str, Any] = dict.fromkeys(
    (
        *("messages_per_connection", "messages_per_connection_burst", "messages_per_address"),
        *("messages_per_address_burst", "messages", "messages_burst", "handshakes_per_address"),
        *("handshakes_per_address_burst", "handshakes", "handshakes_burst"),
    ),
    1e9,
)
"""The limits are tested elsewhere; here they would only make the test long."""


@asynccontextmanager
async def swallowing(raw: RawSocket) -> AsyncIterator[asyncio.Task[None]]:
    """Its answers are read meanwhile, by a task that ends with the connection."""
    tasks = Tasks("swallow")
    answers = tasks.spawn(raw.swallow(), "answers")
    assert answers is not None
    try:
        yield answers
    finally:
        await tasks.close()
        raw.end()


async def texts(server: SignalingServer, number: int, seed: int, ids: list[str], signer: Signer | None = None) -> None:
    """Frames on one connection that lasts until the server has read them all."""
    raw = await RawSocket.open(server.port, signer)
    assert raw is not None
    mutator = FrameMutator(seed, [*ids, raw.id])
    async with swallowing(raw) as answers:
        for sent in range(0, number, BATCH):
            raw.writer.write(b"".join(frame(mutator.text()) for _ in range(BATCH)))
            await raw.writer.drain()
            assert not raw.writer.is_closing(), f"cut after {sent}"
        raw.writer.write(frame(b"\x03\xe8", CLOSE))
        await asyncio.wait_for(answers, 3 * PATIENCE)


async def broken(port: int, number: int, seed: int) -> int:
    """Bytes on one connection after another, each until it is cut or has got a batch; how many batches were sent."""
    mutator, sent = FrameMutator(seed, []), 0
    for _ in range(0, number, BATCH):
        raw = await RawSocket.open(port, proved=mutator.chance.random() < 0.8)
        if raw is None:
            continue
        async with swallowing(raw):
            raw.writer.write(b"".join(mutator.broken() for _ in range(BATCH)))
            sent += 1
            await asyncio.sleep(0)
    return sent


async def requests(port: int, number: int, seed: int) -> None:
    """What may come to any open TCP port."""
    mutator = FrameMutator(seed, [])
    for _ in range(number):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(mutator.http(port))
            await writer.drain()
            writer.close()
        except OSError:
            continue


async def honest_nodes_meet(url: str) -> None:
    """A message goes through."""
    got: asyncio.Queue[Message] = asyncio.Queue()
    async with SignalingClient(url, KeySigner()) as ann, SignalingClient(url, KeySigner()) as bob:
        bob.on_message = got.put_nowait
        await ann.wait_connected(PATIENCE)
        await bob.wait_connected(PATIENCE)
        await ann.send(bob.id, b"hello")
        assert (await asyncio.wait_for(got.get(), PATIENCE)).payload == b"hello"


async def test_100_000_frames_at_a_node_with_traffic(mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    unhurried = Settings(malformed_per_connection=10**9, **UNHURRIED)
    monkeypatch.setattr(listeners, "Settings", lambda: unhurried)
    alpha = await mesh.found()
    beta = await mesh.join(alpha, "beta")
    await connected(alpha, "beta")
    malicious = await mesh.join(alpha, "mallory")
    mallory = malicious._parts.home.identity
    await malicious.stop()
    server = alpha._parts.listeners.server
    assert server is not None
    ids = [alpha.id, beta.id, mallory.node_id]
    async with talking(beta, alpha):
        await texts(server, 1_000, 0, ids)
        with growth_below(MAX_GROWTH):
            await asyncio.gather(
                *(texts(server, TEXTS // CONNECTIONS, 1 + n, ids, None if n else mallory) for n in range(CONNECTIONS))
            )
            await asyncio.gather(*(broken(alpha.port, BROKEN // 4, 11 + n) for n in range(4)))
            await requests(alpha.port, REQUESTS, 21)
    assert server.stats()["frames_received_total"] > 0.99 * TEXTS
    print({name: value for name, value in server.stats().items() if value})
    await until(lambda: server.stats()["nodes"] <= 2, PATIENCE)
    await until(lambda: server.stats()["connections"] <= 2, PATIENCE)
    stats = server.stats()
    assert stats["topics"] == stats["watching_nodes"] == 0
    assert stats["mailbox_bytes"] <= unhurried.mailboxes_bytes
    assert await beta.peer("alpha").ping() > 0
    gamma = await mesh.fresh("gamma")
    await gamma.join(await alpha.invite())


async def test_everybody_at_once_at_a_server_of_its_own() -> None:
    async with program("--log-level", "warning", "--drain", "0") as (process, url):
        port = int(url.rpartition(":")[2].rstrip("/"))
        await honest_nodes_meet(url)
        memory = memory_of(process.pid)
        await asyncio.gather(
            *(broken(port, 60 * BATCH, seed) for seed in range(3)), *(requests(port, 300, seed) for seed in range(3))
        )
        assert memory_of(process.pid) - memory < MAX_GROWTH
        # Loopback was one address to it, whose rate is used up now; it is full again within seconds.
        await until_admitted(port)
        await honest_nodes_meet(url)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), PATIENCE) == 0
        assert process.stderr is not None
        assert b"Traceback" not in await process.stderr.read()


async def until_admitted(port: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while (raw := await RawSocket.open(port)) is None:  # noqa: ASYNC110 - only time refills a rate
            await asyncio.sleep(0.2)
    raw.end()


def memory_of(pid: int) -> int:
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return 0
    return (
        next(int(line.split()[1]) for line in status.read_text(encoding="ascii").splitlines() if "VmRSS" in line) * 1024
    )
