from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from signaling import (
    InvalidURL,
    KeySigner,
    Message,
    Settings,
    SignalingPool,
    SignalingServer,
    TurnCredentialSource,
    id_of,
)
from signaling import pool as pool_module
from tests.signaling.tools import PATIENCE, serving, until, url_of


@contextlib.asynccontextmanager
async def pool(*servers: SignalingServer, signer: KeySigner | None = None) -> AsyncIterator[SignalingPool]:
    made = SignalingPool(signer or KeySigner())
    for server in servers:
        made.add(url_of(server))
    try:
        await until(lambda: len(made.connected) == len(servers))
        yield made
    finally:
        await made.close()


def inbox(of: SignalingPool) -> asyncio.Queue[Message]:
    queue: asyncio.Queue[Message] = asyncio.Queue()
    of.on_message = queue.put_nowait
    return queue


async def get(queue: asyncio.Queue[Message]) -> Message:
    return await asyncio.wait_for(queue.get(), PATIENCE)


async def test_a_message_through_two_servers_comes_once() -> None:
    async with serving() as one, serving() as two, pool(one, two) as ann, pool(one, two) as bob:
        received = inbox(bob)
        assert await ann.send(bob.id, b"hello")
        await until(lambda: one.stats()["messages_delivered_total"] == two.stats()["messages_delivered_total"] == 1)
        assert await ann.send(bob.id, b"again")
        assert [(await get(received)).payload for _ in range(2)] == [b"hello", b"again"]
        await until(lambda: two.stats()["messages_delivered_total"] == 2)
        assert received.empty()


async def test_a_changed_copy_does_not_hide_the_true_one() -> None:
    made = SignalingPool(KeySigner())
    received = inbox(made)
    for payload in (b"forged", b"true", b"true"):
        made._take_message(Message("a" * 52, payload, "m"))
    assert [received.get_nowait().payload for _ in range(received.qsize())] == [b"forged", b"true"]
    await made.close()


async def test_one_server_is_enough() -> None:
    async with serving() as one, pool(one) as ann, pool(one) as bob:
        dead = ann.add("ws://127.0.0.1:9")
        received = inbox(bob)
        assert ann.connected == [url_of(one)]
        assert ann.urls == [url_of(one), dead]
        assert await ann.send(bob.id, b"hello")
        assert (await get(received)).payload == b"hello"
        assert [health.ok for health in ann.health] == [True, False]


async def test_different_servers_do_not_meet() -> None:
    async with serving() as one, serving() as two, pool(one) as ann, pool(two) as bob:
        assert not await ann.send(bob.id, b"", ttl=0)


async def test_without_servers_nothing_is_accepted() -> None:
    async with pool() as ann:
        assert not await ann.send("a" * 52, b"")
        assert not await ann.wait_connected(0.1)


async def test_a_change_of_the_network_hurries_every_server(monkeypatch: pytest.MonkeyPatch) -> None:
    hurried: list[str] = []
    monkeypatch.setattr("signaling.client.SignalingClient.hurry", lambda client: hurried.append(client.url))
    async with pool() as ann:
        added = [ann.add("ws://127.0.0.1:9"), ann.add("ws://127.0.0.1:10")]
        ann.hurry()
        assert hurried == added


async def test_a_message_waits_for_the_first_server() -> None:
    async with serving() as server:
        ann = SignalingPool(KeySigner())
        ann.add(url_of(server))
        assert ann.connected == []
        assert await ann.send("a" * 52, b"")
        assert await ann.wait_connected(PATIENCE)
        await ann.close()


async def test_topics_are_kept_for_servers_added_later() -> None:
    async with serving() as one, serving() as two, pool(one, two) as ann, pool(one) as bob:
        received = inbox(bob)
        assert await bob.subscribe("topic")
        bob.add(url_of(two))
        await until(lambda: two.stats()["topics"] == 1)
        assert await ann.publish("topic", b"news")
        assert (await get(received)).topic == "topic"
        await bob.unsubscribe("topic")
        await until(lambda: one.stats()["topics"] == two.stats()["topics"] == 0)


async def test_turn_servers_of_all_are_merged() -> None:
    turn = [TurnCredentialSource((f"turn:{name}.example.org",), "north") for name in ("one", "two")]
    async with serving(turn=turn[0]) as one, serving(turn=turn[1]) as two:
        ann = SignalingPool(KeySigner())
        offers: list[int] = []
        states: list[tuple[str, str]] = []
        ann.on_turn = lambda offered: offers.append(len(offered))
        ann.on_state = lambda url, state: states.append((url, state))
        ann.add(url_of(one))
        ann.add(url_of(two))
        await until(lambda: offers == [1, 2])
        assert sorted(server.uris[0] for server in ann.turn) == ["turn:one.example.org", "turn:two.example.org"]
        assert (url_of(one), "connected") in states
        await ann.close()


async def test_adding_twice_is_once_and_removing_ends_it() -> None:
    async with serving() as server, pool(server) as ann:
        assert ann.add(f"http://127.0.0.1:{server.port}") == url_of(server)
        assert server.stats()["nodes"] == 1
        await ann.remove(url_of(server))
        await ann.remove(url_of(server))
        assert ann.urls == []
        await until(lambda: server.stats()["nodes"] == 0)


async def test_a_server_is_left_without_waiting_for_it() -> None:
    async with serving() as server:
        async with pool(server) as ann:
            ann.leave(url_of(server))
            assert ann.urls == []
            ann.leave(url_of(server))
            ann.add(url_of(server))
            await ann.wait_connected(5)
        await until(lambda: server.stats()["nodes"] == 0)
        async with pool(server) as ann:
            ann.leave(url_of(server))
        await until(lambda: server.stats()["nodes"] == 0)


async def test_a_url_that_is_none_is_refused() -> None:
    async with pool() as ann:
        with pytest.raises(InvalidURL):
            ann.add("example.org")


async def test_what_goes_on_at_once_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "MAX_WORKING", 0)
    async with serving() as server, pool(server) as ann:
        assert not await ann.send("a" * 52, b"")


async def test_closing_ends_what_goes_on() -> None:
    ann = SignalingPool(KeySigner())
    ann.add("ws://127.0.0.1:9")
    sending = asyncio.ensure_future(ann.send("a" * 52, b"", timeout=60))
    await asyncio.sleep(0)
    await ann.close()
    assert await asyncio.wait_for(sending, PATIENCE) is False


async def test_a_message_that_no_mailbox_takes_is_not_accepted() -> None:
    async with serving(Settings(mailbox_messages=0)) as server, pool(server) as ann:
        assert not await ann.send(id_of(KeySigner().public_key), b"")
