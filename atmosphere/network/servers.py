"""Names of STUN servers to addresses that can be asked, all looked up at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from atmosphere.errors import Unreachable
from atmosphere.ice.resolve import resolve
from atmosphere.turn.uri import ServerUri, parse_stun

Address = tuple[str, int]

LOOKUP_TIMEOUT = 2.0
MOST = 16
"""Servers asked at most: more tell nothing new and cost everybody packets."""


@dataclass(frozen=True)
class Resolved:
    """A server and its `addresses`, at most one a family; none and an `error` where its name is unknown."""

    uri: ServerUri
    addresses: list[Address] = field(default_factory=list)
    error: str | None = None

    def address(self, family: int) -> Address | None:
        """Its address of `family` 4 or 6."""
        return next((item for item in self.addresses if family_of(item) == family), None)


def family_of(address: Address) -> int:
    """4 or 6."""
    return 6 if ":" in address[0] else 4


def parse_servers(servers: Iterable[str | ServerUri]) -> list[ServerUri]:
    """The servers, each once, at most 16; raises DecodeError for one that is written wrong."""
    uris = (item if isinstance(item, ServerUri) else parse_stun(item) for item in servers)
    return list(dict.fromkeys(uris))[:MOST]


async def resolve_all(servers: Iterable[ServerUri], *, timeout: float = LOOKUP_TIMEOUT) -> list[Resolved]:
    """Every server with its addresses, in the order given. Never raises."""
    return list(await asyncio.gather(*(resolve_one(server, timeout=timeout) for server in servers)))


async def resolve_one(server: ServerUri, *, timeout: float = LOOKUP_TIMEOUT) -> Resolved:
    """The server with its addresses, or with the reason why there are none."""
    try:
        return Resolved(server, await resolve(server.host, server.port, timeout=timeout))
    except Unreachable as error:
        return Resolved(server, error=str(error))
