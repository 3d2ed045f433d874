"""Which two of a program's STUN sockets tell clients what their NAT does (RFC 5780), and the second port for it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from atmosphere.stun.server import BindingServer
from atmosphere.stun.sockets import DiscoverySockets
from atmosphere.udp.addresses import address_class
from atmosphere.udp.socket import UdpSocket

logger = logging.getLogger(__name__)

MAX_PORT = 65535

Pair = tuple[UdpSocket, UdpSocket]


def open_discovery(
    server: BindingServer,
    sockets: Sequence[UdpSocket],
    public: Mapping[str, str],
    *,
    wanted: bool | None = None,
    port: int | None = None,
) -> list[DiscoverySockets]:
    """The second port of each family that has two addresses for it; each is closed by who gets it here.

    `wanted`: where there are two public addresses (None), with any two of a kind (True; ValueError where there are
    none), or not at all (False). `port` is the second one, by default next to the first, 0 for any. `public` maps local
    addresses to those that clients see. Raises OSError only where it is `wanted`.
    """
    if wanted is False or not sockets:
        return []
    pairs = [pair for family in (4, 6) if (pair := _pair(sockets, family, public, anything=bool(wanted)))]
    if wanted and not pairs:
        raise ValueError("discovery needs two addresses of one family and kind")
    opened: list[DiscoverySockets] = []
    for pair in pairs:
        second = _next_to(pair[0].port) if port is None else port
        try:
            opened.append(DiscoverySockets(server, pair, second, public=public))
        except OSError as error:
            if wanted:
                for one in opened:
                    one.close()
                raise
            logger.info("no RFC 5780 on %s: %s", pair[0].address, error)
    return opened


def _next_to(port: int) -> int:
    return port + 1 if port < MAX_PORT else port - 1


def _pair(sockets: Sequence[UdpSocket], family: int, public: Mapping[str, str], *, anything: bool) -> Pair | None:
    """Two sockets whose addresses a client can reach alike: public ones, or two of another kind when told to."""
    alike: dict[str, dict[str, UdpSocket]] = {"public": {}}
    for socket in sockets:
        if socket.family == family:
            seen = public.get(socket.address, socket.address)
            alike.setdefault(address_class(seen), {}).setdefault(seen, socket)
    found = [list(found.values()) for kind, found in alike.items() if len(found) > 1 and (anything or kind == "public")]
    return (found[0][0], found[0][1]) if found else None
