"""The sockets a server listens on: every address of every host, IPv4 and IPv6, all on one port."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Sequence

BACKLOG = 1024
_PORT_TRIES = 16


async def listening_sockets(host: str | Sequence[str] | None, port: int) -> list[socket.socket]:
    """Bound sockets, not yet listening; `host` None means all addresses of both families.

    With port 0 one free port is chosen for all. Raises OSError.
    """
    addresses = await _addresses(host, port)
    for remaining in reversed(range(_PORT_TRIES)):
        try:
            return _bind_all(addresses, port, lenient=host is None)
        except OSError as error:
            # A port that is free in one family may be taken in the other.
            if port or error.errno != errno.EADDRINUSE or not remaining:
                raise
    raise AssertionError("the last try raises")


async def _addresses(host: str | Sequence[str] | None, port: int) -> list[tuple[socket.AddressFamily, tuple[str, int]]]:
    hosts: Sequence[str | None] = [host] if isinstance(host, str) or host is None else host
    loop = asyncio.get_running_loop()
    found: dict[tuple[socket.AddressFamily, str], None] = {}
    for name in hosts:
        for family, _, _, _, address in await loop.getaddrinfo(
            name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            if family in (socket.AF_INET, socket.AF_INET6):
                found[family, str(address[0])] = None
    return [(family, (address, port)) for family, address in found]


def _bind_all(
    addresses: list[tuple[socket.AddressFamily, tuple[str, int]]], port: int, *, lenient: bool
) -> list[socket.socket]:
    with contextlib.ExitStack() as opened:
        sockets: list[socket.socket] = []
        for family, (address, _) in addresses:
            try:
                bound = _bind(family, address, port)
            except OSError as error:
                # Without IPv6 (or IPv4) on the machine, "all addresses" are those of the other family.
                if lenient and error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                    continue
                raise
            opened.callback(bound.close)
            sockets.append(bound)
            port = bound.getsockname()[1]
        if not sockets:
            raise OSError(errno.EADDRNOTAVAIL, "there is no address to listen on")
        opened.pop_all()
        return sockets


def _bind(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setblocking(False)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind((address, port))
    except OSError:
        bound.close()
        raise
    return bound
