"""atmosphere.udp.netlink_socket: a pair of sockets in the kernel's place, and the kernel itself."""

from __future__ import annotations

import asyncio
import errno
import socket
import sys
from typing import Any

import pytest

from atmosphere.udp.netlink import AddressChange, NetworkChange, RouteChange
from atmosphere.udp.netlink_socket import NetlinkSocket
from tests.udp.test_netlink import address, route
from tests.until import until


class Kernel:
    """The other end of the socket, and what was heard at this one."""

    def __init__(self) -> None:
        self.heard: list[list[NetworkChange] | None] = []
        ours, self.end = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        ours.setblocking(False)
        self.socket = NetlinkSocket(ours, self.heard.append)

    def close(self) -> None:
        self.socket.close()
        self.socket.close()
        self.end.close()


async def test_changes_are_heard_in_their_order() -> None:
    kernel = Kernel()
    kernel.end.send(address("192.0.2.7", gone=True))
    kernel.end.send(route(0))
    await until(lambda: kernel.heard)
    assert kernel.heard == [[AddressChange("192.0.2.7", True), RouteChange(4, True)]]
    kernel.close()


async def test_nonsense_and_news_of_no_interest_are_passed_over() -> None:
    kernel = Kernel()
    kernel.end.send(b"nonsense")
    kernel.end.send(route(32, kind=2))
    kernel.end.send(route(24))
    await until(lambda: kernel.heard)
    assert kernel.heard == [[RouteChange(4, False)]]
    kernel.close()


class Odd:
    """A socket that answers as it is told."""

    def __init__(self, answers: list[Any]) -> None:
        self.answers = answers
        self.real, self.other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)

    def fileno(self) -> int:
        return self.real.fileno()

    def recvfrom(self, size: int) -> tuple[bytes, Any]:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return]

    def close(self) -> None:
        self.real.close()
        self.other.close()


@pytest.mark.parametrize(("number", "open_after"), [(errno.ENOBUFS, True), (errno.EBADF, False)])
async def test_what_was_lost_is_said(number: int, open_after: bool) -> None:
    heard: list[list[NetworkChange] | None] = []
    odd = Odd([(route(0), (0, 1)), OSError(number, "because")])
    found = NetlinkSocket(odd, heard.append)  # type: ignore[arg-type]
    found._readable()
    assert heard == [None]
    assert (odd.fileno() >= 0) is open_after
    found.close()


async def test_only_the_kernel_is_believed() -> None:
    heard: list[list[NetworkChange] | None] = []
    found = NetlinkSocket(
        Odd([(route(0), (1234, 0)), (route(0, socket.AF_INET6), (0, 1)), BlockingIOError()]),  # type: ignore[arg-type]
        heard.append,
    )
    found._readable()
    assert heard == [[RouteChange(6, True)]]
    found.close()


@pytest.mark.skipif(sys.platform != "linux", reason="netlink is Linux's")
async def test_this_machines_kernel_lets_us_listen() -> None:
    found = NetlinkSocket.open(lambda changes: None)
    assert found is not None
    await asyncio.sleep(0)
    found.close()


async def test_where_there_is_no_netlink(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[bool] = []

    class Refused:
        """A kernel that has the family, and forbids it."""

        def setblocking(self, flag: bool) -> None:
            raise PermissionError(errno.EPERM, "not allowed")

        def close(self) -> None:
            closed.append(True)

    def missing(*_: object) -> socket.socket:
        raise OSError(errno.EAFNOSUPPORT, "no such family")

    monkeypatch.setattr("atmosphere.udp.netlink_socket.socket.socket", missing)
    assert NetlinkSocket.open(lambda changes: None) is None
    monkeypatch.setattr("atmosphere.udp.netlink_socket.socket.socket", lambda *_: Refused())
    assert NetlinkSocket.open(lambda changes: None) is None
    assert closed == [True]
    monkeypatch.setattr("sys.platform", "darwin")
    assert NetlinkSocket.open(lambda changes: None) is None
