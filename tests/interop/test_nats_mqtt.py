"""Meeting at a NATS server by its MQTT door: a broker of 3.1.1 only, and not a line of it is Mosquitto's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from signaling import KeySigner, SignalingPool
from tests.interop.coturn import free_port
from tests.interop.test_mosquitto import get, inbox, meet, pool
from tests.until import until

pytestmark = pytest.mark.needs("nats-server")


@pytest.fixture
async def nats(tmp_path: Path) -> AsyncIterator[str]:
    """A NATS server that also speaks MQTT; its URL as a broker."""
    ports = free_port(), free_port()
    (tmp_path / "nats.conf").write_text(
        f'server_name: one\nhost: 127.0.0.1\nport: {ports[0]}\njetstream {{ store_dir: "{tmp_path}" }}\n'
        f"mqtt {{ host: 127.0.0.1, port: {ports[1]} }}\n"
    )
    process = await asyncio.create_subprocess_exec(
        *("nats-server", "-c", str(tmp_path / "nats.conf")), stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(20):
            while b"Server is ready" not in await process.stderr.readline():
                pass
        yield f"mqtt://127.0.0.1:{ports[1]}"
    finally:
        process.kill()
        await process.communicate()
        process._transport.close()  # type: ignore[attr-defined]  # else it warns after the loop is closed


async def test_two_meet_at_a_broker_of_the_old_version(nats: str) -> None:
    async with pool(nats) as ann, pool(nats) as bob:
        await meet(ann, bob)
        await bob.subscribe("news")
        received = inbox(bob)
        assert await ann.publish("news", b"it rains")
        assert (await get(received)).topic == "news"


async def test_it_cannot_say_that_nobody_listens(nats: str) -> None:
    """Delivered means that the broker took it; who waits for an answer sends again."""
    async with pool(nats) as ann:
        assert await ann.send("a" * 52, b"hello")


async def test_what_was_sent_to_nobody_is_not_there_later(nats: str) -> None:
    bob_key = KeySigner()
    bob = SignalingPool(bob_key)
    async with pool(nats) as ann:
        assert await ann.send(bob.id, b"too early")
        received = inbox(bob)
        bob.add(nats)
        await until(lambda: bob.connected, 20)
        assert await ann.send(bob.id, b"hello")
        assert (await get(received)).payload == b"hello"
        assert received.empty()
    await bob.close()
