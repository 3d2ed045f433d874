"""A UPnP Internet gateway: what its description offers, and the calls that open a port. Pure.

WANIPConnection 1 and 2 (and WANPPPConnection) map ports of IPv4; WANIPv6FirewallControl opens pinholes of IPv6. Each
dealing with the router is a *script*: a generator that yields requests, is sent their answers, and returns its result
or raises NoMapping or DecodeError. Whoever has a connection runs it.

Every router has its own idea of the errors; what is tried again, and how, is a table (`_RETRIES`).
"""

from __future__ import annotations

import random
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Literal, TypeVar

from atmosphere.errors import DecodeError
from atmosphere.ice.portmapping import soap, xml
from atmosphere.ice.portmapping.http import HttpRequest, HttpResponse, Url, parse_url
from atmosphere.ice.portmapping.model import IP_PROTOCOL, Grant, NoMapping, Wish
from atmosphere.ice.portmapping.soap import SoapFault

__all__ = [
    "Script",
    "Service",
    "add",
    "add_pinhole",
    "delete",
    "delete_pinhole",
    "describe",
    "external_address",
    "holds",
    "keep_pinhole",
]

T = TypeVar("T")
Script = Generator[HttpRequest, HttpResponse, T]

DESCRIPTION = "Atmosphere"
MAX_SERVICES = 8
MAX_TRIES = 8
HIGH_PORTS = (20000, 60000)
MAX_PINHOLE_LIFETIME = 86400

MAPPERS = (
    "urn:schemas-upnp-org:service:WANIPConnection:2",
    "urn:schemas-upnp-org:service:WANIPConnection:1",
    "urn:schemas-upnp-org:service:WANPPPConnection:1",
)
"""Services that map ports of IPv4, best first."""
FIREWALL = "urn:schemas-upnp-org:service:WANIPv6FirewallControl:1"

_Retry = Literal["port", "for ever", "same port"]
_RETRIES: dict[int, _Retry] = {
    718: "port",  # ConflictInMappingEntry
    729: "port",  # ConflictWithOtherMechanisms
    727: "port",  # ExternalPortOnlySupportsWildcard: seen for single ports that are taken
    724: "same port",  # SamePortValuesRequired
    725: "for ever",  # OnlyPermanentLeasesSupported
    402: "for ever",  # Invalid Args: how older routers say 725
    501: "for ever",  # Action Failed: likewise
}
"""What else to try after an error."""


@dataclass(frozen=True)
class Service:
    """A service of a gateway: its type, and where it is called."""

    type: str
    control: Url


def describe(description: Url) -> Script[list[Service]]:
    """The services of the gateway that is described at `description`, best first; NoMapping where none is of use."""
    response = yield HttpRequest(description)
    if response.status != 200:
        raise NoMapping(f"the router's description: HTTP {response.status}")
    document = xml.parse(response.body)
    base = document.value("URLBase")
    found: dict[Service, None] = {}
    for element in document.every("service"):
        kind, control = element.value("serviceType"), element.value("controlURL")
        if kind in (*MAPPERS, FIREWALL) and control:
            found[Service(kind, _resolve(control, base, description))] = None
    if not found:
        raise NoMapping("the router's UPnP offers no port mapping")
    order = (*MAPPERS, FIREWALL)
    return sorted(found, key=lambda service: order.index(service.type))[:MAX_SERVICES]


def _resolve(control: str, base: str | None, description: Url) -> Url:
    """The URL of a control point: on the very host that the description came from, or DecodeError."""
    if "://" in control:
        url = parse_url(control)
    else:
        root = parse_url(base) if base else description
        folder = "/" if control.startswith("/") else root.path.rpartition("/")[0] + "/"
        url = Url(root.host, root.port, folder + control.lstrip("/"))
        parse_url(str(url))  # no spaces, no line breaks
    if url.host != description.host:
        raise DecodeError("a router's description that leads elsewhere")
    return url


def _call(service: Service, action: str, arguments: dict[str, str | int]) -> Script[dict[str, str]]:
    response = yield soap.call(service.control, service.type, action, arguments)
    return soap.answer(response, action, pinhole=service.type == FIREWALL)


def external_address(service: Service) -> Script[str | None]:
    """The router's outer address; None where it does not know, as one without a connection."""
    try:
        result = yield from _call(service, "GetExternalIPAddress", {})
        return parse_url(f"http://{result.get('NewExternalIPAddress', '')}").host
    except (SoapFault, DecodeError):
        return None


# IPv4


def add(service: Service, wish: Wish, port: int, lifetime: int) -> Script[Grant]:
    """Open `port` for `wish`, or another one where that is taken; without an outer address yet."""
    ports, own_freed, left = _other_ports(wish, port), False, MAX_TRIES
    while True:
        left -= 1
        try:
            yield from _call(service, "AddPortMapping", _mapping(wish, port, lifetime))
        except SoapFault as fault:
            retry = _RETRIES.get(fault.code) if left else None
            if retry == "port" and not own_freed and (yield from _is_ours(service, wish, port)):
                own_freed = True  # some routers call the renewal of a mapping a conflict with it
                yield from delete(service, wish, Grant(None, port, None))
            elif retry == "port" and service.type.endswith(":2"):
                return (yield from _add_any(service, wish, port, lifetime))
            else:
                port, lifetime = _otherwise(retry, fault, wish, port, lifetime, ports)
        else:
            return Grant(None, port, lifetime or None)


def _otherwise(
    retry: _Retry | None, fault: SoapFault, wish: Wish, port: int, lifetime: int, ports: Iterator[int]
) -> tuple[int, int]:
    """The port and lifetime to try next; raises the fault where there is nothing else to try."""
    if retry == "port":
        return next(ports), lifetime
    if retry == "for ever" and lifetime:
        return port, 0
    if retry == "same port" and port != wish.port:
        return wish.port, lifetime
    raise fault


def _is_ours(service: Service, wish: Wish, port: int) -> Script[bool]:
    """Whether the router has just this mapping, and for us."""
    try:
        result = yield from _call(service, "GetSpecificPortMappingEntry", _entry(wish, port))
    except SoapFault:
        return False
    return (result.get("NewInternalClient"), result.get("NewInternalPort")) == (wish.address, str(wish.port))


def _add_any(service: Service, wish: Wish, port: int, lifetime: int) -> Script[Grant]:
    """Let the router choose (version 2)."""
    result = yield from _call(service, "AddAnyPortMapping", _mapping(wish, port, lifetime))
    given = result.get("NewReservedPort", "")
    if not given.isascii() or not given.isdigit() or not 0 < int(given[:6]) < 65536:
        raise DecodeError("the router does not say which port it chose")
    return Grant(None, int(given), lifetime or None)


def _other_ports(wish: Wish, port: int) -> Iterator[int]:
    """First our own number, if it was not that, then any."""
    if port != wish.port:
        yield wish.port
    while True:
        yield random.randint(*HIGH_PORTS)  # noqa: S311 - only shall be free


def _mapping(wish: Wish, port: int, lifetime: int) -> dict[str, str | int]:
    return _entry(wish, port) | {
        "NewInternalPort": wish.port,
        "NewInternalClient": wish.address,
        "NewEnabled": 1,
        "NewPortMappingDescription": DESCRIPTION,
        "NewLeaseDuration": lifetime,
    }


def _entry(wish: Wish, port: int) -> dict[str, str | int]:
    return {"NewRemoteHost": "", "NewExternalPort": port, "NewProtocol": wish.transport.upper()}


def delete(service: Service, wish: Wish, grant: Grant) -> Script[None]:
    """Close the port again."""
    yield from _call(service, "DeletePortMapping", _entry(wish, grant.port))


def holds(service: Service, wish: Wish, grant: Grant) -> Script[bool]:
    """Whether the router still has the mapping, and for us; True where it does not tell."""
    try:
        result = yield from _call(service, "GetSpecificPortMappingEntry", _entry(wish, grant.port))
    except SoapFault as fault:
        return fault.code != 714
    return result.get("NewInternalClient", wish.address) == wish.address


# IPv6


def add_pinhole(service: Service, wish: Wish, lifetime: int) -> Script[str]:
    """Let everybody in to our port; the pinhole's name. An error 702 says that there is no firewall to open."""
    arguments: dict[str, str | int] = {
        "RemoteHost": "",
        "RemotePort": 0,
        "InternalClient": wish.address,
        "InternalPort": wish.port,
        "Protocol": IP_PROTOCOL[wish.transport],
        "LeaseTime": min(lifetime, MAX_PINHOLE_LIFETIME),
    }
    result = yield from _call(service, "AddPinhole", arguments)
    name = result.get("UniqueID", "")
    if not 0 < len(name) <= 16 or not name.isalnum():
        raise DecodeError("the router does not name its pinhole")
    return name


def keep_pinhole(service: Service, name: str, lifetime: int) -> Script[None]:
    """Keep it open for `lifetime` seconds from now."""
    yield from _call(service, "UpdatePinhole", {"UniqueID": name, "NewLeaseTime": min(lifetime, MAX_PINHOLE_LIFETIME)})


def delete_pinhole(service: Service, name: str) -> Script[None]:
    """Close it."""
    yield from _call(service, "DeletePinhole", {"UniqueID": name})
