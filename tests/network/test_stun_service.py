from __future__ import annotations

import pytest

from atmosphere.ice.nat_probe import probe_nat
from atmosphere.network import stun_discovery, stun_service
from atmosphere.network.discover import discover_public_ip
from atmosphere.network.stun_service import StunService
from atmosphere.udp.socket import UdpSocket

NOT_OURS = "198.51.100.77"


async def test_it_answers() -> None:
    async with StunService("127.0.0.1", 0) as service:
        found = await discover_public_ip([f"127.0.0.1:{service.port}"])
        assert found is not None
        assert (found.ip, service.answered) == ("127.0.0.1", 1)
        with pytest.raises(OSError):
            await StunService("127.0.0.1", service.port).start()


async def test_both_families() -> None:
    async with StunService(port=0) as service:
        assert await discover_public_ip([f"127.0.0.1:{service.port}"], family=4)
        if "::1" in service.addresses:
            assert await discover_public_ip([f"[::1]:{service.port}"], family=6)


async def test_an_address_that_is_gone_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stun_service, "own_addresses", lambda: ["127.0.0.1", NOT_OURS])
    async with StunService(port=0) as service:
        assert service.addresses == ["127.0.0.1"]


async def test_an_address_that_was_asked_for_must_be_ours() -> None:
    service = StunService(["127.0.0.1", NOT_OURS], 0)
    with pytest.raises(OSError):
        await service.start()
    assert service.addresses == []


async def test_stopping_twice() -> None:
    service = StunService("127.0.0.1", 0)
    await service.start()
    await service.stop()
    await service.stop()


TWO = ("127.0.0.1", "127.0.0.2")


async def test_two_addresses_tell_a_nats_behaviour_when_told_to() -> None:
    async with StunService(TWO, 0, discovery=True, other_port=0) as service:
        assert [address for address, _ in service.others] == list(TWO)
        report = await probe_nat([("127.0.0.1", service.port)])
        assert (report.behaviour.mapping, report.behaviour.filtering) == ("none", "none")
        assert report.behaviour.type == "open"
    assert service.others == []


async def test_the_second_port_is_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stun_discovery, "address_class", lambda address: "public")
    for _ in range(50):
        async with StunService(TWO, 0) as service:
            if service.others:
                assert service.others == [(address, service.port + 1) for address in TWO]
                return
    raise AssertionError("the next port was never free")


@pytest.mark.parametrize(
    ("addresses", "discovery", "public"),
    [
        (TWO, None, {}),
        (TWO, False, {"127.0.0.1": "8.8.8.8", "127.0.0.2": "8.8.4.4"}),
        (("127.0.0.1",), None, {}),
    ],
)
async def test_otherwise_it_only_tells_addresses(
    addresses: tuple[str, ...], discovery: bool | None, public: dict[str, str]
) -> None:
    async with StunService(addresses, 0, discovery=discovery, public=public) as service:
        assert service.others == []
        assert (await probe_nat([("127.0.0.1", service.port)])).behaviour.filtering != "none"


async def test_public_addresses_of_a_nat_before_it_count() -> None:
    public = {"127.0.0.1": "8.8.8.8", "127.0.0.2": "8.8.4.4"}
    async with StunService(TWO, 0, other_port=0, public=public) as service:
        assert [address for address, _ in service.others] == ["8.8.8.8", "8.8.4.4"]


@pytest.mark.parametrize("addresses", [("127.0.0.1",), ("127.0.0.1", "::1")])
async def test_one_address_of_a_family_is_too_few(addresses: tuple[str, ...]) -> None:
    service = StunService(addresses, 0, discovery=True)
    with pytest.raises(ValueError, match="two addresses"):
        await service.start()
    assert service.addresses == []


async def test_a_second_port_that_is_taken() -> None:
    public = {"127.0.0.1": "8.8.8.8", "127.0.0.2": "8.8.4.4"}
    taken = UdpSocket.bind("127.0.0.2")
    try:
        async with StunService(TWO, 0, other_port=taken.port, public=public) as service:
            assert service.others == []
            assert await discover_public_ip([f"127.0.0.1:{service.port}"])
        with pytest.raises(OSError):
            await StunService(TWO, 0, other_port=taken.port, discovery=True).start()
    finally:
        taken.close()
