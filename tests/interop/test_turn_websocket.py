"""TURN over WebSocket to a real coturn and to our own relay: sessions, falling back to it, climbing up again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from atmosphere.ice import relays, turn_ways
from atmosphere.ice.endpoint import IceEndpoint
from atmosphere.ice.settings import IceSettings, PathPolicy, parse_turn
from tests.certificates import LOOPBACK, self_signed
from tests.ice.loopback import connect, exchange
from tests.interop.coturn import PASSWORD, USER, Coturn, free_port, running_coturn
from tests.interop.tinyproxy import running_tinyproxy
from tests.network.relays import PASSWORD as RELAY_PASSWORD
from tests.network.relays import USER as RELAY_USER
from tests.network.relays import relaying
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
            session.expect_traffic()
            started = asyncio.get_running_loop().time()
            await until(lambda: session.path is not None and session.path.protocol == "ws", 5.0)
            assert await exchange(session, [b"\x20still here"])
            assert asyncio.get_running_loop().time() - started < 3.5

            async with running_coturn(other_folder, port=udp_port):
                await until(lambda: session.path is not None and session.path.protocol == "udp", 40.0)
                assert await exchange(session, [b"\x20better again"])
            listener.close()


# --- our own relay ----------------------------------------------------------------------------------------------------


def trusted(monkeypatch: pytest.MonkeyPatch, folder: Path) -> tuple[Path, Path]:
    """A certificate for loopback that everybody here trusts, and its key."""
    files = self_signed(folder, *LOOPBACK)
    monkeypatch.setenv("SSL_CERT_FILE", str(files[0]))
    return files


@pytest.mark.parametrize("secure", [True, False])
async def test_a_session_over_our_own_relay(secure: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = trusted(monkeypatch, tmp_path)
    tls: dict[str, Any] = {"tls_cert": files[0], "tls_key": files[1]} if secure else {}
    async with relaying(**tls) as server:
        (turn,) = [uri for uri in server.places.turn if "transport=ws" in uri]
        turn = turn.replace(":", f":{RELAY_USER}:{RELAY_PASSWORD}@", 1)
        async with IceEndpoint(settings(turn)) as host, IceEndpoint(settings(turn)) as dialer:
            await host.gathered(10)
            await dialer.gathered(10)
            session, listener = await connect(host, dialer)
            assert session.path is not None
            assert (session.path.kind, session.path.protocol) == ("relay", "ws")
            assert await exchange(session, [bytes([20 + i]) * (140 * i + 1) for i in range(10)])
            assert server.stats()["turn_streams"] == 2
            listener.close()


async def test_our_own_relay_is_restarted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relays, "PAUSE_FIRST", 0.1)
    async with relaying() as server:
        port = server.port
        turn = f"turn:{RELAY_USER}:{RELAY_PASSWORD}@127.0.0.1:{port}?transport=ws"
        async with IceEndpoint(settings(turn)) as endpoint:
            await until(lambda: endpoint.candidates)
            await server.stop()
            await until(lambda: not endpoint.candidates)
            assert endpoint.servers()[0].ok is False
            server.port = port
            await server.start()
            await until(lambda: endpoint.candidates)
            assert endpoint.servers()[0].ok


@pytest.mark.needs("tinyproxy")
async def test_our_own_relay_through_a_proxy_that_resolves_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = trusted(monkeypatch, tmp_path)
    async with relaying(tls_cert=files[0], tls_key=files[1]) as server:
        async with running_tinyproxy(tmp_path, server.port) as proxy:
            monkeypatch.setattr(turn_ways, "proxy_for", lambda url: f"http://127.0.0.1:{proxy}")
            monkeypatch.setattr(turn_ways, "resolve", None)
            turn = f"turns:{RELAY_USER}:{RELAY_PASSWORD}@localhost:{server.port}?transport=ws"
            async with IceEndpoint(settings(turn)) as endpoint:
                await until(lambda: endpoint.candidates)
                assert endpoint.servers()[0].ok
