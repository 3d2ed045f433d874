from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from atmosphere.udp.options import enlarge, set_fragmentation

FORCED = {32: socket.SO_SNDBUF, 33: socket.SO_RCVBUF}


class Asked(socket.socket):
    """Notes what is forced, and may refuse."""

    allowed = True
    forced: list[int]

    def setsockopt(self, level: int, option: int, *value: Any) -> None:
        if level == socket.SOL_SOCKET and option in FORCED:
            self.forced.append(option)
            if not self.allowed:
                raise PermissionError
            option = FORCED[option]
        super().setsockopt(level, option, *value)


@pytest.fixture(params=[socket.AF_INET, socket.AF_INET6], ids=["IPv4", "IPv6"])
def sock(request: pytest.FixtureRequest) -> Iterator[Asked]:
    with Asked(request.param, socket.SOCK_DGRAM) as sock:
        sock.forced = []
        yield sock


@pytest.mark.parametrize("allowed", [True, False])
def test_buffers_are_as_large_as_is_allowed(sock: Asked, allowed: bool) -> None:
    sock.allowed = allowed
    enlarge(sock, 150_000)
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= 150_000
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) >= 150_000
    assert sock.forced == ([33, 32] if sys.platform == "linux" else [])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets this be chosen for each datagram")
def test_fragments_are_ruled_out_and_allowed_again(sock: Asked) -> None:
    level, option = (socket.IPPROTO_IP, 10) if sock.family == socket.AF_INET else (socket.IPPROTO_IPV6, 23)
    assert set_fragmentation(sock, allowed=False)
    assert sock.getsockopt(level, option) == 3
    assert set_fragmentation(sock, allowed=True)
    assert sock.getsockopt(level, option) == 1


def test_where_the_system_says_no(sock: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    sock.close()
    assert not set_fragmentation(sock, allowed=True)
    monkeypatch.setattr(sys, "platform", "plan9")
    assert not set_fragmentation(sock, allowed=False)
