"""Clients that do not keep to the protocol: each is cut or refused, and the server goes on."""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from signaling import KeySigner, Settings, SignalingServer
from signaling.auth import prove
from signaling.messages import encode
from tests.signaling.tools import RawNode, get, node, raw, serving, turned_away, until

UNHURRIED: dict[str, Any] = dict.fromkeys(
    ("messages_per_connection_burst", "messages_per_address_burst", "messages_burst"), 1e6
)


@pytest.fixture(autouse=True)
async def _nothing_reaches_the_loop(caplog: pytest.LogCaptureFixture) -> AsyncIterator[None]:
    """No exception in the loop's handler, no error in the log, whatever a client does."""
    failures: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    yield
    assert not failures
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def works(server: SignalingServer) -> None:
    """Two honest nodes are served."""
    async with node(server) as ann, node(server) as bob:
        await ann.send(type="send", to=bob.id, payload="", id="m", ref=1)
        assert (await bob.receive())["sender"] == ann.id
        assert (await ann.receive())["type"] == "delivered"


async def test_a_wrong_signature() -> None:
    async with serving() as server, raw(server) as eve:
        nonce = (await eve.receive())["nonce"]
        assert nonce
        await eve.send(type="hello", key="AAAA", signature="AAAA")
        await turned_away(eve, "unauthorized")
        await works(server)


async def test_a_challenge_of_another_server_passed_on() -> None:
    # A victim connects to the hostile server, which shows it the challenge of the true one.
    async with serving() as true, serving() as hostile, raw(true) as eve:
        challenge = await eve.receive()
        victim = KeySigner()
        async with raw(hostile, victim) as deceived:
            deceived_receive = deceived.receive

            async def show_the_other_challenge() -> dict[str, Any]:
                await deceived_receive()
                return challenge

            deceived.receive = show_the_other_challenge  # type: ignore[method-assign]
            await deceived.hello()
            # What the victim signed for the hostile host is worth nothing at the true one.
        proof = prove(victim, f"127.0.0.1:{hostile.port}", challenge["nonce"])
        await eve.websocket.send(encode(proof).decode())
        await turned_away(eve, "unauthorized")
        assert true.stats()["handshakes_failed_total"] == 1


async def test_the_same_proof_twice() -> None:
    async with serving() as server, raw(server) as ann, raw(server) as eve:
        sent: list[str] = []
        send = ann.websocket.send

        async def remember(frame: str) -> None:
            sent.append(frame)
            await send(frame)

        ann.websocket.send = remember  # type: ignore[method-assign,assignment]
        assert (await ann.hello())["type"] == "welcome"
        await eve.receive()
        await eve.websocket.send(sent[0])
        await turned_away(eve, "unauthorized")


async def test_a_request_that_never_ends() -> None:
    async with serving(Settings(handshake_timeout=0.1)) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n")
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
        await until(lambda: server.stats()["connections"] == 0)


async def test_a_frame_that_is_too_large() -> None:
    async with serving() as server, node(server) as eve:
        await eve.websocket.send("x" * 16_385)
        assert await eve.closed() == 1009
        await works(server)


async def test_a_hello_that_is_too_large() -> None:
    async with serving() as server, raw(server) as eve:
        await eve.receive()
        await eve.websocket.send("x" * 100_000)
        assert await eve.closed() == 1009


async def test_frames_that_mean_nothing_are_answered_and_then_cut() -> None:
    async with serving(Settings(malformed_per_connection=3)) as server, node(server) as eve:
        for frame in ("nonsense", b"binary", '{"type":"hello"}'):
            await eve.websocket.send(frame)
            told = await eve.receive()
            assert (told["code"], "ref" in told) == ("malformed", False)
        assert await eve.closed() == 1008
        assert server.stats()["frames_malformed_total"] == 3


async def test_text_that_is_not_utf_8() -> None:
    async with serving() as server, node(server) as eve:
        await eve.websocket.send(b"\xff\xfe", text=True)
        assert await eve.closed() == 1007
        await works(server)


async def test_a_flood_is_slowed_down() -> None:
    settings = Settings(messages_per_connection=20, messages_per_connection_burst=2)
    async with serving(settings) as server, node(server) as eve:
        began = asyncio.get_running_loop().time()
        for ref in range(12):
            await eve.send(type="watch", ids=[], ref=ref)
        assert [(await eve.receive())["ref"] for _ in range(12)] == list(range(12))
        assert asyncio.get_running_loop().time() - began > 0.45
        assert server.stats()["messages_delayed_total"] > 0


async def test_a_flood_from_one_address_is_refused() -> None:
    settings = Settings(messages_per_address=0.001, messages_per_address_burst=1)
    async with serving(settings) as server, node(server) as eve:
        await eve.send(type="watch", ids=[], ref=1)
        assert (await eve.receive())["type"] == "done"
        await eve.send(type="watch", ids=[], ref=2)
        told = await eve.receive()
        assert (told["code"], told["ref"]) == ("busy", 2)


async def test_fan_out_is_paid_by_who_causes_it() -> None:
    settings = Settings(messages_per_connection=2, messages_per_connection_burst=8)
    async with serving(settings) as server, node(server) as eve:
        await eve.send(type="watch", ids=[f"{'a' * 50}{a}{b}" for a in "bcdefghi" for b in "bcdefghi"], ref=1)
        for _ in range(65):
            await eve.receive()
        await eve.send(type="watch", ids=[], ref=2)
        assert (await eve.receive())["ref"] == 2
        assert server.stats()["messages_delayed_total"] == 1


async def test_a_reader_that_stops_is_cut_and_costs_no_more_than_its_share() -> None:
    settings = Settings(outgoing_bytes=64 * 1024, **UNHURRIED)
    async with serving(settings) as server, node(server) as ann, node(server) as slow:
        slow.websocket.transport.pause_reading()
        for ref in range(3_000):
            await ann.send(type="send", to=slow.id, payload="A" * 12_000, id=str(ref), ref=ref)
            if (await ann.receive())["type"] == "queued":
                break
        assert server.stats()["slow_cut_total"] == 1
        await until(lambda: server.stats()["nodes"] == 1)
        await works(server)


async def test_slow_readers_share_what_there_is() -> None:
    settings = Settings(outgoing_bytes_in_all=1, sweep_interval=0.01, **UNHURRIED)
    async with serving(settings) as server, node(server) as ann, node(server) as slow:
        slow.websocket.transport.pause_reading()
        while server.stats()["slow_cut_total"] == 0:
            await ann.send(type="send", to=slow.id, payload="A" * 12_000, id=str(random.random()), ref=1)
            await ann.receive()
        await until(lambda: server.stats()["nodes"] == 1)


async def test_a_thousand_frames_of_noise() -> None:
    chance = random.Random(7)
    settings = Settings(malformed_per_connection=10**9, messages_per_connection=1e6)
    async with serving(settings) as server:
        async with node(server) as eve:
            eating = asyncio.ensure_future(_eat(eve))
            for _ in range(1000):
                whole = bytearray(
                    json.dumps({"type": "send", "to": eve.id, "payload": "", "id": "m", "ref": 1}).encode()
                )
                for _ in range(chance.randrange(4)):
                    whole[chance.randrange(len(whole))] = chance.randrange(32, 127)
                await eve.websocket.send(whole.decode())
            await until(lambda: server.stats()["frames_received_total"] == 1000)
            eating.cancel()
        await until(lambda: server.stats()["connections"] == 0)
        await works(server)


async def _eat(client: RawNode) -> None:
    async for _ in client.websocket:
        pass


async def test_noise_below_the_websocket() -> None:
    chance = random.Random(7)
    async with serving(Settings(handshakes_per_address_burst=1e6)) as server:
        upgrade = (
            f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        ).encode()
        for number in range(60):
            _, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write((upgrade if number % 2 else b"") + chance.randbytes(2000))
            writer.write_eof()
            writer.close()
            await writer.wait_closed()
        await until(lambda: server.stats()["connections"] == 0)
        assert (await get(server, "/health"))[0] == 200
        await works(server)
