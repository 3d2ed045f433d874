"""Against a real coturn: STUN, TURN over UDP and TCP, static and REST credentials, sessions over a relay."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from atmosphere.errors import Refused, Unreachable
from atmosphere.ice.endpoint import IceEndpoint
from atmosphere.ice.health import ServerHealth
from atmosphere.ice.settings import IceSettings, PathPolicy, parse_stun, parse_turn
from atmosphere.turn.client import Allocation, TurnEndpoint
from atmosphere.turn.uri import Transport
from tests.certificates import self_signed
from tests.ice.loopback import connect, exchange
from tests.interop.coturn import PASSWORD, USER, Coturn, rest_credentials, running_coturn
from tests.until import until

pytestmark = pytest.mark.needs("coturn")


@pytest.fixture
async def coturn(tmp_path: Path) -> AsyncIterator[Coturn]:
    async with running_coturn(tmp_path) as server:
        yield server


def settings(*servers: str, policy: PathPolicy = "any") -> IceSettings:
    return IceSettings(
        addresses=("127.0.0.1",),
        stun=tuple(parse_stun(one) for one in servers if one.startswith("stun")),
        turn=tuple(parse_turn(one) for one in servers if one.startswith("turn")),
        policy=policy,
    )


async def health(endpoint: IceEndpoint, uri: str) -> ServerHealth:
    await endpoint.gathered(10)
    return next(server for server in endpoint.servers() if server.uri == uri)


async def test_it_tells_our_address(coturn: Coturn) -> None:
    async with IceEndpoint(settings(coturn.stun)) as endpoint:
        server = await health(endpoint, coturn.stun)
        assert server.ok
        assert server.address == ("127.0.0.1", endpoint.port)
        assert server.rtt_ms is not None


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_two_allocations_talk_to_each_other(coturn: Coturn, transport: Transport) -> None:
    end = TurnEndpoint(("127.0.0.1", coturn.port), transport, USER, PASSWORD)
    one, two = Allocation(end), Allocation(end)
    got: asyncio.Queue[tuple[bytes, tuple[str, int]]] = asyncio.Queue()
    two.on_datagram = lambda data, source: got.put_nowait((data, source))
    one.on_datagram = lambda data, source: one.send(data, source)
    await one.open()
    await two.open()
    try:
        assert one.relayed != two.relayed
        one.send(b"permission", two.relayed)
        for data in (b"first", b"x" * 1201, b"third"):  # one that needs padding in a stream
            async with asyncio.timeout(5):
                await until_echoed(two, one.relayed, data, got)
    finally:
        await one.close()
        await two.close()


async def until_echoed(
    allocation: Allocation, peer: tuple[str, int], data: bytes, got: asyncio.Queue[tuple[bytes, tuple[str, int]]]
) -> None:
    """Send `data` until it comes back: a server drops what comes before the peer has permitted us."""
    while True:
        allocation.send(data, peer)
        try:
            while await asyncio.wait_for(got.get(), 0.2) != (data, peer):
                pass
        except TimeoutError:
            continue
        return


async def test_over_tls_the_certificate_counts(tmp_path: Path) -> None:
    certificate = self_signed(tmp_path)
    async with running_coturn(tmp_path, certificate=certificate) as server:
        address = ("127.0.0.1", server.port)
        trusting = ssl.create_default_context(cafile=str(certificate[0]))
        good = Allocation(TurnEndpoint(address, "tls", USER, PASSWORD, host="localhost", tls=trusting))
        await good.open()
        assert good.relayed[0] == "127.0.0.1"
        await good.close()
        for host, context in (("localhost", None), ("elsewhere.example", trusting)):
            bad = Allocation(TurnEndpoint(address, "tls", USER, PASSWORD, host=host, tls=context))
            with pytest.raises(Unreachable, match="certificate is not valid"):
                await bad.open()


async def test_wrong_credentials_are_named(coturn: Coturn) -> None:
    allocation = Allocation(TurnEndpoint(("127.0.0.1", coturn.port), "udp", USER, "wrong"))
    with pytest.raises(Refused, match="wrong user name or password"):
        await allocation.open()
    async with IceEndpoint(settings(coturn.turn(password="wrong"))) as endpoint:
        server = await health(endpoint, f"turn:127.0.0.1:{coturn.port}")
        assert server.ok is False
        assert server.error == "wrong user name or password"


@pytest.mark.parametrize("transport", ["udp", "tcp", ""])
async def test_a_relayed_session_passes_data_both_ways(coturn: Coturn, transport: str) -> None:
    turn = coturn.turn(transport)
    async with (
        IceEndpoint(settings(turn, policy="relay")) as host,
        IceEndpoint(settings(turn, policy="relay")) as dialer,
    ):
        await host.gathered(10)
        await dialer.gathered(10)
        assert {one.type for one in host.candidates} == {one.type for one in dialer.candidates} == {"relay"}
        assert {one.related_address for one in host.candidates} == {"0.0.0.0"}
        session, listener = await connect(host, dialer)
        assert session.path is not None
        assert session.path.kind == "relay"
        assert session.path.protocol == (transport or "udp")
        assert await exchange(session, [bytes([20 + i]) * (100 * i + 1) for i in range(10)])
        listener.close()


async def test_one_relayed_end_is_enough(coturn: Coturn) -> None:
    async with (
        IceEndpoint(settings()) as host,
        IceEndpoint(settings(coturn.turn(), policy="relay")) as dialer,
    ):
        await dialer.gathered(10)
        session, listener = await connect(host, dialer)
        assert session.path is not None
        assert session.path.local.type == "relay"
        assert session.path.remote.type == "host"
        assert await exchange(session, [b"\x20one", b"\x20two"])
        listener.close()


async def test_rest_credentials_come_later_and_are_replaced(tmp_path: Path) -> None:
    async with running_coturn(tmp_path, rest=True) as server, IceEndpoint(settings(policy="relay")) as endpoint:
        assert endpoint.candidates == []
        found: asyncio.Queue[str] = asyncio.Queue()
        endpoint.on_candidate = lambda candidate: found.put_nowait(candidate.type)
        uri = f"turn:127.0.0.1:{server.port}"
        # The first lapse at once (within the minute and a half before which newer ones are taken up).
        endpoint.set_servers((), (parse_turn(uri, username=(short := rest_credentials(60))[0], password=short[1]),))
        assert await asyncio.wait_for(found.get(), 10) == "relay"
        assert (await health(endpoint, uri)).ok
        first = endpoint.candidates[0]
        endpoint.set_servers((), (parse_turn(uri, username=(longer := rest_credentials())[0], password=longer[1]),))
        assert await asyncio.wait_for(found.get(), 10) == "relay"
        assert [one for one in endpoint.candidates if one.endpoint != first.endpoint]


async def test_a_server_that_dies_and_returns(coturn: Coturn, tmp_path: Path) -> None:
    async with IceEndpoint(settings(coturn.turn("tcp"))) as endpoint:
        uri = f"turn:127.0.0.1:{coturn.port}?transport=tcp"
        assert (await health(endpoint, uri)).ok
        await coturn.stop()
        await until(lambda: endpoint.candidates[-1].type != "relay")
        assert endpoint.servers()[0].ok is False
        found = asyncio.Event()
        endpoint.on_candidate = lambda candidate: found.set()
        async with running_coturn(tmp_path, port=coturn.port):
            await asyncio.wait_for(found.wait(), 20)
            assert endpoint.servers()[0].ok
