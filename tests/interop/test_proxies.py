"""The public helper behind a real nginx and a real HAProxy, which have the TLS and a path of their own."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from atmosphere.network import RelayClient, RelayServer
from atmosphere.turn.endpoint import TurnEndpoint
from atmosphere.turn.server.settings import TurnSettings
from atmosphere.turn.uri import parse_turn
from signaling import KeySigner, TurnServer
from signaling.settings import Settings
from tests.certificates import LOOPBACK, self_signed, trusting
from tests.interop.proxies import PREFIX, proxied
from tests.network.relays import allocated, endpoint, relaying, talk
from tests.signaling.tools import RawNode

PROXIES = [pytest.param(kind, marks=pytest.mark.needs(kind)) for kind in ("nginx", "haproxy")]


@dataclass
class Behind:
    """A relay server, and where the proxy has it."""

    server: RelayServer
    url: str
    port: int
    tls: Any


@contextlib.asynccontextmanager
async def behind(kind: str, folder: Path, **settings: Any) -> AsyncIterator[Behind]:
    files = self_signed(folder, *LOOPBACK)
    # The proxy's port is not known before the server's: the server is told of it as any port, by name.
    settings.setdefault("signaling", Settings(trusted_proxies=("127.0.0.1",), path_prefix=PREFIX))
    async with relaying(public_host="127.0.0.1", **settings) as server:
        async with proxied(kind, folder, files, server.port) as port:
            yield Behind(server, f"wss://127.0.0.1:{port}{PREFIX}", port, trusting(files[0]))


async def welcome(place: Behind, **options: Any) -> dict[str, Any]:
    async with connect(f"{place.url}/", ssl=place.tls, proxy=None, **options) as websocket:
        return await RawNode(websocket, KeySigner()).hello()


@pytest.mark.parametrize("kind", PROXIES)
async def test_everything_on_websockets_passes(kind: str, tmp_path: Path) -> None:
    relay = TurnSettings(allow_peers=("127.0.0.0/8",))
    async with behind(kind, tmp_path, relay=relay) as place:
        [lent] = [TurnServer(**one) for one in (await welcome(place))["turn"]]
        end = TurnEndpoint(
            ("127.0.0.1", place.port),
            "wss",
            lent.username,
            lent.password,
            host="127.0.0.1",
            tls=place.tls,
            url=f"{place.url}/turn",
        )
        async with allocated(end) as one, allocated(endpoint(place.server, "udp")) as two:
            await talk(one, two, b"first", b"x" * 1201, b"third")
        async with (
            RelayClient(place.url, "s", tls=place.tls) as first,
            RelayClient(place.url, "s", tls=place.tls) as second,
        ):
            await first.send("through two proxies")
            assert await second.receive() == "through two proxies"


@pytest.mark.parametrize("kind", PROXIES)
async def test_each_client_has_limits_of_its_own(kind: str, tmp_path: Path) -> None:
    settings = Settings(trusted_proxies=("127.0.0.1",), path_prefix=PREFIX, max_connections_per_address=1)
    async with behind(kind, tmp_path, signaling=settings) as place, contextlib.AsyncExitStack() as stack:
        for client in ("127.0.0.5", "127.0.0.6"):
            options: dict[str, Any] = {"ssl": place.tls, "proxy": None, "local_addr": (client, 0)}
            await stack.enter_async_context(connect(f"{place.url}/signal", **options))
            with pytest.raises(InvalidStatus, match="HTTP 429"):
                async with connect(f"{place.url}/signal", **options):
                    pass
        inside = place.server._run().signaling._reception.door.inside
        assert {held.client[0] for held in inside} >= {"127.0.0.5", "127.0.0.6"}


@pytest.mark.parametrize("kind", PROXIES)
async def test_origins_are_judged_by_the_proxy_s_name(kind: str, tmp_path: Path) -> None:
    async with behind(kind, tmp_path) as place:
        assert (await welcome(place, origin=Origin(f"https://127.0.0.1:{place.port}")))["type"] == "welcome"
        with pytest.raises(InvalidStatus, match="HTTP 403"):
            await welcome(place, origin=Origin("https://evil.example"))


@pytest.mark.needs("haproxy")
@pytest.mark.parametrize("kind", ["send-proxy", "send-proxy-v2"])
async def test_a_proxy_that_passes_tcp_on_says_who_its_client_is(kind: str, tmp_path: Path) -> None:
    files = self_signed(tmp_path, *LOOPBACK)
    signaling = Settings(trusted_proxies=("127.0.0.1",))
    async with relaying(tls_cert=files[0], tls_key=files[1], signaling=signaling) as server:
        async with proxied(kind, tmp_path, files, server.port) as port:
            for transport in ("tcp", "tls", "wss"):
                end = endpoint(server, transport, trusting(files[0]))
                url = end.url.replace(f":{server.port}/", f":{port}/")
                async with allocated(dataclasses.replace(end, address=("127.0.0.1", port), url=url)) as allocation:
                    protocol: Any = allocation._protocol
                    sock = getattr(protocol.transport, "_websocket", protocol.transport)
                    ours = sock.local_address if transport == "wss" else sock.get_extra_info("sockname")
                    assert allocation.mapped == ours[:2]  # as the server sees us: not the proxy's address


async def test_nodes_are_told_the_proxy_s_url() -> None:
    async with relaying(public_url="https://relay.example.org/atmosphere") as server:
        [_, websocket] = [parse_turn(uri) for uri in server.places.turn]
        assert websocket.uri.url == "wss://relay.example.org/atmosphere/turn"
