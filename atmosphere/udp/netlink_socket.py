"""A socket that hears of every change of the network from Linux's kernel, as it happens."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import sys
from collections.abc import Callable

from atmosphere.errors import DecodeError
from atmosphere.udp.netlink import GROUPS, MAX_SIZE, NetworkChange, decode

__all__ = ["NetlinkSocket"]

logger = logging.getLogger(__name__)

DRAIN = 64
"""Datagrams read per wake: a router that learns its routes from elsewhere has thousands of changes."""

Heard = Callable[[list[NetworkChange] | None], None]


class NetlinkSocket:
    """Calls `heard(changes)`, or `heard(None)` where changes were lost because there were too many. See `open`."""

    def __init__(self, sock: socket.socket, heard: Heard) -> None:
        """Take over a non-blocking socket; needs a running loop."""
        self._sock = sock
        self._heard = heard
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock.fileno(), self._readable)

    @classmethod
    def open(cls, heard: Heard) -> NetlinkSocket | None:
        """One that listens to the kernel; None where the system has no such thing, or does not allow it."""
        if sys.platform != "linux":
            return None
        try:
            sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        except OSError as error:
            logger.debug("no netlink: %s", error)
            return None
        try:
            sock.setblocking(False)
            sock.bind((0, GROUPS))
        except OSError as error:
            logger.debug("no netlink: %s", error)
            sock.close()
            return None
        return cls(sock, heard)

    def close(self) -> None:
        """Listen no more. Twice is fine."""
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock.fileno())
            self._sock.close()

    def _readable(self) -> None:
        found: list[NetworkChange] = []
        for _ in range(DRAIN):
            try:
                data, source = self._sock.recvfrom(MAX_SIZE)
                if not source or source[0] == 0:  # nobody but the kernel has port 0
                    found += decode(data)
            except BlockingIOError:
                break
            except DecodeError as error:
                logger.debug("%s", error)
            except OSError as error:
                self._failed(error)
                return
        if found:
            self._heard(found)

    def _failed(self, error: OSError) -> None:
        if error.errno != errno.ENOBUFS:
            logger.info("no more news of the network from the kernel: %s", error)
            self.close()
        self._heard(None)
