"""Meeting at a real Mosquitto, with honest people, with a spy and with a vandal."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiomqtt
import pytest

from signaling import KeySigner, Message, SignalingPool
from signaling.mqtt.bridge import PACE
from signaling.mqtt.client import MqttClient
from signaling.mqtt.envelope import seal
from signaling.mqtt.sieve import BURST, RATE
from signaling.mqtt.topics import lane
from tests.interop.mosquitto import PASSWORD, USER, Mosquitto, running_mosquitto
from tests.mesh.nodes import Mesh
from tests.mesh.nodes import mesh as make_mesh
from tests.signaling.broker import CONNECT, PINGREQ, PUBLISH, packet, text
from tests.signaling.test_session import certificate
from tests.signaling.tools import serving, url_of
from tests.until import until

pytestmark = pytest.mark.needs("mosquitto")

PATIENCE = 20.0


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    async with running_mosquitto(tmp_path) as made:
        yield made


@contextlib.asynccontextmanager
async def pool(
    *urls: str, signer: KeySigner | None = None, ssl_context: ssl.SSLContext | None = None
) -> AsyncIterator[SignalingPool]:
    made = SignalingPool(signer or KeySigner(), ssl_context=ssl_context)
    for url in urls:
        made.add(url)
    try:
        await until(lambda: len(made.connected) == len(urls), PATIENCE)
        yield made
    finally:
        await made.close()


def inbox(of: SignalingPool) -> asyncio.Queue[Message]:
    queue: asyncio.Queue[Message] = asyncio.Queue()
    of.on_message = queue.put_nowait
    return queue


async def get(queue: asyncio.Queue[Message]) -> Message:
    async with asyncio.timeout(PATIENCE):
        return await queue.get()


def client_of(of: SignalingPool) -> MqttClient:
    (found,) = of._clients.values()
    assert isinstance(found, MqttClient)
    return found


async def meet(ann: SignalingPool, bob: SignalingPool) -> None:
    """A message each way."""
    for one, other in ((ann, bob), (bob, ann)):
        received = inbox(other)
        assert await one.send(other.id, b"hello")
        message = await get(received)
        assert (message.sender, message.payload) == (one.id, b"hello")


@pytest.mark.parametrize("kind", ["plain", "ws", "tls", "wss"])
async def test_two_meet_over_every_transport(tmp_path: Path, kind: str) -> None:
    files = certificate(tmp_path)
    trusting = ssl.create_default_context(cafile=str(files[0]))
    async with running_mosquitto(tmp_path, files) as broker:
        url = broker.urls[kind]
        async with pool(url, ssl_context=trusting) as ann, pool(url, ssl_context=trusting) as bob:
            await meet(ann, bob)
            assert not await ann.send("a" * 52, b"nobody listens")


@pytest.mark.parametrize("kind", ["tls", "wss"])
async def test_a_certificate_that_nobody_vouches_for(tmp_path: Path, kind: str) -> None:
    async with running_mosquitto(tmp_path, certificate(tmp_path)) as broker:
        ann = SignalingPool(KeySigner())
        ann.add(broker.urls[kind])
        await until(lambda: ann.health[0].error, PATIENCE)
        assert "certificate" in str(ann.health[0].error).lower()
        assert not ann.connected
        await ann.close()


async def test_a_broker_that_wants_a_password(broker: Mosquitto) -> None:
    locked = broker.urls["locked"]
    opened = locked.replace("//", f"//{USER}:{PASSWORD}@")
    async with pool(opened) as ann, pool(opened) as bob:
        await meet(ann, bob)
        assert ann.urls == [locked]
    for wrong in (locked, locked.replace("//", f"//{USER}:wrong@")):
        eve = SignalingPool(KeySigner())
        eve.add(wrong)
        await until(lambda eve=eve: eve.health[0].error, PATIENCE)  # type: ignore[misc]
        assert "Not authorized" in str(eve.health[0].error)
        await eve.close()


async def test_a_broker_that_is_restarted(broker: Mosquitto) -> None:
    async with pool(broker.url) as ann, pool(broker.url) as bob:
        await meet(ann, bob)
        await broker.stop()
        await until(lambda: not ann.connected and not bob.connected, PATIENCE)
        assert await broker.start()
        await until(lambda: ann.connected and bob.connected, PATIENCE)
        await meet(ann, bob)


async def test_a_broker_and_a_server_at_once(broker: Mosquitto) -> None:
    async with serving() as server:
        async with pool(broker.url, url_of(server)) as ann, pool(broker.url, url_of(server)) as bob:
            received = inbox(bob)
            assert await ann.send(bob.id, b"one")
            assert await ann.send(bob.id, b"two")
            got = {(await get(received)).payload for _ in range(2)}
            assert got == {b"one", b"two"}
            await broker.stop()
            await until(lambda: len(ann.connected) == 1, PATIENCE)
            assert await ann.send(bob.id, b"three")
            assert (await get(received)).payload == b"three"
            assert received.empty()


# --- a spy, who subscribes to everything ----------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def spy(broker: Mosquitto) -> AsyncIterator[list[aiomqtt.Message]]:
    """Everything that goes through the broker, and what lies there."""
    seen: list[aiomqtt.Message] = []

    async def listen(client: aiomqtt.Client) -> None:
        async for message in client.messages:
            seen.append(message)  # noqa: PERF401 (one at a time, as they come)

    async with aiomqtt.Client("127.0.0.1", broker.port) as client:
        await client.subscribe("#", qos=1)
        listening = asyncio.ensure_future(listen(client))
        try:
            yield seen
        finally:
            listening.cancel()
            await asyncio.wait([listening])


async def test_a_spy_sees_topics_and_sizes_only(broker: Mosquitto) -> None:
    payload = b"a payload that is easy to find"
    async with spy(broker) as seen, pool(broker.url) as ann, pool(broker.url) as bob:
        await bob.subscribe("the family's topic")
        received = inbox(bob)
        await ann.send(bob.id, payload, message_id="a message's name")
        await ann.publish("the family's topic", payload)
        for _ in range(2):
            await get(received)
        await until(lambda: len(seen) == 2, PATIENCE)
        wire = b"".join(str(message.topic).encode() + b" " + bytes(message.payload) for message in seen)
        keys = [pool_of._places._signer.public_key for pool_of in (ann, bob)]
        secrets = [payload, b"a message's name", b"family", *(key[-20:] for key in keys)]
        secrets += [part.encode() for one in (ann, bob) for part in (one.id, one.id[:12])]
        assert not [secret for secret in secrets if secret in wire]
        assert not any(message.retain for message in seen)


async def test_nothing_lies_at_the_broker_afterwards(broker: Mosquitto) -> None:
    async with pool(broker.url) as ann, pool(broker.url) as bob:
        await bob.subscribe("topic")
        await meet(ann, bob)
        await ann.publish("topic", b"news")
        bob_id = bob.id
        await ann.send(bob_id, b"hello")
    async with pool(broker.url) as ann:
        assert not await ann.send(bob_id, b"bob has left")
    async with spy(broker) as seen, aiomqtt.Client("127.0.0.1", broker.port) as other:
        await other.publish("marker", b"", qos=1)
        await until(lambda: seen, PATIENCE)
        assert [str(message.topic) for message in seen] == ["marker"]


# --- a vandal, who publishes anything -------------------------------------------------------------------------------


async def test_a_captured_message_that_is_replayed(broker: Mosquitto) -> None:
    async with spy(broker) as seen, pool(broker.url) as ann, pool(broker.url) as bob:
        received = inbox(bob)
        await ann.send(bob.id, b"hello")
        await get(received)
        await until(lambda: seen, PATIENCE)
        async with aiomqtt.Client("127.0.0.1", broker.port) as vandal:
            for _ in range(5):
                await vandal.publish(str(seen[0].topic), seen[0].payload, qos=1)
            await vandal.publish(str(seen[0].topic), seen[0].payload, qos=1, retain=True)
        await until(lambda: client_of(bob).gate.refused["repeated"] >= 5, PATIENCE)
        assert received.empty()
        assert await ann.send(bob.id, b"hello")
        assert (await get(received)).payload == b"hello"


async def test_what_a_vandal_leaves_for_a_node_to_find(broker: Mosquitto) -> None:
    """A retained message is dropped by a node that comes later, however true it is."""
    eve, bob_key = KeySigner(), KeySigner()
    async with pool(broker.url, signer=bob_key) as bob:
        bob_id = bob.id
    to = lane("node", bob_id, time.time())
    async with aiomqtt.Client("127.0.0.1", broker.port) as vandal:
        await vandal.publish(f"atmosphere/{to.topic}", seal(to, eve, "m", b"left", 30, time.time()), qos=1, retain=True)
    async with pool(broker.url, signer=bob_key) as bob, pool(broker.url) as ann:
        received = inbox(bob)
        await ann.send(bob.id, b"hello")
        assert (await get(received)).payload == b"hello"
        assert received.empty()


async def test_nobody_is_spoken_for(broker: Mosquitto) -> None:
    """Eve knows bob's id, so she can write to him; but only as herself."""

    async with pool(broker.url) as ann, pool(broker.url) as bob:
        received = inbox(bob)
        liar = KeySigner()
        liar.public_key = ann._places._signer.public_key
        to, now = lane("node", bob.id, time.time()), time.time()
        async with aiomqtt.Client("127.0.0.1", broker.port) as vandal:
            await vandal.publish(f"atmosphere/{to.topic}", seal(to, liar, "m", b"from ann?", 30, now), qos=1)
            await vandal.publish(f"atmosphere/{to.topic}", seal(to, KeySigner(), "m", b"as myself", 30, now), qos=1)
        message = await get(received)
        assert message.payload == b"as myself"
        assert message.sender != ann.id
        assert client_of(bob).gate.refused == {"forged": 1}


async def publish_in_bulk(broker: Mosquitto, topic: str, payload: bytes, count: int) -> None:
    """As fast as the broker takes it, and as if nobody cared."""
    reader, writer = await asyncio.open_connection("127.0.0.1", broker.port)
    writer.write(packet(CONNECT, text("MQTT") + bytes((4, 2, 0, 60)) + text("vandal")))
    await reader.readexactly(4)
    once = packet(PUBLISH, text(topic) + payload)
    for _ in range(count // 100):
        writer.write(once * 100)
        await writer.drain()
    writer.write(packet(PINGREQ, b""))
    await reader.readexactly(2)  # it has taken everything
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize(("size", "count"), [(0, 50_000), (200, 50_000), (200_000, 100)])
async def test_a_flood_is_bounded(broker: Mosquitto, size: int, count: int) -> None:
    async with pool(broker.url) as ann, pool(broker.url) as bob:
        await meet(ann, bob)
        topic = f"atmosphere/{lane('node', bob.id, time.time()).topic}"
        began = time.monotonic()
        await publish_in_bulk(broker, topic, os.urandom(size), count)
        taken = client_of(bob).gate.refused["garbage"]
        assert taken <= BURST + (time.monotonic() - began) * RATE
        if size > 100_000:
            assert taken == 0
        received = inbox(bob)
        async with asyncio.timeout(PATIENCE + size * count / PACE):  # the broker may hold all of it for us
            while received.empty():  # as the mesh does, until there is an answer
                await ann.send(bob.id, b"still there?")
                await asyncio.sleep(0.05)
        assert ann.connected
        assert bob.connected


# --- the mesh ---------------------------------------------------------------------------------------------------------


@pytest.fixture
async def mesh(tmp_path: Path) -> AsyncIterator[Mesh]:
    async with make_mesh(tmp_path) as made:
        yield made


async def test_a_code_with_nothing_but_a_broker_is_enough(mesh: Mesh, broker: Mosquitto) -> None:
    alpha = await mesh.found(signaling=[broker.url])
    beta = await mesh.fresh("beta")
    code = dataclasses.replace(await alpha.invite(), candidates=())
    assert code.signaling == (broker.url,)
    async with asyncio.timeout(PATIENCE):
        peer = await beta.join(str(code))
    assert peer.id == alpha.id
    status = beta.status()
    assert [(server.uri, server.ok) for server in status.servers if server.uri == broker.url] == [(broker.url, True)]


async def test_a_password_stays_at_home(mesh: Mesh, broker: Mosquitto) -> None:
    locked = broker.urls["locked"]
    opened = locked.replace("//", f"//{USER}:{PASSWORD}@")
    alpha = await mesh.found(signaling=[opened])
    code = await alpha.invite()
    assert code.signaling == (locked,)
    beta = await mesh.fresh("beta", signaling=[opened])
    await beta.join(str(code))
    gamma = await mesh.fresh("gamma")
    await gamma.join(str(await alpha.invite()))
    await until(lambda: locked in {server.uri for server in gamma.status().servers}, PATIENCE)
    for node in (alpha, beta, gamma):
        for file in node.home.rglob("*"):
            assert not file.is_file() or PASSWORD.encode() not in file.read_bytes()
