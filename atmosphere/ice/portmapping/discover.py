"""Where the description of our router is: SSDP on one link. I/O."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from atmosphere.errors import DecodeError
from atmosphere.ice.portmapping import ssdp
from atmosphere.ice.portmapping.http import Url
from atmosphere.ice.portmapping.model import Address, NoMapping
from atmosphere.udp.gateway import Link
from atmosphere.udp.socket import UdpSocket

__all__ = ["Description", "search"]

SENDS, INTERVAL = 3, 0.5
"""Searches, and the seconds between them and after the last: routers may take one (MX) to answer."""
MAX_FOUND = 4
"""Devices that may call themselves a gateway; a hostile one cannot make us ask more."""


@dataclass(frozen=True)
class Description:
    """Where a gateway is described, and its `boot` by then."""

    url: Url
    boot: str


async def search(link: Link, group: Address) -> list[Description]:
    """The gateways that answered, the default gateway's first; it alone ends the search early. Raises NoMapping."""
    found = _Found(link)
    try:
        socket = UdpSocket.bind(link.address)
    except OSError as error:
        raise NoMapping(f"{link.address} cannot be used: {error.strerror or error}", spoke=False) from None
    socket.on_datagram = found.received
    multicast = f"{group[0]}%{link.interface}" if ":" in group[0] else group[0]
    try:
        for _ in range(SENDS):
            for target in ssdp.TARGETS:
                for host in (multicast, link.scoped(link.gateway)):
                    socket.send(ssdp.m_search(target, group), (host, group[1]))
            if await found.gateway_within(INTERVAL):
                break
    finally:
        socket.close()
    if not found.descriptions:
        raise NoMapping("no answer", spoke=False)
    return sorted(found.descriptions.values(), key=lambda description: description.url.host != link.gateway)


class _Found:
    """Takes the answers in."""

    def __init__(self, link: Link) -> None:
        self.descriptions: dict[Url, Description] = {}
        self._link = link
        self._gateway = asyncio.Event()

    def received(self, data: bytes, source: tuple[Any, ...]) -> None:
        """A datagram of somebody's."""
        sender = source[0].partition("%")[0]
        try:
            answer = ssdp.decode(data)
            url = ssdp.acceptable(answer, sender, self._link.gateway, self._link.networks)
        except DecodeError:
            return
        is_gateway = sender == self._link.gateway
        if len(self.descriptions) < (2 * MAX_FOUND if is_gateway else MAX_FOUND):
            self.descriptions.setdefault(url, Description(url, answer.boot))
        if is_gateway:
            self._gateway.set()

    async def gateway_within(self, seconds: float) -> bool:
        """Whether the default gateway itself has answered by then."""
        try:
            async with asyncio.timeout(seconds):
                await self._gateway.wait()
        except TimeoutError:
            return False
        return True
