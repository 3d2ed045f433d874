"""Everything about this machine's network in one go: what `atmosphere network` prints."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence, Set
from functools import partial

from atmosphere.errors import AtmosphereError, DecodeError
from atmosphere.ice.nat import NatBehaviour, expectation
from atmosphere.ice.nat_lifetime import probe_lifetime
from atmosphere.ice.nat_probe import NatReport, probe_nat
from atmosphere.ice.portmap_probe import PortMapping, probe_port_mapping
from atmosphere.ice.race import race
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
from atmosphere.network.portal import HealthAnswer, ask_health
from atmosphere.network.servers import Address, Resolved, parse_servers, resolve_all
from atmosphere.stun.client import BindingTransaction
from atmosphere.stun.defaults import DEFAULT_STUN_SERVERS
from atmosphere.turn.client import Allocation
from atmosphere.turn.endpoint import TurnEndpoint
from atmosphere.turn.uri import ServerUri, TurnServer, parse_turn
from atmosphere.udp.address_class import address_class
from atmosphere.udp.addresses import LocalAddress, local_addresses
from signaling.errors import InvalidURL
from signaling.mqtt.url import is_mqtt
from signaling.url import normalize

logger = logging.getLogger(__name__)

TIMEOUT = 3.0
LOOKUP, CONNECT = 2.0, 1.5
"""Seconds for names, and for TCP where no UDP came through: so that all of it ends within eight when nobody answers."""
STAGGER = 0.2
_LOCAL = frozenset({"loopback", "link-local", "private", "shared", "unspecified"})


async def gather_network_info(
    stun: Iterable[str | ServerUri] = DEFAULT_STUN_SERVERS,
    turn: Iterable[str | TurnServer] = (),
    signaling: Iterable[str] = (),
    *,
    timeout: float = TIMEOUT,
    port_mapping: bool = True,
    lifetime: float = 0.0,
) -> NetworkInfo:
    """What this machine's network is like; takes about `timeout` seconds, twice that where nothing answers.

    Every STUN server is asked from IPv4 and IPv6, each TURN server is asked for a relayed address (which is given back
    at once), each signaling server whether it is one, the router whether it opens ports. With `lifetime` it is tried
    how long the NAT remembers a silent mapping, which takes up to so many seconds more (see `ice.nat_lifetime`). Needs
    no internet: what cannot be found is None or "unknown". Raises DecodeError for a server that is written wrong.
    """
    turn_servers = [item if isinstance(item, TurnServer) else parse_turn(item) for item in turn]
    uris, urls = parse_servers(stun), parse_signaling(signaling)
    lookup = min(timeout, LOOKUP)
    servers, relays = await asyncio.gather(
        resolve_all(uris, timeout=lookup), resolve_all((item.uri for item in turn_servers), timeout=lookup)
    )
    ipv4, ipv6, mapping, turned, healths = await asyncio.gather(
        _probe(servers, 4, timeout),
        _probe(servers, 6, timeout),
        probe_port_mapping() if port_mapping else _nothing(),
        asyncio.gather(*(_try_turn(server, timeout) for server in turn_servers)),
        asyncio.gather(*(ask_health(url, timeout=timeout) for url in urls)),
    )
    answers = ipv4.answers | ipv6.answers
    asked = [*(_stun_info(server, answers) for server in servers), *turned]
    reached = await _reached([*servers, *relays], asked, healths, min(timeout, CONNECT))
    interfaces, behaviour = local_addresses(), _behaviour(ipv4, ipv6)
    portal = _portal(healths)
    return NetworkInfo(
        interfaces=[InterfaceInfo(item.name, item.address, item.family) for item in interfaces],
        public=PublicInfo(_public(ipv4), _public(ipv6)),
        nat=NatInfo(
            behaviour.mapping,
            behaviour.filtering,
            behaviour.hairpinning,
            behaviour.type,
            await _lifetime(ipv4, lifetime),
        ),
        port_mapping=PortMappingInfo(mapping.upnp, mapping.nat_pmp, mapping.pcp),
        servers=[*asked, *(_signaling_info(url, health) for url, health in zip(urls, healths, strict=True))],
        internet="internet" in reached,
        summary=summary_of(
            behaviour,
            interfaces,
            reached=reached,
            relayed=any(item.ok for item in turned),
            asked=bool(servers or turn_servers or urls),
            portal=bool(portal),
            ipv6=ipv6.public is not None,
        ),
        captive_portal=portal,
    )


def summary_of(
    behaviour: NatBehaviour,
    interfaces: Sequence[LocalAddress],
    *,
    reached: Set[str],
    relayed: bool = False,
    asked: bool = True,
    portal: bool = False,
    ipv6: bool = False,
) -> str:
    """One plain sentence on what to expect. `reached` says where servers answered: "internet", "local", or nowhere."""
    if all(address_class(item.address) == "loopback" for item in interfaces):
        return "This machine has no network: only programs on it can be reached."
    if not asked:
        return "No server was asked: machines on the same network can be reached, nothing is known of the internet."
    if portal and "internet" not in reached:
        return "Something on the way answers in the servers' place: log in to this network with a browser first."
    if not reached:
        return "No server answers: there is no internet, but machines on the same network can be reached."
    if "internet" not in reached:
        return "Only servers on this network answer: its machines can be reached, nothing is known of the internet."
    if behaviour.type == "udp-blocked" and relayed:
        return "No UDP comes through: connections go over the TURN server."
    if behaviour.type == "symmetric" and ipv6:
        return (
            "Direct to peers that have IPv6 too; over IPv4, where the router is symmetric, by port guessing or a relay."
        )
    return expectation(behaviour)


def parse_signaling(urls: Iterable[str]) -> list[str]:
    """The signaling servers, each once, in one form; brokers are left out: they have no page to ask for.

    Raises DecodeError for what is no URL.
    """
    try:
        return list(dict.fromkeys(normalize(url) for url in urls if not is_mqtt(url)))
    except InvalidURL as error:
        raise DecodeError(str(error)) from error


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


def _signaling_info(url: str, health: HealthAnswer) -> ServerInfo:
    return ServerInfo(url, health.ok, None if health.rtt is None else round(health.rtt * 1000, 1), health.error)


def _portal(healths: Sequence[HealthAnswer]) -> bool | None:
    """True as soon as one was answered for by somebody else; None where nothing tells."""
    words = {health.portal for health in healths}
    return True if True in words else False if False in words else None


def _place(host: str) -> str:
    """Where a server is; "" is one behind a proxy, which people have to get out."""
    return "local" if host and address_class(host) in _LOCAL else "internet"


async def _lifetime(report: NatReport, limit: float) -> float | None:
    """Asked of a server that has more than one address where there is one: only such know RESPONSE-PORT, mostly."""
    found = sorted((item for item in report.answers.values() if item.mapped), key=lambda item: item.other is None)
    return await probe_lifetime(found[0].server, limit) if found and limit > 0 else None


async def _try_turn(server: TurnServer, timeout: float) -> ServerInfo:
    """Allocate and give back: the only answer that counts is a relayed address."""
    uri = str(server.uri)
    try:
        ends = await ways_to(server, timeout=min(timeout, LOOKUP))
        allocation = await race([partial(_open, end, timeout) for end in ends], STAGGER, _close)
    except AtmosphereError as failure:
        return ServerInfo(uri, False, error=str(failure))
    await allocation.close()
    return ServerInfo(uri, True, round((allocation.rtt or 0.0) * 1000, 1))


async def _open(end: TurnEndpoint, timeout: float) -> Allocation:
    allocation = Allocation(end)
    await allocation.open(timeout)
    return allocation


async def _close(allocation: Allocation) -> None:
    await allocation.close()


async def _reached(
    resolved: Sequence[Resolved], found: Sequence[ServerInfo], healths: Sequence[HealthAnswer], timeout: float
) -> set[str]:
    """Where servers answer: on the "internet", in "local" networks. Where none does, TCP is tried.

    Not behind a captive portal, which takes every connection.
    """
    answered = {
        address for server, info in zip(resolved, found, strict=True) if info.ok for address in server.addresses
    }
    heard = {_place(health.host) for health in healths if health.ok}
    if not answered and "internet" not in heard and not _portal(healths):
        places = list(dict.fromkeys(address for server in resolved for address in server.addresses))
        connected = await asyncio.gather(*(_connects(place, timeout) for place in places))
        answered = {place for place, ok in zip(places, connected, strict=True) if ok}
    return heard | {_place(host) for host, _ in answered}


async def _connects(place: Address, timeout: float) -> bool:
    try:
        async with asyncio.timeout(timeout):
            _, writer = await asyncio.open_connection(*place)
    except (OSError, TimeoutError):
        return False
    writer.transport.abort()
    logger.debug("no UDP, but TCP to %s", place)
    return True
