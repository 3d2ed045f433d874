"""Finding UPnP gateways (SSDP, UPnP Device Architecture 1.1 §1.3): text like HTTP, by UDP. Pure.

A search goes to 239.255.255.250:1900 (IPv6: ff02::c) and to the gateway itself, since some access points eat multicast.
Answers name the URL of a description. Anybody on the network can answer, so an answer counts only when it leads back to
its own sender, and that is the gateway or at least a neighbour: see `acceptable`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from atmosphere.errors import DecodeError
from atmosphere.ice.portmapping.http import Url, parse_url
from atmosphere.udp.address_class import address_class

GROUP: dict[int, tuple[str, int]] = {4: ("239.255.255.250", 1900), 6: ("ff02::c", 1900)}
MAX_SIZE = 4096
TARGETS = (
    "urn:schemas-upnp-org:device:InternetGatewayDevice:1",
    "urn:schemas-upnp-org:device:InternetGatewayDevice:2",
)


@dataclass(frozen=True)
class SsdpAnswer:
    """A UPnP device's answer: what it is, and where its description is; `boot` is another after each restart."""

    target: str
    location: str
    boot: str = ""

    @property
    def is_gateway(self) -> bool:
        """Whether it is an Internet gateway."""
        return any(name in self.target for name in ("InternetGatewayDevice:", "WANIPConnection:", "WANPPPConnection:"))


def m_search(target: str, group: tuple[str, int] = GROUP[4]) -> bytes:
    """The search for a device or service; answers may take a second (MX)."""
    host = f"[{group[0]}]" if ":" in group[0] else group[0]
    lines = (
        "M-SEARCH * HTTP/1.1",
        f"HOST: {host}:{group[1]}",
        'MAN: "ssdp:discover"',
        "MX: 1",
        f"ST: {target}",
        "",
        "",
    )
    return "\r\n".join(lines).encode()


def decode(data: bytes) -> SsdpAnswer:
    """The answer to a search in `data`, or DecodeError."""
    if len(data) > MAX_SIZE:
        raise DecodeError(f"SSDP answer of {len(data)} bytes")
    first, headers = _parse(data)
    if first.split()[:2] not in (["HTTP/1.1", "200"], ["HTTP/1.0", "200"]):
        raise DecodeError("not an SSDP answer")
    if not headers.get("st") or not headers.get("location", "").startswith(("http://", "https://")):
        raise DecodeError("an SSDP answer without what or where it is")
    return SsdpAnswer(headers["st"], headers["location"], _boot(headers))


def decode_notify(data: bytes) -> str:
    """The `boot` of a gateway that announces itself (§1.2.2), or DecodeError for what is no gateway's greeting."""
    if len(data) > MAX_SIZE:
        raise DecodeError(f"SSDP announcement of {len(data)} bytes")
    first, headers = _parse(data)
    if not first.startswith("NOTIFY * HTTP/1.") or headers.get("nts") != "ssdp:alive":
        raise DecodeError("not an SSDP announcement")
    if not SsdpAnswer(headers.get("nt", ""), "").is_gateway or not _boot(headers):
        raise DecodeError("an SSDP announcement of no gateway")
    return _boot(headers)


def _parse(data: bytes) -> tuple[str, dict[str, str]]:
    first, *lines = data.decode("latin-1").split("\n")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            headers.setdefault(name.strip().lower(), value.strip())
    return first.strip(), headers


def _boot(headers: dict[str, str]) -> str:
    return headers.get("bootid.upnp.org") or headers.get("01-nls") or headers.get("location", "")


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def acceptable(answer: SsdpAnswer, sender: str, gateway: str, networks: Sequence[Network]) -> Url:
    """Where to fetch the description of a gateway that answered; DecodeError for an answer that is not to be followed.

    The sender must be the gateway or a neighbour on `networks`, and the URL must lead to its sender: whoever sends
    answers can then have us ask nobody but itself. Only the gateway may name another address of our link, since an IPv6
    router answers from its link-local address and names a global one.
    """
    if not answer.is_gateway:
        raise DecodeError("not a gateway")
    sender = sender.partition("%")[0]
    url = parse_url(answer.location)
    if sender != gateway and not is_neighbour(sender, networks):
        raise DecodeError("an SSDP answer from another network")
    if url.host != sender and (sender != gateway or not is_neighbour(url.host, networks)):
        raise DecodeError("an SSDP answer that leads elsewhere")
    return url


def is_neighbour(address: str, networks: Sequence[Network]) -> bool:
    """Whether an address is on our link: of a network of our card's, or link-local."""
    ip = ipaddress.ip_address(address)
    return address_class(ip) == "link-local" or any(ip in network for network in networks)
