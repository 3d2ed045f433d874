"""A node's place at its signaling servers, real ones on loopback, and the relays that they lend."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from atmosphere.errors import DecodeError
from atmosphere.identity import Identity
from atmosphere.mesh.listeners import NodeSettings
from atmosphere.mesh.meeting import MAX_LEARNED, Meeting
from signaling import SignalingServer, TurnCredentialSource
from signaling.mqtt.client import MISSING
from signaling.turn_credentials import TurnServer
from tests.mesh.people import ALICE, BOB
from tests.signaling import broker
from tests.signaling.tools import serving, url_of
from tests.until import until

Lent = list[list[TurnServer]]


@asynccontextmanager
async def meeting(
    own: SignalingServer, identity: Identity = ALICE, **settings: Any
) -> AsyncIterator[tuple[Meeting, Lent]]:
    """A meeting of a node whose own server is `own`, and what was lent to it."""
    lent: Lent = []
    made = Meeting(identity, NodeSettings(host=("127.0.0.1",), stun=(), **settings), lent.append)
    try:
        made.start(own.port, [])
        yield made, lent
    finally:
        await made.close()


async def test_two_meet_at_a_server() -> None:
    async with serving() as own, serving() as shared:
        async with meeting(own, signaling=(url_of(shared),)) as (alice, _), meeting(own, BOB) as (bob, _):
            got: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
            news: list[bool] = []
            bob.on_payload = lambda source, payload: got.put_nowait((source, payload))
            bob.on_news = lambda: news.append(True)
            bob.learn([url_of(shared)])
            await until(lambda: shared.stats()["nodes"] == 2)
            await alice.send(BOB.node_id, b"sealed", 30)
            assert await asyncio.wait_for(got.get(), 30) == (ALICE.node_id, b"sealed")
            assert news
            assert [server.uri for server in alice.servers()] == [url_of(shared)]
            assert (alice.public_servers(), bob.public_servers()) == ([url_of(shared)], [url_of(shared)])


async def test_a_place_that_we_have_already_is_kept_however_it_is_written() -> None:
    async with serving() as own, serving() as shared:
        url = url_of(shared).rstrip("/")
        async with meeting(own, signaling=(url,)) as (alice, _):
            async with alice.also_at([url, url.upper().replace("WS", "http"), f"ws://127.0.0.1:{own.port}"]):
                alice.learn([url, f"ws://127.0.0.1:{own.port}"])
                await until(lambda: shared.stats()["nodes"] == own.stats()["nodes"] == 1)
            assert alice._pool.urls == [url_of(shared), url_of(own)]
            assert alice.learned == []
            assert [server.uri for server in alice.servers()] == [url_of(shared)]


async def test_a_configured_url_that_is_none_is_named() -> None:
    async with serving() as own:
        with pytest.raises(DecodeError, match="'nonsense' names no signaling server"):
            async with meeting(own, signaling=("nonsense",)):
                pytest.fail("it started")


async def test_what_was_learned_has_bounds() -> None:
    async with serving() as own, meeting(own, signaling=("ws://127.0.0.1:9/",)) as (alice, _):
        urls = [f"ws://127.0.0.1:9/{number}" for number in range(3 * MAX_LEARNED)]
        alice.learn(["no url", "ws://127.0.0.1:9/", *urls, urls[0]])
        assert alice.learned == urls[:MAX_LEARNED]
        alice.learned.clear()
        assert alice.learned == urls[:MAX_LEARNED]


async def test_a_place_for_a_while() -> None:
    async with serving() as own, serving() as other, serving() as kept, meeting(own) as (alice, _):
        async with alice.also_at([url_of(other), url_of(kept), "no url", url_of(own)]):
            await until(lambda: other.stats()["nodes"] == kept.stats()["nodes"] == 1)
            alice.learn([url_of(kept)])
        await until(lambda: other.stats()["nodes"] == 0)
        assert (own.stats()["nodes"], kept.stats()["nodes"]) == (1, 1)


async def test_two_meet_at_a_broker_whose_password_stays_here() -> None:
    async with serving() as own, serving() as other, broker.serving() as shared:
        secret = shared.url.replace("//", "//anna:sesame@")
        async with meeting(own, signaling=(secret,)) as (alice, _), meeting(other, BOB) as (bob, _):
            got: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
            bob.on_payload = lambda source, payload: got.put_nowait((source, payload))
            await until(lambda: alice.servers()[0].ok)
            bob.learn([secret])
            alice.learn([shared.url])
            await until(lambda: len(shared.topics) == 6)
            assert await alice.send(BOB.node_id, b"sealed", 30)
            assert await asyncio.wait_for(got.get(), 30) == (ALICE.node_id, b"sealed")
            assert alice.public_servers() == bob.learned == [shared.url]
            assert [(server.uri, server.ok) for server in alice.servers()] == [(shared.url, True)]
            assert "sesame" not in repr(alice._settings)
        assert [b"sesame" in connect for connect in shared.connects] == [True, False]


async def test_places_that_cannot_be_used_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "signaling.mqtt.session", raising=False)
    monkeypatch.setitem(sys.modules, "aiomqtt", None)
    async with serving() as own, serving() as shared, meeting(own) as (alice, _):
        urls = ["mqtt://broker.example", url_of(shared), "no url"]
        async with alice.also_at(urls):
            await until(lambda: [server.ok for server in alice.servers()] == [False, True])
            assert alice.failures(urls) == [f"mqtt://broker.example: {MISSING}"]
        assert alice.failures(urls) == []


def test_the_own_place_by_address() -> None:
    for host, url in (((), "ws://127.0.0.1:7"), (("192.0.2.1",), "ws://192.0.2.1:7"), (("::1",), "ws://[::1]:7")):
        bare = Meeting.__new__(Meeting)
        bare._settings = NodeSettings(host=host)
        assert bare._own_url(7) == url


async def test_what_servers_lend_is_handed_on() -> None:
    turn = TurnCredentialSource(("turn:192.0.2.5",), "secret")
    async with serving() as own, serving(turn=turn) as lending:
        async with meeting(own, signaling=(url_of(lending),)) as (_, lent):
            await until(lambda: lent and lent[-1])
            assert [server.uris for server in lent[-1]] == [["turn:192.0.2.5"]]


async def test_members_own_servers_are_visited_for_a_while() -> None:
    async with serving() as own, serving() as one, serving() as other, meeting(own) as (alice, _):
        alice.visit([url_of(one), "no url", f"ws://127.0.0.1:{own.port}"])
        await until(lambda: one.stats()["nodes"] == 1)
        await until(lambda: alice.code_servers() == [url_of(one)])
        # Only codes name them: the mesh hears of them by the members themselves.
        assert alice.public_servers() == []
        assert [server.uri for server in alice.servers()] == [url_of(one)]
        alice.visit([url_of(other), "ws://127.0.0.1:9/"])
        await until(lambda: other.stats()["nodes"] == 1 and one.stats()["nodes"] == 0)
        await until(lambda: alice.code_servers() == [url_of(other)])
        assert [server.uri for server in alice.servers()] == [url_of(other)]
        async with alice.also_at([url_of(one)]):
            alice.visit([url_of(one)])
        alice.learn([url_of(other)])
        await until(lambda: one.stats()["nodes"] == 1)
        alice.visit([])
        await until(lambda: one.stats()["nodes"] == 0)
        assert (other.stats()["nodes"], alice.code_servers()) == (1, [url_of(other)])


async def test_one_place_borrowed_twice_is_kept_until_both_are_done() -> None:
    async with serving() as own, serving() as other, meeting(own) as (alice, _):
        places = [url_of(other)]
        first, second = alice.also_at(places), alice.also_at(places)
        await first.__aenter__()
        await second.__aenter__()
        await first.__aexit__(None, None, None)
        assert url_of(other) in alice._pool.urls
        alice.visit(places)
        alice.visit([])  # visited no more, but borrowed still
        assert url_of(other) in alice._pool.urls
        await second.__aexit__(None, None, None)
        assert url_of(other) not in alice._pool.urls
