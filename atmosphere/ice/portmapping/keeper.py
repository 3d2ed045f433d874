"""One link's router: found, asked for our ports, asked again before they expire, and told when we leave. I/O.

PCP, NAT-PMP and UPnP are tried side by side, and the best that works is kept; a router that offers none is asked again
ever more rarely. What stands is asked for again when its time is half over, and at once when the router lost its state:
its own clock tells so, as does a restart that it announces.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from atmosphere.errors import DecodeError
from atmosphere.ice.portmapping import pcp, ssdp
from atmosphere.ice.portmapping.ask import Asker
from atmosphere.ice.portmapping.ears import Ears
from atmosphere.ice.portmapping.lease import Lease
from atmosphere.ice.portmapping.methods import Method, NatPmp, Pcp
from atmosphere.ice.portmapping.model import Address, Grant, NoMapping, Transport, Wish
from atmosphere.ice.portmapping.upnp import Pinholes, Upnp
from atmosphere.tasks import Tasks
from atmosphere.udp.gateway import Link

__all__ = ["Keeper", "Places"]

logger = logging.getLogger(__name__)

FIRST_RETRY, LAST_RETRY = 5.0, 1800.0
"""Seconds until a router that opened nothing is asked again, at first and at last."""
BEFORE = 0.1
"""Seconds before the first request: a node that cannot start, or an address that comes and goes, leaves no trace."""
PATIENCE = 3
"""Searches in vain until what stood is taken for lost: a busy network loses a few datagrams, a router starts anew."""
CLOSE_TIMEOUT = 1.0
NAMES = {"pcp": "PCP", "nat-pmp": "NAT-PMP", "upnp": "UPnP"}


@dataclass(frozen=True)
class Places:
    """Where routers listen, and where they speak to everybody; tests have their own."""

    port: int = pcp.PORT
    ssdp: Address | None = None
    announcements: Address | None = None

    def of_family(self, family: int) -> tuple[Address, Address]:
        """The SSDP group, and the group of announcements."""
        everybody = ("224.0.0.1" if family == 4 else "ff02::1", 5350)
        return self.ssdp or ssdp.GROUP[family], self.announcements or everybody


class Keeper:
    """Keeps the node's `port` mapped, UDP and TCP, at the router of `link`; `on_change()` hears of each change.

    `settled` is set once the router has opened the port, or has not.
    """

    def __init__(self, link: Link, port: int, seed: bytes, on_change: Callable[[], None], places: Places) -> None:
        self.link = link
        self.method: Method | None = None
        self.error: str | None = None
        self.wishes: dict[Transport, Wish] = {
            "udp": Wish("udp", link.address, port),
            "tcp": Wish("tcp", link.address, port),
        }
        self.leases: dict[Transport, Lease] = {}
        self.settled = asyncio.Event()
        self._seed = seed
        self._on_change = on_change
        self._places = places
        self._group, announcements = places.of_family(link.family)
        self._loop = asyncio.get_running_loop()
        self._hint = asyncio.Event()
        self._ears = Ears(link, announcements, self._group, self._hint.set)
        self._asker: Asker | None = None
        self._asking: tuple[Method, Transport] | None = None
        self._tasks = Tasks(f"port mapping of {link.address}")
        self._tasks.spawn(self._run(), "keep")

    def look(self) -> None:
        """Something changed in the network: ask the router now."""
        self._hint.set()

    async def close(self) -> None:
        """Take back what stands, within a second. Twice is fine."""
        self.settled.set()
        self._ears.close()
        await self._tasks.close()
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await asyncio.gather(*(self._take_back(*standing) for standing in self._standing()))
        except TimeoutError:
            logger.info("%s did not confirm that our ports are closed", self.link.gateway)
        self.leases.clear()
        if self._asker is not None:
            self._asker.close()

    def _standing(self) -> list[tuple[Method, Transport, Grant]]:
        """What the router holds open for us, and what it may since it was asked just now."""
        found = [
            (self.method, transport, lease.grant)
            for transport, lease in self.leases.items()
            if self.method is not None and lease.grant is not None
        ]
        if self._asking is not None and self._asking not in [entry[:2] for entry in found]:
            found.append((*self._asking, Grant(None, self.port, None)))
        return found

    async def _take_back(self, method: Method, transport: Transport, grant: Grant) -> None:
        try:
            await method.unmap(self.wishes[transport], grant)
        except (NoMapping, DecodeError) as error:
            logger.info("%s port %d at %s: %s", transport, grant.port, self.link.gateway, error)

    # its life

    async def _run(self) -> None:
        failures = 0
        await asyncio.sleep(BEFORE)
        while True:
            self._hint.clear()
            try:
                await self._find()
            except NoMapping as error:
                failures += 1
                self._failed(str(error), lost=failures >= PATIENCE)
                await self._pause(min(FIRST_RETRY * 2 ** min(failures - 1, 16), LAST_RETRY))
            else:
                failures = 0
                await self._keep()

    async def _find(self) -> None:
        """Get the UDP port mapped by the best method that works; raises NoMapping with everybody's reason."""
        if self._asker is None:
            self._asker = Asker(self.link.address, (self.link.scoped(self.link.gateway), self._places.port))
        reasons: list[str] = []
        async with asyncio.TaskGroup() as group:
            offers = [(method, group.create_task(_offers(method))) for method in self._methods(self._asker)]
            for method, offer in offers:
                error = await offer or await self._map(method, "udp")
                if error is None:
                    self._chose(method)
                    break
                reasons.append(f"{NAMES[method.protocol]}: {error}")
            for _, offer in offers:
                offer.cancel()
        if len(reasons) == len(offers):
            raise NoMapping("; ".join(reasons))

    def _methods(self, asker: Asker) -> list[Method]:
        if self.link.family == 6:
            return [Pcp(asker, self._seed), Pinholes(self.link, self._group)]
        return [Pcp(asker, self._seed), NatPmp(asker), Upnp(self.link, self._group)]

    def _chose(self, method: Method) -> None:
        if self.method is None or self.method.protocol != method.protocol:
            logger.info("ports are mapped by %s at %s", NAMES[method.protocol], self.link.gateway)
        self.method, self.error = method, None
        self.settled.set()
        self._ears.boot = method.boot or self._ears.boot
        tcp = self.leases.get("tcp")
        if tcp is not None:
            tcp.forgotten(self._loop.time())

    async def _keep(self) -> None:
        """Renew and look, until the router does not open our UDP port any more or does not answer."""
        method = self.method
        if method is None:
            return
        look_at = self._loop.time() + method.look_every
        while True:
            await self._renew(method)
            if self.leases["udp"].grant is None:
                return
            due = min(lease.due for lease in self.leases.values())
            hinted = await self._pause(min(look_at, due) - self._loop.time())
            if hinted or self._loop.time() >= look_at:
                self._hint.clear()
                if not await self._look(method):
                    return
                if hinted:  # a clock that was young before says little: what stands is asked for again in any case
                    self._forget()
                look_at = self._loop.time() + method.look_every

    async def _renew(self, method: Method) -> None:
        """Ask for what is due: UDP first, for TCP shall have the same number outside."""
        for transport in self.wishes:
            lease = self.leases.setdefault(transport, Lease(self._loop.time()))
            if lease.due <= self._loop.time():
                await self._map(method, transport)
            elif lease.expire(self._loop.time()):
                self._changed()

    async def _map(self, method: Method, transport: Transport) -> str | None:
        """Ask for one port; what went wrong."""
        lease = self.leases.setdefault(transport, Lease(self._loop.time()))
        udp = self.leases["udp"].grant
        before = lease.grant or (udp if transport == "tcp" else None)
        self._asking = method, transport
        suggested = (before.external, before.port) if before is not None and before.external is not None else None
        try:
            grant = await method.map(self.wishes[transport], suggested)
        except (NoMapping, DecodeError) as error:
            self._asking = None
            lease.failed(error if isinstance(error, NoMapping) else NoMapping(str(error)), self._loop.time())
            self._changed()
            return str(error)
        if lease.grant is None or (lease.grant.external, lease.grant.port) != (grant.external, grant.port):
            logger.info("%s port %d is open as %s port %d", transport, self.port, grant.external, grant.port)
        self._asking = None
        lease.granted(grant, self._loop.time())
        self._changed()
        return None

    @property
    def port(self) -> int:
        """The node's own port."""
        return self.wishes["udp"].port

    async def _look(self, method: Method) -> bool:
        """Ask whether the router remembers our ports; False when everything has to be found anew."""
        for transport, lease in self.leases.items():
            if lease.grant is None:
                continue
            try:
                remembers = await method.remembers(self.wishes[transport], lease.grant)
            except (NoMapping, DecodeError) as error:
                logger.info("%s: %s", self.link.gateway, error)
                return False
            if not remembers:
                logger.info("%s lost our ports", self.link.gateway)
                self._forget()
                return True
            if method.protocol != "upnp":
                break  # one clock for all
        return True

    def _forget(self) -> None:
        for lease in self.leases.values():
            lease.forgotten(self._loop.time())

    def _failed(self, error: str, *, lost: bool) -> None:
        """The router opens nothing now; what it opened before stands for a while, unless that is `lost`."""
        if self.error != error:
            logger.info("no port is mapped at %s: %s", self.link.gateway, error)
        self.error = error
        self.settled.set()
        for lease in self.leases.values():
            lease.expire(self._loop.time())
        udp = self.leases.get("udp")
        if lost or udp is None or udp.grant is None:
            self.method = None
            self.leases.clear()
        self._changed()

    def _changed(self) -> None:
        try:
            self._on_change()
        except Exception:
            # The listener's fault is the listener's; the ports stay open.
            logger.exception("a port mapping's receiver failed")

    async def _pause(self, seconds: float) -> bool:
        """Wait; whether a hint ended it."""
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await self._hint.wait()
        except TimeoutError:
            return False
        return True


async def _offers(method: Method) -> str | None:
    """Why the router does not speak it, or None."""
    try:
        await method.offers()
    except (NoMapping, DecodeError) as error:
        return str(error)
    return None
