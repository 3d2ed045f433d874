"""How each STUN and TURN server does, for people and for `gathered`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Literal

__all__ = ["ServerHealth", "ServerTable"]

Kind = Literal["stun", "turn"]


@dataclass(frozen=True)
class ServerHealth:
    """One server: its URI without credentials, whether it answers (None: not known yet), how fast, and why not.

    `address` is what it gave us: the mapped address of a STUN server, the relayed one of a TURN server.
    """

    uri: str
    kind: Kind
    ok: bool | None = None
    rtt_ms: float | None = None
    error: str | None = None
    address: tuple[str, int] | None = None


class ServerTable:
    """The health of all servers in use; `settled` is set while none is still unknown."""

    def __init__(self) -> None:
        self._servers: dict[str, ServerHealth] = {}
        self.settled = asyncio.Event()
        self.settled.set()

    def replace(self, uris: dict[str, Kind]) -> None:
        """From now on these; what is known of one that stays is kept."""
        self._servers = {uri: self._servers.get(uri) or ServerHealth(uri, kind) for uri, kind in uris.items()}
        self._settle()

    def answered(self, uri: str, rtt: float | None, address: tuple[str, int]) -> None:
        """The server answered after `rtt` seconds."""
        if (known := self._servers.get(uri)) is not None:
            rtt_ms = known.rtt_ms if rtt is None else rtt * 1000
            self._servers[uri] = replace(known, ok=True, rtt_ms=rtt_ms, error=None, address=address)
            self._settle()

    def failed(self, uri: str, error: str) -> None:
        """The server did not answer, or refused."""
        if (known := self._servers.get(uri)) is not None:
            self._servers[uri] = replace(known, ok=False, rtt_ms=None, error=error, address=None)
            self._settle()

    def report(self) -> list[ServerHealth]:
        """Every server, in the order they were given."""
        return list(self._servers.values())

    def _settle(self) -> None:
        if any(server.ok is None for server in self._servers.values()):
            self.settled.clear()
        else:
            self.settled.set()
