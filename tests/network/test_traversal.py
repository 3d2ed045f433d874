from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from atmosphere.errors import LinkError, UnknownPeer, Unreachable
from atmosphere.network import traversal
from atmosphere.network.attempt import PunchAttempt
from atmosphere.network.stun_service import StunService
from atmosphere.network.traversal import MAX_PEERS, NATTraversal
from atmosphere.udp.socket import UdpSocket

KEY = b"0123456789abcdef"
Make = Callable[..., Awaitable[NATTraversal]]


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    """Starts traversals on loopback and stops them."""
    made: list[NATTraversal] = []

    async def start(**options: object) -> NATTraversal:
        node = NATTraversal(**({"stun": (), "address": "127.0.0.1"} | options))  # type: ignore[arg-type]
        made.append(node)
        await node.start()
        return node

    yield start
    for node in made:
        await node.stop()


async def meet(a: NATTraversal, b: NATTraversal, timeout: float = 5) -> tuple[PunchAttempt, PunchAttempt]:
    one, other = await asyncio.gather(
        a.punch_hole("b", "127.0.0.1", b.local_port, timeout), b.punch_hole("a", "127.0.0.1", a.local_port, timeout)
    )
    return one, other


@pytest.mark.parametrize("key", [None, KEY])
async def test_two_meet_and_talk(make: Make, key: bytes | None) -> None:
    a, b = await make(key=key), await make(key=key)
    one, other = await meet(a, b)
    assert one.is_direct
    assert other.is_direct
    assert one.remote == ("127.0.0.1", b.local_port)
    await a.send_to_peer("b", b"hello")
    await b.send_to_peer("a", b"")
    assert await asyncio.wait_for(b.receive("a"), 5) == b"hello"
    assert await asyncio.wait_for(a.receive("b"), 5) == b""
    assert (one.rtt or other.rtt) is not None


async def test_one_comes_later(make: Make) -> None:
    a, b = await make(), await make()
    first = asyncio.ensure_future(a.punch_hole("b", "127.0.0.1", b.local_port, 5))
    await asyncio.sleep(0)
    assert (await b.punch_hole("a", "127.0.0.1", a.local_port, 5)).is_direct
    assert (await first).is_direct


async def test_different_keys_do_not_meet(make: Make) -> None:
    a, b = await make(key=KEY), await make(key=KEY[::-1])
    one, other = await meet(a, b, 0.2)
    assert (one.state, other.state) == ("failed", "failed")
    with pytest.raises(LinkError, match="failed"):
        await a.send_to_peer("b", b"x")
    with pytest.raises(LinkError, match="failed"):
        await a.receive("b")


async def test_a_key_against_none(make: Make) -> None:
    a, b = await make(key=KEY), await make()
    one, _ = await meet(a, b, 0.2)
    assert one.state == "failed"


async def test_a_key_for_one_peer(make: Make) -> None:
    a, b = await make(key=KEY), await make()
    one, other = await asyncio.gather(
        a.punch_hole("b", "127.0.0.1", b.local_port, 5, key=b"another key....."),
        b.punch_hole("a", "127.0.0.1", a.local_port, 5, key=b"another key....."),
    )
    assert one.is_direct
    assert other.is_direct


async def test_the_port_the_peer_really_uses(make: Make) -> None:
    """As behind a symmetric NAT: b expects another port of the same host, and learns the true one."""
    a, b = await make(key=KEY), await make(key=KEY)
    nobody = UdpSocket.bind("127.0.0.1")
    one, other = await asyncio.gather(
        a.punch_hole("b", "127.0.0.1", b.local_port, 5), b.punch_hole("a", "127.0.0.1", nobody.port, 5)
    )
    nobody.close()
    assert one.is_direct
    assert other.remote == ("127.0.0.1", a.local_port)


async def test_a_peer_at_another_address_needs_a_key(make: Make) -> None:
    a, b = await make(key=KEY, address="127.0.0.2"), await make(key=KEY)
    _, other = await asyncio.gather(
        a.punch_hole("b", "127.0.0.1", b.local_port, 5), b.punch_hole("a", "127.0.0.3", 9, 5)
    )
    assert other.remote == ("127.0.0.2", a.local_port)
    c, d = await make(address="127.0.0.2"), await make()
    _, other = await asyncio.gather(
        c.punch_hole("d", "127.0.0.1", d.local_port, 0.2), d.punch_hole("c", "127.0.0.3", 9, 0.2)
    )
    assert other.state == "failed"


async def test_several_peers_on_one_socket(make: Make) -> None:
    hub, others = await make(key=KEY), [await make(key=KEY) for _ in range(4)]
    attempts = await asyncio.gather(
        *(hub.punch_hole(str(n), "127.0.0.1", other.local_port, 5) for n, other in enumerate(others)),
        *(other.punch_hole("hub", "127.0.0.1", hub.local_port, 5) for other in others),
    )
    assert all(attempt.is_direct for attempt in attempts)
    for n, other in enumerate(others):
        await other.send_to_peer("hub", bytes([n]))
        assert await asyncio.wait_for(hub.receive(str(n)), 5) == bytes([n])


async def test_on_data(make: Make) -> None:
    arrived: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
    a, b = await make(), await make(on_data=lambda peer, data: arrived.put_nowait((peer, data)))
    await meet(a, b)
    await a.send_to_peer("b", b"hello")
    assert await asyncio.wait_for(arrived.get(), 5) == ("a", b"hello")


async def test_the_peer_stops(make: Make) -> None:
    a, b = await make(), await make()
    one, _ = await meet(a, b)
    await b.stop()
    with pytest.raises(LinkError, match="lost"):
        await asyncio.wait_for(a.receive("b"), 5)
    assert one.state == "lost"
    await b.stop()


async def test_punching_again(make: Make) -> None:
    a, b = await make(), await make()
    first, _ = await meet(a, b)
    second, _ = await meet(a, b)
    assert first.state == "closed"
    assert second.is_direct


async def test_giving_up_early(make: Make) -> None:
    a = await make()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(a.punch_hole("b", "127.0.0.1", 9, 60), 0.05)
    assert a._peers["b"].state == "closed"


@pytest.mark.parametrize(("host", "port"), [("224.0.0.1", 9), ("127.0.0.1", 0), ("127.0.0.1", 70000), ("::1", 9)])
async def test_no_place_to_punch_at(make: Make, host: str, port: int) -> None:
    a = await make()
    with pytest.raises(Unreachable):
        await a.punch_hole("b", host, port, 1)


async def test_misuse(make: Make) -> None:
    a = await make()
    with pytest.raises(UnknownPeer):
        await a.send_to_peer("nobody", b"x")
    with pytest.raises(UnknownPeer):
        await a.receive("nobody")
    with pytest.raises(ValueError, match="1201"):
        await a.send_to_peer("nobody", bytes(1201))
    with pytest.raises(ValueError, match="16 bytes"):
        NATTraversal(key=b"short")
    with pytest.raises(LinkError, match="not started"):
        await NATTraversal().punch_hole("b", "127.0.0.1", 9)
    with pytest.raises(OSError):
        await make(local_port=a.local_port)


async def test_as_many_peers_as_there_is_room_for(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traversal, "MAX_PEERS", 1)
    assert MAX_PEERS > 1
    a = await make()
    await a.punch_hole("one", "127.0.0.1", 9, 0.02)
    waiting = asyncio.ensure_future(a.punch_hole("two", "127.0.0.1", 9, 60))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    with pytest.raises(Unreachable, match="as many"):
        await a.punch_hole("three", "127.0.0.1", 9, 1)
    waiting.cancel()


async def test_noise_is_ignored(make: Make) -> None:
    a, b = await make(key=KEY), await make(key=KEY)
    noise = UdpSocket.bind("127.0.0.1")
    punching = asyncio.ensure_future(meet(a, b))
    for data in (
        b"",
        b"\xf1AP",
        b"\xf1AP" + bytes(25),
        b"\xf1AP\x01" + bytes(60),
        b"\0" * 20,
        b"\xf1AP\x01" + bytes(2000),
    ):
        noise.send(data, ("127.0.0.1", a.local_port))
    one, _ = await punching
    assert one.is_direct
    assert a._running().socket.failures == 0
    noise.close()


async def test_the_public_endpoint(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traversal, "REFRESH", 0.01)
    async with StunService("127.0.0.1", 0) as service:
        async with NATTraversal(stun=[f"127.0.0.1:{service.port}"], address="127.0.0.1") as node:
            assert node.public_endpoint is not None
            assert (node.public_endpoint.ip, node.public_endpoint.port) == ("127.0.0.1", node.local_port)
            await node.start()  # again is fine
            first = node.public_endpoint
            again = asyncio.Event()
            service._server.answer = lambda *_: again.set()  # type: ignore[method-assign]
            await asyncio.wait_for(again.wait(), 5)
            assert node.public_endpoint == first


async def test_without_stun_it_still_starts(make: Make) -> None:
    silent = UdpSocket.bind("127.0.0.1")
    node = await make(stun=[f"127.0.0.1:{silent.port}"], stun_timeout=0.05)
    silent.close()
    assert node.public_endpoint is None
    assert node.local_port
