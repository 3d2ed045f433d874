from __future__ import annotations

import socket

import pytest

from atmosphere.network.discover import discover_public_ip
from atmosphere.network.stun_service import StunService


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
        if len(service._sockets) == 2:
            assert await discover_public_ip([f"[::1]:{service.port}"], family=6)


async def test_a_machine_without_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    blocker = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    blocker.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    blocker.bind(("::", 0))
    async with StunService(port=blocker.getsockname()[1]) as service:
        assert [item.family for item in service._sockets] == [4]
    blocker.close()


async def test_stopping_twice() -> None:
    service = StunService("127.0.0.1", 0)
    await service.start()
    await service.stop()
    await service.stop()
