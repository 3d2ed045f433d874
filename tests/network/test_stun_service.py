from __future__ import annotations

import pytest

from atmosphere.network import stun_service
from atmosphere.network.discover import discover_public_ip
from atmosphere.network.stun_service import StunService

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
    monkeypatch.setattr(stun_service, "_own_addresses", lambda: ["127.0.0.1", NOT_OURS])
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
