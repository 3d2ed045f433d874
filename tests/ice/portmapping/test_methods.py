from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from atmosphere.ice.portmapping import ask
from atmosphere.ice.portmapping.ask import Asker
from atmosphere.ice.portmapping.methods import NatPmp, Pcp
from atmosphere.ice.portmapping.model import Grant, NoMapping, Wish
from tests.ice.portmapping.fake_gateway import FakeGateway, running

UDP, TCP = Wish("udp", "127.0.0.1", 7777), Wish("tcp", "127.0.0.1", 7777)


@pytest.fixture
async def gateway() -> AsyncIterator[FakeGateway]:
    async with running() as gateway:
        yield gateway


@pytest.fixture
async def asker(gateway: FakeGateway) -> AsyncIterator[Asker]:
    asker = Asker("127.0.0.1", ("127.0.0.1", gateway.control.port))
    yield asker
    asker.close()


async def test_pcp(gateway: FakeGateway, asker: Asker) -> None:
    gateway.offset = 1
    method = Pcp(asker, b"seed")
    await method.offers()
    grant = await method.map(UDP, None)
    assert grant == Grant("203.0.113.9", 7778, 7200)
    await method.map(TCP, ("203.0.113.9", 7778))
    assert gateway.mapped == {"udp": 7778, "tcp": 7778}
    assert await method.remembers(UDP, grant)
    gateway.restart()
    assert not await method.remembers(UDP, grant)
    assert await method.remembers(UDP, grant)
    await method.map(UDP, None)
    await method.unmap(UDP, grant)
    assert gateway.mapped == {}


async def test_nat_pmp(gateway: FakeGateway, asker: Asker) -> None:
    gateway.offset = 1
    method = NatPmp(asker)
    await method.offers()
    grant = await method.map(UDP, None)
    assert grant == Grant("203.0.113.9", 7778, 7200)
    await method.map(TCP, ("203.0.113.9", 7778))
    assert gateway.mapped == {"udp": 7778, "tcp": 7778}
    assert await method.remembers(UDP, grant)
    gateway.restart()
    assert not await method.remembers(UDP, grant)
    assert await method.remembers(UDP, grant)
    gateway.external = "203.0.113.10"
    assert not await method.remembers(UDP, grant)
    await method.map(UDP, None)
    await method.unmap(UDP, grant)
    assert gateway.mapped == {}


async def test_a_restart_is_noticed_whatever_was_asked_first(gateway: FakeGateway, asker: Asker) -> None:
    method = Pcp(asker, b"seed")
    grant = await method.map(UDP, None)
    gateway.restart()
    await method.map(UDP, None)
    assert not await method.remembers(UDP, grant)


async def test_nonces_stay_the_same_for_a_seed_and_a_port(gateway: FakeGateway, asker: Asker) -> None:
    seen: list[bytes] = []
    receive = gateway.control.on_datagram

    def note(data: bytes, source: tuple[str, int]) -> None:
        seen.append(data[24:36])
        receive(data, source)

    gateway.control.on_datagram = note
    for seed, wish in ((b"seed", UDP), (b"seed", UDP), (b"other", UDP), (b"seed", TCP)):
        await Pcp(asker, seed).map(wish, None)
    assert seen[0] == seen[1]
    assert len(set(seen)) == 3


@pytest.mark.parametrize(("code", "words"), [(2, "does not allow"), (8, "no room"), (99, "error 99")])
async def test_pcp_refuses(gateway: FakeGateway, asker: Asker, code: int, words: str) -> None:
    gateway.result, gateway.lifetime = code, 77
    with pytest.raises(NoMapping, match=words) as caught:
        await Pcp(asker, b"").map(UDP, None)
    assert caught.value.hold == 77


@pytest.mark.parametrize(("code", "words"), [(2, "does not allow"), (4, "no room"), (99, "error 99")])
async def test_nat_pmp_refuses(gateway: FakeGateway, asker: Asker, code: int, words: str) -> None:
    gateway.result = code
    for work in (NatPmp(asker).map(UDP, None), NatPmp(asker).offers()):
        with pytest.raises(NoMapping, match=words):
            await work


async def test_a_router_without_a_connection(gateway: FakeGateway, asker: Asker) -> None:
    method = NatPmp(asker)
    gateway.result = 3
    await method.offers()
    assert method.public is None


async def test_a_grant_of_nothing(gateway: FakeGateway, asker: Asker) -> None:
    gateway.lifetime = 0
    for method in (Pcp(asker, b""), NatPmp(asker)):
        with pytest.raises(NoMapping, match="opened no port"):
            await method.map(UDP, None)
    gateway.lifetime, gateway.offset = 7200, -7777
    for method in (Pcp(asker, b""), NatPmp(asker)):
        with pytest.raises(NoMapping, match="opened no port"):
            await method.map(UDP, None)


async def test_a_router_that_only_knows_nat_pmp(gateway: FakeGateway, asker: Asker) -> None:
    gateway.speaks = {"nat-pmp"}
    with pytest.raises(NoMapping, match="another version"):
        await Pcp(asker, b"").map(UDP, None)


async def test_answers_to_others(gateway: FakeGateway, asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of another port, protocol or nonce: not ours."""
    monkeypatch.setattr(ask, "WAITS", (0.05,))
    pcp_answer, nat_pmp_answer = gateway._pcp, gateway._nat_pmp
    monkeypatch.setattr(gateway, "_pcp", lambda data: pcp_answer(data[:24] + b"another's..." + data[36:]))
    monkeypatch.setattr(gateway, "_nat_pmp", lambda data: nat_pmp_answer(data[:1] + b"\2" + data[2:]))
    for method in (Pcp(asker, b""), NatPmp(asker)):
        with pytest.raises(NoMapping, match="no answer"):
            await method.map(UDP, None)
