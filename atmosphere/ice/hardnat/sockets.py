"""Many sockets for a short while: raw, non-blocking, a callback each, and no more memory than that."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial

__all__ = ["FEWER", "RESERVE", "OpenSockets", "room_for"]

logger = logging.getLogger(__name__)

RESERVE = 128
"""File descriptors that are left to everybody else."""
FEWER = 64
"""Sockets where there is no room for as many as wanted; with less a search is not worth its while."""
DRAIN = 8
MAX_CHECK = 1500

Address = tuple[str, int]
Received = Callable[[int, bytes, Address], None]
"""Takes what came: the number of the socket, the datagram, its source."""


class OpenSockets:
    """Up to `count` sockets on a local address, as many as the system gives, the first of them on `ports`; they never
    raise once they are open."""

    def __init__(self, address: str, count: int, received: Received, ports: Sequence[int] = ()) -> None:
        self._loop = asyncio.get_running_loop()
        self._received = received
        self._open: dict[int, socket.socket] = {}
        for number in range(count):
            sock = (_bind(address, ports[number]) if number < len(ports) else None) or _bind(address)
            if sock is None:
                break
            self._open[number] = sock
            self._loop.add_reader(sock.fileno(), partial(self._readable, number, sock))
        self.ports = [sock.getsockname()[1] for sock in self._open.values()]

    def __len__(self) -> int:
        return len(self._open)

    def send(self, number: int, data: bytes, destination: Address, ttl: int | None = None) -> None:
        """Send from that socket, with that TTL where one is given; what cannot be sent is forgotten."""
        sock = self._open.get(number)
        if sock is None:
            return
        try:
            if ttl is None:
                sock.sendto(data, destination)
                return
            usual = sock.getsockopt(socket.IPPROTO_IP, socket.IP_TTL)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
            try:
                sock.sendto(data, destination)
            finally:
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, usual)
        except (OSError, OverflowError) as error:
            logger.debug("socket %d: %s", number, error)

    def take(self, number: int) -> socket.socket | None:
        """Give that socket away; it is the caller's to close."""
        sock = self._open.pop(number, None)
        if sock is not None:
            self._loop.remove_reader(sock.fileno())
        return sock

    def close(self) -> None:
        """Close those that are left. Twice is fine."""
        for number in list(self._open):
            sock = self.take(number)
            if sock is not None:
                sock.close()

    def _readable(self, number: int, sock: socket.socket) -> None:
        for _ in range(DRAIN):
            if self._open.get(number) is not sock:
                return  # a receiver closed or took it
            try:
                data, source = sock.recvfrom(MAX_CHECK)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                # A TTL that ended, or a port that nobody has: reading clears it.
                logger.debug("socket %d: %s", number, error)
                return
            self._received(number, data, (source[0], source[1]))


def room_for(wanted: int) -> int:
    """How many sockets may be opened: as many as wanted, fewer where descriptors are short, or none."""
    free = _free_descriptors() - RESERVE
    if free >= wanted:
        return wanted
    return FEWER if free >= FEWER else 0


def _free_descriptors() -> int:
    if sys.platform == "win32":
        return 1 << 16
    import resource  # Windows has none

    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return (1 << 16 if limit == resource.RLIM_INFINITY else limit) - _used_descriptors()


def _used_descriptors(folders: Iterable[str] = ("/proc/self/fd", "/dev/fd")) -> int:
    for folder in folders:
        try:
            return len(os.listdir(folder))
        except OSError:
            continue
    return RESERVE


def _bind(address: str, port: int = 0) -> socket.socket | None:
    sock = None
    try:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.bind((address, port))
    except OSError as error:
        logger.debug("no further socket on %s: %s", address, error)
        if sock is not None:
            sock.close()
        return None
    return sock
