from __future__ import annotations

import asyncio
import json
import socket
import time

import pytest

from signaling import KeySigner, Settings, SignalingServer, TurnCredentialSource, id_of
from signaling.auth import prove
from signaling.connection import NodeConnection
from signaling.handshake import authenticate
from signaling.messages import encode
from tests.signaling.tools import node, raw, serving, until, url_of

TURN = TurnCredentialSource(("turn:turn.example.org",), "north", ttl=600)


async def test_a_node_proves_its_id_and_is_welcome() -> None:
    async with serving(turn=TURN) as server, raw(server) as ann:
        welcome = await ann.hello()
        assert welcome["id"] == ann.id
        assert welcome["limits"]["max_message"] == 16384
        assert welcome["keepalive"] == 20
        [turn] = welcome["turn"]
        assert turn["uris"] == ["turn:turn.example.org"]
        assert turn["username"].endswith(":" + ann.id)
        assert 590 < int(turn["username"].partition(":")[0]) - time.time() <= 600


async def test_without_turn_there_are_no_credentials() -> None:
    async with serving() as server, raw(server) as ann:
        assert "turn" not in await ann.hello()


async def test_strangers_get_no_credentials_from_a_server_for_members() -> None:
    member = KeySigner()
    server = SignalingServer(turn=TURN, is_member=lambda node_id: node_id == id_of(member.public_key))
    await server.start("127.0.0.1", 0)
    async with raw(server, member) as ann, raw(server) as eve:
        assert "turn" in await ann.hello()
        assert "turn" not in await eve.hello()
    await server.stop()


async def test_credentials_are_renewed_before_they_run_out() -> None:
    settings = Settings(sweep_interval=0.01)
    turn = TurnCredentialSource(("turn:turn.example.org",), "north", ttl=0.1)
    async with serving(settings, turn=turn) as server, node(server) as ann:
        assert (await ann.receive())["type"] == "turn"


async def test_a_message_goes_from_one_to_another() -> None:
    async with serving() as server, node(server) as ann, node(server) as bob:
        await ann.send(type="send", to=bob.id, payload="cGF5", id="m", ref=1)
        assert await bob.receive() == {"type": "message", "sender": ann.id, "payload": "cGF5", "id": "m"}
        assert await ann.receive() == {"type": "delivered", "ref": 1}


async def test_a_message_waits_for_who_is_away() -> None:
    signer = KeySigner()
    async with serving() as server, node(server) as ann:
        async with node(server, signer) as bob:
            pass
        await until(lambda: server.stats()["nodes"] == 1)
        await ann.send(type="send", to=bob.id, payload="cGF5", id="m", ref=1)
        assert await ann.receive() == {"type": "queued", "ref": 1}
        async with node(server, signer) as bob:
            assert (await bob.receive())["payload"] == "cGF5"
        async with node(server, signer) as bob:
            await bob.send(type="watch", ids=[], ref=1)
            assert await bob.receive() == {"type": "done", "ref": 1}  # nothing came twice


async def test_an_expired_message_is_forgotten_by_the_sweep() -> None:
    async with serving(Settings(sweep_interval=0.01)) as server, node(server) as ann:
        await ann.send(type="send", to="a" * 52, payload="", id="m", ref=1, ttl=0.05)
        assert (await ann.receive())["type"] == "queued"
        await until(lambda: server.stats()["messages_expired_total"] == 1)
        assert server.stats()["mailbox_bytes"] == 0


async def test_topics_and_presence() -> None:
    async with serving() as server, node(server) as ann, node(server) as bob:
        await bob.send(type="subscribe", topic="t", ref=1)
        await bob.send(type="watch", ids=[ann.id, "a" * 52], ref=2)
        told = [await bob.receive() for _ in range(4)]
        assert told[0] == {"type": "done", "ref": 1}
        assert [message.get("online") for message in told] == [None, True, False, None]
        await ann.send(type="publish", topic="t", payload="", id="m", ref=3)
        assert (await bob.receive())["topic"] == "t"
        assert await ann.receive() == {"type": "delivered", "ref": 3}
        await ann.websocket.close()
        assert await bob.receive() == {"type": "presence", "id": ann.id, "online": False}


async def test_the_newest_connection_of_an_id_wins() -> None:
    signer = KeySigner()
    async with serving() as server, node(server) as watcher, node(server, signer) as old:
        await watcher.send(type="watch", ids=[old.id], ref=1)
        assert (await watcher.receive())["online"] is True
        assert (await watcher.receive())["type"] == "done"
        async with node(server, signer) as new:
            assert (await old.receive())["code"] == "replaced"
            assert await old.closed() == 4001
            await watcher.send(type="send", to=new.id, payload="", id="m", ref=2)
            assert (await new.receive())["id"] == "m"
            assert (await watcher.receive())["type"] == "delivered"  # and no presence: nobody left
            assert server.stats()["nodes"] == 2


async def test_http_and_websocket_share_a_port_in_both_families() -> None:
    server = SignalingServer()
    await server.start(None, 0)
    families = {socket.AF_INET6 if ":" in address else socket.AF_INET for address, _ in server.addresses}
    assert {port for _, port in server.addresses} == {server.port}
    for family in families:
        host = "::1" if family == socket.AF_INET6 else "127.0.0.1"
        reader, writer = await asyncio.open_connection(host, server.port)
        writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()
        await writer.wait_closed()
    await server.stop()


async def test_draining_asks_everybody_to_go_and_waits_for_them() -> None:
    server = SignalingServer(Settings(drain_within=0.5))
    await server.start("127.0.0.1", 0)
    async with node(server) as ann, node(server) as bob:
        stopping = asyncio.ensure_future(server.stop(30))
        assert await ann.receive() == {"type": "drain", "within": 0.5}
        assert (await bob.receive())["type"] == "drain"
        with pytest.raises(Exception, match="HTTP 503"):
            async with raw(server):
                pass
        await ann.websocket.close()
        await bob.websocket.close()
        await asyncio.wait_for(stopping, 5)


async def test_who_does_not_go_is_closed() -> None:
    server = SignalingServer()
    await server.start("127.0.0.1", 0)
    async with node(server) as ann:
        await server.stop(0.05)
        assert (await ann.receive())["type"] == "drain"
        assert await ann.closed() == 1001


async def test_stopping_does_not_wait_for_those_who_never_ask() -> None:
    server = SignalingServer()
    await server.start("127.0.0.1", 0)
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    await until(lambda: server.stats()["connections"] == 1)
    await asyncio.wait_for(server.stop(), 3)
    writer.close()


async def test_a_server_that_cannot_listen_says_so_and_can_be_stopped() -> None:
    async with serving() as first:
        second = SignalingServer()
        with pytest.raises(OSError, match="in use"):
            await second.start("127.0.0.1", first.port)
        await second.stop()


async def test_pings_find_the_living_and_the_dead() -> None:
    settings = Settings(keepalive=0.4, sweep_interval=0.05)
    async with serving(settings) as server, node(server) as ann:
        host, port = "127.0.0.1", server.port
        async with raw(server) as dead:
            await dead.hello()
            dead.websocket.transport.pause_reading()  # it answers no ping
            await until(lambda: server.stats()["silent_cut_total"] > 0)
        await ann.send(type="watch", ids=[], ref=1)
        assert (await ann.receive())["type"] == "done"
        assert url_of(server) == f"ws://{host}:{port}/"


async def test_the_sweep_survives_a_mistake(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    async with serving(Settings(sweep_interval=0.01)) as server:
        calls: list[float] = []

        def broken(now: float) -> None:
            calls.append(now)
            raise ValueError("a mistake")

        monkeypatch.setattr(server, "_sweep", broken)
        await until(lambda: len(calls) > 1)
    assert "the sweep failed" in caplog.text


async def test_stats_are_numbers() -> None:
    async with serving() as server, node(server):
        stats = json.loads(json.dumps(server.stats()))
        assert stats["nodes"] == stats["connections"] == stats["handshakes_total"] == 1


async def test_who_gave_up_while_it_waited_replaces_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    signer, may_go_on = KeySigner(), asyncio.Event()
    async with serving() as server, node(server, signer) as live:

        async def slow(connection: NodeConnection, timeout: float) -> str | None:
            proved = await authenticate(connection, timeout)
            await may_go_on.wait()
            return proved

        monkeypatch.setattr("signaling.server.authenticate", slow)
        async with raw(server, signer) as dead:
            challenge = await dead.receive()
            assert dead.websocket.request is not None
            proof = prove(signer, dead.websocket.request.headers["Host"], challenge["nonce"])
            await dead.websocket.send(encode(proof).decode())
            dead.websocket.transport.abort()
            await until(lambda: server.stats()["connections"] == 1)
            may_go_on.set()
            await until(lambda: server.stats()["handshakes_failed_total"] == 1)
        await live.send(type="watch", ids=[], ref=1)
        assert (await live.receive())["type"] == "done"
        assert server.stats()["replaced_total"] == 0


async def test_who_is_gone_by_the_time_its_hello_is_read_replaces_nobody() -> None:
    signer = KeySigner()
    async with serving() as server, node(server, signer) as live, raw(server, signer) as dead:
        challenge = await dead.receive()
        assert dead.websocket.request is not None
        proof = prove(signer, dead.websocket.request.headers["Host"], challenge["nonce"])
        # Hello and end wait together in the socket: both are written before the server, in the same loop, reads again.
        await dead.websocket.send(encode(proof).decode())
        dead.websocket.transport.abort()
        await until(lambda: server.stats()["connections"] == 1)
        assert server.stats()["replaced_total"] == 0
        await live.send(type="watch", ids=[], ref=1)
        assert (await live.receive())["type"] == "done"


async def test_who_proves_its_id_while_the_server_drains_is_told_too() -> None:
    server = SignalingServer(Settings(drain_within=0.5))
    await server.start("127.0.0.1", 0)
    async with node(server) as ann, raw(server) as bob:
        await until(lambda: server.stats()["connections"] == 2)
        stopping = asyncio.ensure_future(server.stop(30))
        assert (await ann.receive())["type"] == "drain"
        assert (await bob.hello())["type"] == "welcome"
        assert await bob.receive() == {"type": "drain", "within": 0.5}
        await ann.websocket.close()
        await bob.websocket.close()
        await asyncio.wait_for(stopping, 5)
