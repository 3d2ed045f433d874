"""Does the router open ports on request? PCP, NAT-PMP and UPnP are asked at once, for at most a second.

True: it answered and would. False: it was asked and did not answer, or refuses. None: there was nobody to ask.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from atmosphere.errors import DecodeError
from atmosphere.ice.portmapping import natpmp, pcp
from atmosphere.ice.portmapping.ssdp import GROUP, TARGETS, m_search
from atmosphere.ice.portmapping.ssdp import decode as decode_ssdp
from atmosphere.udp.address_class import address_class
from atmosphere.udp.route import default_gateway, source_for
from atmosphere.udp.socket import UdpSocket

__all__ = ["PortMapping", "probe_port_mapping"]

TIMEOUT = 1.0
SSDP = GROUP[4]
SENDS = 3
INTERVAL = 0.25

Address = tuple[str, int]


@dataclass(frozen=True)
class PortMapping:
    """Which ways of opening a port the router offers; `public` is its own word about its outer address (NAT-PMP)."""

    upnp: bool | None = None
    nat_pmp: bool | None = None
    pcp: bool | None = None
    public: str | None = None


async def probe_port_mapping(
    gateway: str | None = None,
    *,
    timeout: float = TIMEOUT,
    port: int = pcp.PORT,
    ssdp: Address = SSDP,
) -> PortMapping:
    """Ask the default gateway (or `gateway`); ends within `timeout` seconds, never raises."""
    gateway = gateway or default_gateway()
    source = source_for((gateway, port)) if gateway else source_for(ssdp)
    if source is None:
        return PortMapping()
    found = _Found()
    places = dict.fromkeys([ssdp, *([(gateway, ssdp[1])] if gateway else [])])  # some access points eat multicast
    upnp = [(m_search(target), place) for target in TARGETS for place in places]
    asking = [_ask(source, upnp, found.ssdp, timeout)]
    if gateway:
        router = (gateway, port)
        asking.append(
            _ask(source, [(natpmp.ADDRESS_REQUEST, router)], found.answers_of(router, found.nat_pmp), timeout)
        )
        asking.append(
            _ask(source, [(pcp.announce_request(source), router)], found.answers_of(router, found.pcp), timeout)
        )
    upnp_sent, *sent = await asyncio.gather(*asking)
    nat_pmp_sent, pcp_sent = sent or (False, False)
    return PortMapping(
        found.upnp_answer if upnp_sent else None,
        found.nat_pmp_answer if nat_pmp_sent else None,
        found.pcp_answer if pcp_sent else None,
        found.public,
    )


class _Found:
    """Takes the answers in; each method says whether the question is settled."""

    def __init__(self) -> None:
        self.upnp_answer = self.nat_pmp_answer = self.pcp_answer = False
        self.public: str | None = None

    def ssdp(self, data: bytes, source: Address) -> bool:
        """A gateway is on our own network: a public host that answers is somebody else's joke."""
        if address_class(source[0]) == "public":
            return False
        self.upnp_answer = decode_ssdp(data).is_gateway
        return self.upnp_answer

    def nat_pmp(self, data: bytes) -> bool:
        answer = natpmp.decode(data)
        if not isinstance(answer, natpmp.AddressAnswer):
            return False
        self.nat_pmp_answer, self.public = answer.result == 0, answer.public
        return True

    def pcp(self, data: bytes) -> bool:
        answer = pcp.decode(data)
        self.pcp_answer = answer.version == 2 and answer.result == 0
        return True

    @staticmethod
    def answers_of(router: Address, take: Callable[[bytes], bool]) -> Callable[[bytes, Address], bool]:
        """`take` for datagrams from the router only (RFC 6886 §3.3: others must be ignored)."""
        return lambda data, source: source == router and take(data)


async def _ask(
    source: str,
    questions: list[tuple[bytes, Address]],
    take: Callable[[bytes, Address], bool],
    timeout: float,
) -> bool:
    """Send the questions a few times until `take` has its answer; whether they could be sent at all."""
    answered = asyncio.Event()

    def received(data: bytes, sender: Address) -> None:
        try:
            if take(data, sender):
                answered.set()
        except DecodeError:
            return

    try:
        socket = UdpSocket.bind(source)
    except OSError:
        return False
    socket.on_datagram = received
    try:
        async with asyncio.timeout(timeout):
            for _ in range(SENDS):
                for question, destination in questions:
                    socket.send(question, destination)
                if not socket.sent:
                    return False
                try:
                    async with asyncio.timeout(INTERVAL):
                        await answered.wait()
                except TimeoutError:
                    continue
                return True
            await answered.wait()
    except TimeoutError:
        pass
    finally:
        socket.close()
    return True
