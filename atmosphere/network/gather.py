"""Everything about this machine's network in one go: what `atmosphere network` prints."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence, Set

from atmosphere.errors import AtmosphereError, Unreachable
from atmosphere.ice.nat import NatBehaviour, expectation
from atmosphere.ice.nat_probe import NatReport, probe_nat
from atmosphere.ice.portmap_probe import PortMapping, probe_port_mapping
from atmosphere.ice.turn_ways import ways_to
from atmosphere.network.info import (
    InterfaceInfo,
    NatInfo,
    NetworkInfo,
    PortMappingInfo,
    PublicAddress,
    PublicInfo,
    ServerInfo,
)
from atmosphere.network.servers import Address, Resolved, parse_servers, resolve_all
from atmosphere.stun.client import BindingTransaction
from atmosphere.stun.defaults import DEFAULT_STUN_SERVERS
from atmosphere.turn.client import Allocation
from atmosphere.turn.uri import ServerUri, TurnServer, parse_turn
from atmosphere.udp.address_class import address_class
from atmosphere.udp.addresses import LocalAddress, local_addresses

logger = logging.getLogger(__name__)

TIMEOUT = 3.0
_LOCAL = frozenset({"loopback", "link-local", "private", "shared", "unspecified"})


async def gather_network_info(
    stun: Iterable[str | ServerUri] = DEFAULT_STUN_SERVERS,
    turn: Iterable[str | TurnServer] = (),
    *,
    timeout: float = TIMEOUT,
    port_mapping: bool = True,
) -> NetworkInfo:
    """What this machine's network is like; takes about `timeout` seconds, twice that where nothing answers.

    Every STUN server is asked from IPv4 and IPv6, each TURN server is asked for a relayed address (which is given back
    at once), the router whether it opens ports. Needs no internet: what cannot be found is None or "unknown". Raises
    DecodeError for a server that is written wrong.
    """
    turn_servers = [item if isinstance(item, TurnServer) else parse_turn(item) for item in turn]
    servers = await resolve_all(parse_servers(stun), timeout=timeout)
    ipv4, ipv6, mapping, relays = await asyncio.gather(
        _probe(servers, 4, timeout),
        _probe(servers, 6, timeout),
        probe_port_mapping() if port_mapping else _nothing(),
        asyncio.gather(*(_try_turn(server, timeout) for server in turn_servers)),
    )
    answers = ipv4.answers | ipv6.answers
    stun_info = [_stun_info(server, answers) for server in servers]
    reached = await _reached(servers, turn_servers, [*stun_info, *relays], timeout)
    interfaces = local_addresses()
    behaviour = _behaviour(ipv4, ipv6)
    return NetworkInfo(
        interfaces=[InterfaceInfo(item.name, item.address, item.family) for item in interfaces],
        public=PublicInfo(_public(ipv4), _public(ipv6)),
        nat=NatInfo(behaviour.mapping, behaviour.filtering, behaviour.hairpinning, behaviour.type),
        port_mapping=PortMappingInfo(mapping.upnp, mapping.nat_pmp, mapping.pcp),
        servers=[*stun_info, *relays],
        internet="internet" in reached,
        summary=summary_of(
            behaviour,
            interfaces,
            reached=reached,
            relayed=any(item.ok for item in relays),
            asked=bool(servers or turn_servers),
        ),
    )


def summary_of(
    behaviour: NatBehaviour,
    interfaces: Sequence[LocalAddress],
    *,
    reached: Set[str],
    relayed: bool = False,
    asked: bool = True,
) -> str:
    """One plain sentence on what to expect. `reached` says where servers answered: "internet", "local", or nowhere."""
    if all(address_class(item.address) == "loopback" for item in interfaces):
        return "This machine has no network: only programs on it can be reached."
    if not asked:
        return "No server was asked: machines on the same network can be reached, nothing is known of the internet."
    if not reached:
        return "No server answers: there is no internet, but machines on the same network can be reached."
    if "internet" not in reached:
        return "Only servers on this network answer: its machines can be reached, nothing is known of the internet."
    if behaviour.type == "udp-blocked" and relayed:
        return "No UDP comes through: connections go over the TURN server."
    return expectation(behaviour)


async def _nothing() -> PortMapping:
    return PortMapping()


async def _probe(servers: list[Resolved], family: int, timeout: float) -> NatReport:
    """The NAT as IPv4 or IPv6 sees it. Hairpinning is a question of IPv4 only."""
    addresses = [address for server in servers if (address := server.address(family))]
    return await probe_nat(addresses, timeout=timeout, hairpin=family == 4)


def _behaviour(ipv4: NatReport, ipv6: NatReport) -> NatBehaviour:
    """IPv4's NAT is the one that matters; a machine without IPv4 has IPv6's."""
    return ipv4.behaviour if ipv4.public or not ipv6.public else ipv6.behaviour


def _public(report: NatReport) -> PublicAddress | None:
    return PublicAddress(*report.public) if report.public else None


def _stun_info(server: Resolved, answers: dict[Address, BindingTransaction]) -> ServerInfo:
    """The better of the server's two families; an error only where neither answered."""
    uri, found = str(server.uri), [answers[item] for item in server.addresses if item in answers]
    rtts = [answer.rtt for answer in found if answer.mapped and answer.rtt is not None]
    if rtts:
        return ServerInfo(uri, True, round(min(rtts) * 1000, 1))
    error = server.error or next((answer.error for answer in found if answer.error), "no route to it")
    return ServerInfo(uri, False, error=error)


async def _try_turn(server: TurnServer, timeout: float) -> ServerInfo:
    """Allocate and give back: the only answer that counts is a relayed address."""
    uri, error = str(server.uri), "no address"
    try:
        for end in await ways_to(server, timeout=timeout):
            allocation = Allocation(end)
            try:
                await allocation.open(timeout)
            except Unreachable as failure:
                error = str(failure)
                continue
            await allocation.close()
            return ServerInfo(uri, True, round((allocation.rtt or 0.0) * 1000, 1))
    except AtmosphereError as failure:
        error = str(failure)
    return ServerInfo(uri, False, error=error)


async def _reached(
    servers: list[Resolved], turn: list[TurnServer], found: list[ServerInfo], timeout: float
) -> set[str]:
    """Where servers answer: on the "internet", in "local" networks. Where none does over UDP, TCP is tried."""
    resolved = [*servers, *await resolve_all((item.uri for item in turn), timeout=timeout)]
    answered = {
        address for server, info in zip(resolved, found, strict=True) if info.ok for address in server.addresses
    }
    if not answered:
        places = list(dict.fromkeys(address for server in resolved for address in server.addresses))
        connected = await asyncio.gather(*(_connects(place, timeout) for place in places))
        answered = {place for place, ok in zip(places, connected, strict=True) if ok}
    return {"local" if address_class(host) in _LOCAL else "internet" for host, _ in answered}


async def _connects(place: Address, timeout: float) -> bool:
    try:
        async with asyncio.timeout(timeout):
            _, writer = await asyncio.open_connection(*place)
    except (OSError, TimeoutError):
        return False
    writer.transport.abort()
    logger.debug("no UDP, but TCP to %s", place)
    return True
