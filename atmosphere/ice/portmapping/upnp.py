"""UPnP as the keeper drives it: ports of IPv4, and pinholes of IPv6. I/O."""

from __future__ import annotations

from atmosphere.errors import DecodeError
from atmosphere.ice.portmapping import igd
from atmosphere.ice.portmapping.discover import Description, search
from atmosphere.ice.portmapping.fetch import run
from atmosphere.ice.portmapping.igd import FIREWALL, Service
from atmosphere.ice.portmapping.model import LIFETIME, Address, Grant, NoMapping, Protocol, Wish
from atmosphere.ice.portmapping.outside import is_public
from atmosphere.ice.portmapping.soap import SoapFault
from atmosphere.udp.gateway import Link

__all__ = ["Pinholes", "Upnp"]

LOOK_EVERY = 300.0
CLOSE_TIMEOUT = 0.9
FIREWALL_DISABLED, NO_SUCH_ENTRY = 702, 704


class _Gateway:
    """The search for a router's services."""

    protocol: Protocol = "upnp"
    look_every = LOOK_EVERY

    def __init__(self, link: Link, group: Address) -> None:
        self._link = link
        self._group = group
        self.boot = ""

    async def _services(self) -> list[Service]:
        """Those of the first gateway that has any; raises NoMapping."""
        reason: Exception = NoMapping("no answer", spoke=False)
        for description in await search(self._link, self._group):
            try:
                services = [one for one in await self._described(description) if self._is_of_use(one)]
            except (NoMapping, DecodeError) as error:
                reason = error
                continue
            if services:
                self.boot = description.boot
                return services
            reason = NoMapping(f"the router does not open ports of IPv{self._link.family}")
        raise NoMapping(str(reason))

    async def _described(self, description: Description) -> list[Service]:
        return await run(igd.describe(description.url), self._link)

    def _is_of_use(self, service: Service) -> bool:
        return (service.type == FIREWALL) == (self._link.family == 6)


class Upnp(_Gateway):
    """WANIPConnection (or WANPPPConnection), version 1 or 2."""

    def __init__(self, link: Link, group: Address) -> None:
        super().__init__(link, group)
        self._service: Service | None = None
        self._external: str | None = None

    async def offers(self) -> None:
        """Find the router and the connection to the internet, of those it has the one that is up."""
        for service in await self._services():
            external = await run(igd.external_address(service), self._link)
            better = external is not None and (
                self._external is None or is_public(external) > is_public(self._external)
            )
            if self._service is None or better:
                self._service, self._external = service, external

    async def map(self, wish: Wish, suggested: Address | None) -> Grant:
        """Open a port, or keep it open; another one where that is taken."""
        service = self._chosen()
        grant = await run(igd.add(service, wish, suggested[1] if suggested else wish.port, LIFETIME), self._link)
        self._external = await run(igd.external_address(service), self._link)
        return Grant(self._external, grant.port, grant.lifetime)

    async def unmap(self, wish: Wish, grant: Grant) -> None:
        """Close it."""
        await run(igd.delete(self._chosen(), wish, grant), self._link, CLOSE_TIMEOUT)

    async def remembers(self, wish: Wish, grant: Grant) -> bool:
        """Whether the router has the mapping still, and the outer address is the same."""
        service = self._chosen()
        if not await run(igd.holds(service, wish, grant), self._link):
            return False
        return await run(igd.external_address(service), self._link) == grant.external

    def _chosen(self) -> Service:
        if self._service is None:
            raise NoMapping("no router was found")
        return self._service


class Pinholes(_Gateway):
    """WANIPv6FirewallControl: the address stays ours, the router lets others in to it."""

    def __init__(self, link: Link, group: Address) -> None:
        super().__init__(link, group)
        self._service: Service | None = None
        self._names: dict[Wish, str] = {}

    async def offers(self) -> None:
        """Find the router."""
        self._service = (await self._services())[0]

    async def map(self, wish: Wish, suggested: Address | None) -> Grant:
        """Open a pinhole, or keep it open."""
        grant = Grant(wish.address, wish.port, LIFETIME)
        if wish in self._names and await self._kept(wish):
            return grant
        try:
            self._names[wish] = await run(igd.add_pinhole(self._chosen(), wish, LIFETIME), self._link)
        except SoapFault as fault:
            if fault.code != FIREWALL_DISABLED:
                raise
            return Grant(wish.address, wish.port, None)
        return grant

    async def _kept(self, wish: Wish) -> bool:
        try:
            await run(igd.keep_pinhole(self._chosen(), self._names[wish], LIFETIME), self._link)
        except SoapFault as fault:
            if fault.code != NO_SUCH_ENTRY:
                raise
            del self._names[wish]
            return False
        return True

    async def unmap(self, wish: Wish, grant: Grant) -> None:
        """Close it."""
        name = self._names.pop(wish, None)
        if name is not None:
            await run(igd.delete_pinhole(self._chosen(), name), self._link, CLOSE_TIMEOUT)

    async def remembers(self, wish: Wish, grant: Grant) -> bool:
        """Keeping it open is how to ask."""
        return wish not in self._names or await self._kept(wish)

    def _chosen(self) -> Service:
        if self._service is None:
            raise NoMapping("no router was found")
        return self._service
