"""TURN over WebSocket in front of a real coturn: sessions over it, falling back to it, climbing up again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from atmosphere.ice import relays
from atmosphere.ice.endpoint import IceEndpoint
from atmosphere.ice.settings import IceSettings, PathPolicy, parse_turn
from tests.ice.loopback import connect, exchange
from tests.interop.coturn import PASSWORD, USER, Coturn, free_port, running_coturn
from tests.turn.bridge import bridged
from tests.until import until

pytestmark = pytest.mark.needs("coturn")


@pytest.fixture
async def coturn(tmp_path: Path) -> AsyncIterator[Coturn]:
    async with running_coturn(tmp_path) as server:
        yield server


def over_websocket(port: int) -> str:
    return f"turn:{USER}:{PASSWORD}@127.0.0.1:{port}?transport=ws"


def settings(*turn: str, policy: PathPolicy = "relay") -> IceSettings:
    return IceSettings(addresses=("127.0.0.1",), turn=tuple(map(parse_turn, turn)), policy=policy)


async def test_a_session_over_websocket(coturn: Coturn) -> None:
    async with bridged(("127.0.0.1", coturn.port)) as bridge:
        turn = over_websocket(bridge.port)
        async with IceEndpoint(settings(turn)) as host, IceEndpoint(settings(turn)) as dialer:
            await host.gathered(10)
            await dialer.gathered(10)
            assert [one.relay_protocol for one in dialer.candidates] == ["ws"]
            session, listener = await connect(host, dialer)
            assert session.path is not None
            assert (session.path.kind, session.path.protocol) == ("relay", "ws")
            assert await exchange(session, [bytes([20 + i]) * (100 * i + 1) for i in range(10)])
            listener.close()


async def test_no_one_asks_a_websocket_by_udp(coturn: Coturn) -> None:
    async with bridged(("127.0.0.1", coturn.port)) as bridge:
        given = settings(over_websocket(bridge.port), policy="any")
        async with IceEndpoint(given) as endpoint:
            await endpoint.gathered(10)
            assert [(server.uri, server.ok) for server in endpoint.servers()] == [
                (f"turn:127.0.0.1:{bridge.port}?transport=ws", True)
            ]
            assert [one.type for one in endpoint.candidates] == ["host", "relay"]


async def test_a_dead_websocket_costs_no_time(coturn: Coturn) -> None:
    """Its port takes connections and never says a word."""

    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silence, "127.0.0.1", 0) as listening:
        dead = over_websocket(listening.sockets[0].getsockname()[1])
        async with (
            IceEndpoint(settings(dead, coturn.turn("udp"))) as host,
            IceEndpoint(settings(dead, coturn.turn("udp"))) as dialer,
        ):
            await until(lambda: host.candidates and dialer.candidates, 1.0)
            async with asyncio.timeout(2.0):
                session, listener = await connect(host, dialer)
            assert session.path is not None
            assert session.path.protocol == "udp"
            listener.close()


async def test_the_relay_over_udp_stops_and_returns(
    coturn: Coturn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two servers, one of them over WebSocket: data flows again within 3 s, and over UDP once that is back."""
    monkeypatch.setattr(relays, "PAUSE_LAST", 1.0)
    other_folder = tmp_path / "other"
    other_folder.mkdir()
    udp_port = free_port()
    async with (
        bridged(("127.0.0.1", coturn.port)) as bridge,
        running_coturn(other_folder, port=udp_port) as other,
    ):
        turns = (other.turn("udp"), over_websocket(bridge.port))
        async with IceEndpoint(settings(*turns)) as host, IceEndpoint(settings(*turns)) as dialer:
            await host.gathered(10)
            await dialer.gathered(10)
            session, listener = await connect(host, dialer)
            theirs = listener.session(session.local_ufrag)
            assert theirs is not None
            host.on_candidate, dialer.on_candidate = session.add_remote, theirs.add_remote
            assert session.path is not None
            assert session.path.protocol == "udp"
            await until(lambda: len([pair for pair in session.report() if pair.state == "succeeded"]) == 4)

            await other.stop()
            started = asyncio.get_running_loop().time()
            await until(lambda: session.path is not None and session.path.protocol == "ws", 5.0)
            assert await exchange(session, [b"\x20still here"])
            assert asyncio.get_running_loop().time() - started < 3.5

            async with running_coturn(other_folder, port=udp_port):
                await until(lambda: session.path is not None and session.path.protocol == "udp", 40.0)
                assert await exchange(session, [b"\x20better again"])
            listener.close()
