"""The public helper on loopback: one port, every protocol."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from atmosphere.errors import AtmosphereError, Refused, Unreachable
from atmosphere.network import RelayServer, discover_public_ip, relay_server
from atmosphere.network.relay_settings import RelaySettings
from atmosphere.turn.uri import Transport
from atmosphere.udp.socket import UdpSocket
from signaling import KeySigner, TurnServer
from signaling.cluster.instance import ClusterSettings
from tests.certificates import LOOPBACK, self_signed, trusting
from tests.network.relays import allocated, endpoint, relaying, talk
from tests.signaling.nats import nats_server
from tests.signaling.tools import RawNode
from tests.until import until

TRANSPORTS: tuple[Transport, ...] = ("udp", "tcp", "tls", "ws", "wss")


async def http(server: RelayServer, path: str, *headers: str) -> tuple[int, str]:
    """Status and body of a plain GET."""
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection(server.addresses[0], server.port)
        lines = "".join(f"{line}\r\n" for line in (f"GET {path} HTTP/1.1", "Host: localhost", *headers, ""))
        writer.write(lines.encode())
        head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
        writer.close()
        await writer.wait_closed()
    return int(head.split()[1]), body


async def welcome(server: RelayServer, url: str | None = None) -> dict[str, Any]:
    """What a node is told when it has proved its id."""
    async with connect(url or server.places.signaling, proxy=None) as websocket:
        return await RawNode(websocket, KeySigner()).hello()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_turn_over_every_transport(transport: Transport, host: str, tmp_path: Path) -> None:
    files = self_signed(tmp_path, *LOOPBACK)
    async with relaying(host, tls_cert=files[0], tls_key=files[1], plain=True) as server:
        tls = trusting(files[0])
        end = endpoint(server, transport, tls)
        async with allocated(end) as one, allocated(endpoint(server, "udp")) as two:
            await talk(one, two, b"first", b"x" * 1201, b"third")
            stats = server.stats()
            assert stats["turn_allocations"] == 2
            assert stats["turn_streams"] == (transport != "udp")
            assert stats["turn_packets_relayed_total"] >= 6
        await until(lambda: server.stats()["turn_allocations"] == 0)


async def test_without_tls_there_is_none() -> None:
    async with relaying() as server:
        with pytest.raises(Unreachable):
            async with allocated(endpoint(server, "tls")):
                pass


async def test_a_welcome_brings_credentials_that_work() -> None:
    async with relaying() as server:
        told = await welcome(server)
        [lent] = [TurnServer(**one) for one in told["turn"]]
        place = f"127.0.0.1:{server.port}"
        assert lent.uris == [f"turn:{place}", f"turn:{place}?transport=ws"]
        end = endpoint(server, "ws", username=lent.username, password=lent.password)
        async with allocated(end) as allocation:
            assert allocation.relayed[0] == "127.0.0.1"
        with pytest.raises(Refused, match="wrong user name or password"):
            async with allocated(endpoint(server, "udp", username=lent.username, password="wrong")):
                pass


async def test_the_secret_is_random_unless_it_is_given() -> None:
    async with relaying() as one, relaying() as other, relaying(secret="s" * 8) as known:
        assert len({one._secret, other._secret, known._secret}) == 3
        assert known._secret == "s" * 8
        assert "ssssssss" not in repr(known.settings)
        assert "horse" not in repr(known.settings)


async def test_stun() -> None:
    async with relaying() as server:
        found = await discover_public_ip([server.places.stun])
        assert found is not None
        assert found.ip == "127.0.0.1"


async def test_without_turn_there_is_signaling_and_stun() -> None:
    async with relaying(turn=False) as server:
        assert "turn" not in await welcome(server)
        assert await discover_public_ip([server.places.stun])
        for transport in ("udp", "tcp", "ws"):
            with pytest.raises(Unreachable):
                await allocated(endpoint(server, transport)).__aenter__()
        assert not [name for name in server.stats() if name.startswith("turn_")]


async def test_servers_of_others_are_handed_out_too() -> None:
    async with relaying(turn_uris=("turn:turn.example.org",), secret="shared") as server:
        [lent] = (await welcome(server))["turn"]
        assert lent["uris"][-1] == "turn:turn.example.org"
    async with relaying(turn_uris=("turn:turn.example.org",), secret="shared", turn=False) as server:
        [lent] = (await welcome(server))["turn"]
        assert lent["uris"] == ["turn:turn.example.org"]


async def test_http() -> None:
    async with relaying() as server:
        assert await http(server, "/health") == (200, "ok\n")
        assert (await http(server, "/turn"))[0] == 426
        assert (await http(server, "/nothing"))[0] == 404
        stats = json.loads((await http(server, "/stats"))[1])
        assert {"nodes", "turn_allocations", "turn_streams", "relay_sessions", "tcp_undecided"} <= set(stats)
        status, metrics = await http(server, "/metrics")
        assert status == 200
        for name in (
            "signaling_nodes",
            "turn_allocations",
            "turn_streams_total",
            "relay_sessions",
            "tcp_accepted_total",
        ):
            assert f"\n{name} " in metrics
        assert metrics.count("# TYPE turn_allocations gauge") == 1


async def test_with_tls_websockets_want_tls(tmp_path: Path) -> None:
    files = self_signed(tmp_path, *LOOPBACK)
    async with relaying(tls_cert=files[0], tls_key=files[1]) as server:
        assert server.places.signaling == f"wss://127.0.0.1:{server.port}"
        assert await http(server, "/health") == (200, "ok\n")
        with pytest.raises(InvalidStatus, match="HTTP 403"):
            await welcome(server, f"ws://127.0.0.1:{server.port}")
        async with connect(server.places.signaling, proxy=None, ssl=trusting(files[0])) as websocket:
            [lent] = (await RawNode(websocket, KeySigner()).hello())["turn"]
            assert lent["uris"][1] == f"turns:127.0.0.1:{server.port}?transport=ws"


async def test_a_server_that_knows_its_name_refuses_others(monkeypatch: pytest.MonkeyPatch) -> None:
    async def resolves(host: str, port: int, *, timeout: float) -> list[tuple[str, int]]:
        assert host == "relay.example.org"
        return [("203.0.113.9", port)]

    monkeypatch.setattr(relay_server, "resolve", resolves)
    async with relaying(public_host="relay.example.org") as server:
        assert server.places.resolved == ["203.0.113.9"]
        assert server.places.signaling == f"ws://relay.example.org:{server.port}"
        url = f"ws://127.0.0.1:{server.port}"
        assert (await welcome(server, url))["type"] == "welcome"
        for host, fine in (("relay.example.org", True), ("RELAY.example.org:1", True), ("evil.example", False)):
            upgrade = ("Upgrade: websocket", "Connection: Upgrade")
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write("\r\n".join(("GET / HTTP/1.1", f"Host: {host}", *upgrade, "", "")).encode())
            assert (b" 421 " in await reader.readline()) is not fine
            writer.close()
            await writer.wait_closed()
        assert await http(server, "/health") == (200, "ok\n")  # whose Host is none of them


async def test_behind_a_proxy_the_urls_are_the_proxy_s() -> None:
    async with relaying(public_url="https://example.org/atmosphere/") as server:
        assert server.places.signaling == "wss://example.org:443/atmosphere"
        [lent] = (await welcome(server, f"ws://127.0.0.1:{server.port}/atmosphere/signal"))["turn"]
        assert lent["uris"][1] == "turns:example.org:443?transport=ws&path=/atmosphere/turn"
        assert (await http(server, "/atmosphere/health"))[0] == 200


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
async def test_a_port_that_is_taken(kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            other.listen()
        server = RelayServer("127.0.0.1", other.getsockname()[1])
        with pytest.raises(OSError, match="in use"):
            await server.start()
        await server.stop()


async def test_another_port_is_tried_when_the_chosen_one_is_taken_for_udp(monkeypatch: pytest.MonkeyPatch) -> None:
    real: Callable[[str, int], UdpSocket] = UdpSocket.bind
    tried = []

    def taken_once(address: str, port: int = 0) -> Any:
        tried.append(port)
        if len(tried) == 1:
            raise OSError(98, "Address already in use")
        return real(address, port)

    monkeypatch.setattr(UdpSocket, "bind", taken_once)
    async with RelayServer("127.0.0.1", 0) as server:
        assert await http(server, "/health") == (200, "ok\n")
    assert len(tried) >= 2


async def test_on_every_address() -> None:
    async with relaying(None) as server:
        assert "127.0.0.1" in server.addresses
        assert await discover_public_ip([f"stun:127.0.0.1:{server.port}"])


async def test_a_certificate_that_is_none() -> None:
    with pytest.raises(AtmosphereError, match="cannot be used"):
        await RelayServer("127.0.0.1", 0, settings=RelaySettings(tls_cert=__file__, tls_key=__file__)).start()


async def test_draining_asks_nodes_to_go_while_turn_goes_on() -> None:
    server = RelayServer("127.0.0.1", 0, settings=RelaySettings(users={"anna": "correct-horse"}))
    await server.start()
    async with connect(server.places.signaling, proxy=None) as websocket, allocated(endpoint(server, "tcp")) as held:
        node = RawNode(websocket, KeySigner())
        await node.hello()
        stopping = asyncio.ensure_future(server.stop(10))
        assert (await node.receive())["type"] == "drain"
        assert held.is_open
        await websocket.close()
        await stopping
        await until(lambda: not held.is_open)


def test_what_is_asked_before_the_start() -> None:
    server = RelayServer("127.0.0.1", 0)
    assert server.addresses == []
    with pytest.raises(RuntimeError, match="not running"):
        server.stats()


@pytest.mark.needs("nats-server")
async def test_two_relays_joined_by_nats_are_one_meeting_place() -> None:
    async with nats_server() as nats:
        cluster = ClusterSettings((nats.url,))
        async with relaying(cluster=cluster) as here, relaying(cluster=cluster) as there:
            await until(lambda: here.stats()["cluster_instances"] == there.stats()["cluster_instances"] == 2)
            async with (
                connect(here.places.signaling, proxy=None) as first,
                connect(there.places.signaling, proxy=None) as second,
            ):
                anna, ben = RawNode(first, KeySigner()), RawNode(second, KeySigner())
                lent = [(await node.hello())["turn"][0]["uris"][0] for node in (anna, ben)]
                assert lent == [f"turn:127.0.0.1:{server.port}" for server in (here, there)]  # each its own relay
                await anna.send(type="send", to=ben.id, payload="cGF5", id="m", ref=1, ttl=10)
                assert (await ben.receive())["sender"] == anna.id


async def test_a_name_that_nobody_knows_yet_is_no_obstacle(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def unknown(host: str, port: int, *, timeout: float) -> list[tuple[str, int]]:
        raise Unreachable(f"{host} is unknown")

    monkeypatch.setattr(relay_server, "resolve", unknown)
    async with relaying(public_host="relay.example.org") as server:
        assert server.places.resolved == []
    assert "relay.example.org is unknown" in caplog.text
