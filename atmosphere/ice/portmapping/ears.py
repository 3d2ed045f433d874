"""Hearing a router that restarts: it says so to everybody on the link (RFC 6886 §3.2.1, RFC 6887 §14.1, SSDP). I/O.

What is heard is only a hint to ask the router itself, and only from the router's own address; who forges one has us ask
once, and once in `QUIET` seconds at most. Where the ports cannot be listened on, the regular looks have to do.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import struct
from collections.abc import Callable
from typing import Any

from atmosphere.errors import DecodeError
from atmosphere.ice.portmapping import ssdp
from atmosphere.ice.portmapping.model import Address
from atmosphere.udp.gateway import Link
from atmosphere.udp.socket import UdpSocket

__all__ = ["Ears"]

logger = logging.getLogger(__name__)

QUIET = 5.0


class Ears:
    """Listens on one link; `on_hint()` is called when the router may have restarted. `boot` is its last known one."""

    def __init__(self, link: Link, announcements: Address, ssdp_group: Address, on_hint: Callable[[], None]) -> None:
        self._gateway = link.gateway
        self._on_hint = on_hint
        self._quiet_until = 0.0
        self.boot = ""
        self._sockets: list[UdpSocket] = []
        for group, receiver in ((announcements, self._announced), (ssdp_group, self._notified)):
            try:
                heard = listen(link, group)
            except OSError as error:
                logger.debug("cannot hear %s port %d on %s: %s", *group, link.interface, error)
                continue
            heard.on_datagram = receiver
            self._sockets.append(heard)

    def _announced(self, data: bytes, source: tuple[Any, ...]) -> None:
        """A NAT-PMP or PCP announcement: what it says will be asked again anyway."""
        if source[0].partition("%")[0] == self._gateway and data[:1] in (b"\0", b"\2"):
            self._hint()

    def _notified(self, data: bytes, source: tuple[Any, ...]) -> None:
        try:
            boot = ssdp.decode_notify(data)
        except DecodeError:
            return
        if source[0].partition("%")[0] == self._gateway and boot != self.boot:
            self.boot = boot
            self._hint()

    def _hint(self) -> None:
        now = asyncio.get_running_loop().time()
        if now >= self._quiet_until:
            self._quiet_until = now + QUIET
            self._on_hint()

    def close(self) -> None:
        """Listen no more."""
        for heard in self._sockets:
            heard.close()
        self._sockets.clear()


def listen(link: Link, group: Address) -> UdpSocket:
    """A socket for what is sent to a multicast `group` on one link (or to an address of ours); raises OSError."""
    family = socket.AF_INET6 if link.family == 6 else socket.AF_INET
    is_group = ipaddress.ip_address(group[0]).is_multicast
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "SO_REUSEPORT"):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.bind((group[0], group[1], 0, link.index if is_group else 0))
        else:
            sock.bind(group)
        if is_group:
            _join(sock, link, group[0])
        return UdpSocket(sock)
    except BaseException:
        sock.close()
        raise


def _join(sock: socket.socket, link: Link, group: str) -> None:
    if link.family == 6:
        request = socket.inet_pton(socket.AF_INET6, group) + struct.pack("@I", link.index)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, request)
        return
    request = socket.inet_aton(group) + socket.inet_aton(link.address)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
