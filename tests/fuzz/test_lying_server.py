"""A signaling server that lies: it gets nobody in, and keeps nobody out who has another way."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from websockets.asyncio.server import ServerConnection

from atmosphere.errors import Unreachable
from atmosphere.joincode import JoinCode
from atmosphere.mesh import servers
from atmosphere.mesh.node import Node
from atmosphere.mesh.servers import MAX_LENT
from signaling.messages import Drain, Incoming, Presence, Send, Turn, encode
from signaling.turn_credentials import TurnServer
from tests.fuzz.liar import LIES, STRANGER, Liar, in_vain, lying
from tests.fuzz.memory import MIB, growth_below
from tests.mesh.nodes import WAIT, Mesh, connected
from tests.signaling.tools import serving, url_of
from tests.until import until

MAX_GROWTH = 16 * MIB
Lie = Callable[[Liar, str, Send], Awaitable[None]]


@pytest.fixture
async def liar() -> AsyncIterator[Liar]:
    async with lying() as made:
        yield made


def by_servers_alone(code: JoinCode, *urls: str) -> JoinCode:
    """The code, as a joiner has it that cannot reach any of the host's addresses."""
    return dataclasses.replace(code, candidates=(), signaling=urls)


def sessions(node: Node) -> int:
    return len(node._parts.listeners.endpoint.sessions)


async def test_an_honest_server_of_this_kind_brings_them_together(mesh: Mesh, liar: Liar) -> None:
    alpha = await mesh.found(signaling=[liar.url])
    beta = await mesh.fresh("beta")
    await until(lambda: alpha.id in liar.nodes)
    peer = await beta.join(by_servers_alone(await alpha.invite(), liar.url))
    assert peer.id == alpha.id


@pytest.mark.parametrize("lie", LIES)
async def test_nobody_gets_in_by_a_lie(mesh: Mesh, liar: Liar, lie: Lie) -> None:
    """The liar is the only way. Whoever comes through, comes through to the true host; nobody else becomes a member."""
    alpha = await mesh.found(signaling=[liar.url])
    eve = await mesh.fresh("eve", signaling=[liar.url])
    beta = await mesh.fresh("beta")
    await until(lambda: {alpha.id, eve.id} <= liar.nodes.keys())
    liar.lie = lie
    try:
        peer = await beta.join(by_servers_alone(await alpha.invite(), liar.url), timeout=1.2)
    except Unreachable:
        assert alpha.peers() == []
    else:
        assert peer.id == alpha.id
        assert [peer.id for peer in alpha.peers()] == [beta.id]
    assert eve.mesh_id == ""
    assert sessions(eve) == 0


@pytest.mark.parametrize("lie", LIES)
async def test_an_honest_way_is_enough(mesh: Mesh, liar: Liar, lie: Lie) -> None:
    liar.lie = lie
    async with serving() as honest:
        alpha = await mesh.found(signaling=[liar.url, url_of(honest)])
        await until(lambda: alpha.id in liar.nodes and honest.stats()["nodes"] == 1)
        beta, gamma = await mesh.fresh("beta"), await mesh.fresh("gamma")
        code = by_servers_alone(await alpha.invite(), liar.url, url_of(honest))
        assert (await beta.join(code)).id == alpha.id
        direct = dataclasses.replace(await alpha.invite(), signaling=(liar.url,))
        assert (await gamma.join(direct)).id == alpha.id
        await connected(gamma, "alpha", "beta")
        await connected(beta, "alpha", "gamma")


async def test_what_was_overheard_is_worth_nothing_later(mesh: Mesh, liar: Liar) -> None:
    """The server brings back all that a join and its members' talk consisted of."""
    alpha = await mesh.found(signaling=[liar.url])
    await until(lambda: alpha.id in liar.nodes)
    beta = await mesh.fresh("beta")
    await beta.join(by_servers_alone(await alpha.invite(), liar.url))
    await connected(alpha, "beta")
    before = sessions(alpha), sessions(beta)
    link = alpha.peer("beta").link
    for _ in range(20):
        for sender, message in liar.sent:
            for to in list(liar.nodes):
                await liar.bring(to, sender, message.payload)
                await liar.bring(to, STRANGER, message.payload)
    assert await beta.peer("alpha").ping() > 0
    assert [peer.name for peer in alpha.peers()] == ["beta"]
    assert alpha.peer("beta").link is link
    assert (sessions(alpha), sessions(beta)) <= before


async def test_a_wrong_welcome_is_not_believed(mesh: Mesh, liar: Liar) -> None:
    liar.welcome = lambda _, node: STRANGER
    alpha = await mesh.found(signaling=[liar.url])
    await until(lambda: any("somebody else" in (server.error or "") for server in alpha.status().servers))
    await (await mesh.fresh("beta")).join(await alpha.invite())


def hostile_turn(tag: int) -> list[TurnServer]:
    uris = [
        "turn:127.0.0.1:1",
        "turns:[::1]:2?transport=tcp",
        "turn:localhost:22?transport=tcp",
        "turn:255.255.255.255",
        "turn:0.0.0.0:0",
        "turn:" + "x" * 240,
        "turn:999.999.999.999:99999",
        f"turn:127.0.0.1:{20000 + tag}",
    ]
    return [TurnServer(uris, f"user {number}", "\0" * 200, 0.0) for number in range(8)]


async def test_hostile_relays(mesh: Mesh, liar: Liar, monkeypatch: pytest.MonkeyPatch) -> None:
    """It lends us relays at addresses of its choice, new ones again and again: a few are asked, and not often."""
    monkeypatch.setattr(servers, "PAUSE", 0.2)
    liar.turn = hostile_turn(0)
    alpha = await mesh.found(signaling=[liar.url])
    await until(lambda: alpha.id in liar.nodes)
    endpoint = alpha._parts.listeners.endpoint
    await until(lambda: endpoint.settings.turn)
    changes: list[int] = []
    set_servers = endpoint.set_servers

    def counting(*servers: object) -> None:
        changes.append(1)
        set_servers(*servers)  # type: ignore[arg-type]

    monkeypatch.setattr(endpoint, "set_servers", counting)
    with growth_below(MAX_GROWTH):
        for number in range(500):
            await liar.tell(alpha.id, Turn(hostile_turn(number)))
        beta = await mesh.fresh("beta")
        await beta.join(await alpha.invite())
    assert len(endpoint.settings.turn) <= MAX_LENT
    assert len(changes) < 20
    assert await beta.peer("alpha").ping() > 0


async def giants(liar: Liar, websocket: ServerConnection) -> None:
    """Messages larger than any may be."""
    await websocket.send("x" * 8 * MIB)


async def fragments(liar: Liar, websocket: ServerConnection) -> None:
    """One message that never ends."""

    async def parts() -> AsyncIterator[str]:
        while True:
            yield "x" * 4096

    await websocket.send(parts())


async def endless(liar: Liar, websocket: ServerConnection) -> None:
    """Message after message, as fast as they are taken."""

    async def frames() -> AsyncIterator[str]:
        while True:
            for node in (STRANGER, *liar.nodes):
                yield encode(Incoming(node, "AAAA" * 2000, f"{liar.chance.random()}")).decode()
                yield encode(Presence(node, liar.chance.random() < 0.5)).decode()

    await in_vain(websocket, frames())


async def nonsense(liar: Liar, websocket: ServerConnection) -> None:
    """Frames that are no messages, or are none of a server, or come out of place."""

    async def frames() -> AsyncIterator[str | bytes]:
        for _ in range(3000):
            match liar.chance.randrange(6):
                case 0:
                    yield liar.chance.randbytes(100)
                case 1:
                    yield liar.mutator.noise().decode("latin-1")
                case 2:
                    yield json.dumps({"type": "message", "sender": 7, "payload": None})
                case 3:
                    yield '{"a":' * 1000
                case 4:
                    yield '{"type":"welcome"}'
                case _:
                    yield json.dumps({"type": "delivered", "ref": liar.chance.randrange(2**53)})

    await in_vain(websocket, frames())


async def going(liar: Liar, websocket: ServerConnection) -> None:
    """It always goes."""
    await websocket.send(encode(Drain(0.0)), text=True)


async def gone(liar: Liar, websocket: ServerConnection) -> None:
    """It is not there after the welcome."""
    websocket.transport.abort()


@pytest.mark.parametrize("habit", [giants, fragments, endless, nonsense, going, gone])
async def test_bad_habits(mesh: Mesh, liar: Liar, habit: Callable[[Liar, ServerConnection], Awaitable[None]]) -> None:
    liar.after_welcome = habit
    alpha = await mesh.found(signaling=[liar.url])
    await until(lambda: alpha.id in liar.nodes)
    with growth_below(MAX_GROWTH):
        beta = await mesh.fresh("beta")
        await beta.join(await alpha.invite())
        for _ in range(5):
            assert await beta.peer("alpha").ping(WAIT) > 0
            await asyncio.sleep(0.1)
    assert liar.connections < 20
