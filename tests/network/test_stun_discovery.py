"""Which sockets are a pair for RFC 5780; the rest is in test_stun_service.py, which opens them."""

from __future__ import annotations

import pytest

from atmosphere.network.stun_discovery import _next_to, open_discovery
from atmosphere.stun.server import BindingServer
from atmosphere.udp.socket import UdpSocket

TWO = ("127.0.0.1", "127.0.0.2")


def bind_two() -> list[UdpSocket]:
    first = UdpSocket.bind(TWO[0])
    return [first, UdpSocket.bind(TWO[1], first.port)]


async def test_two_addresses_that_the_world_sees_as_one_are_one() -> None:
    sockets = bind_two()
    public = dict.fromkeys(TWO, "8.8.8.8")
    assert open_discovery(BindingServer(), sockets, public) == []
    with pytest.raises(ValueError, match="two addresses"):
        open_discovery(BindingServer(), sockets, public, wanted=True)
    for sock in sockets:
        sock.close()


async def test_nothing_is_opened_for_nobody() -> None:
    assert open_discovery(BindingServer(), [], {}) == []


def test_the_port_after_the_last_is_the_one_before_it() -> None:
    assert _next_to(3478) == 3479
    assert _next_to(65535) == 65534
