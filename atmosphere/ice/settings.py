"""What an endpoint is told: where to listen, which servers to ask, which paths to use."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from atmosphere.ice.policy import PathPolicy
from atmosphere.turn.uri import ServerUri, TurnServer, parse_stun, parse_turn

__all__ = ["IceSettings", "PathPolicy", "ServerUri", "TurnServer", "parse_stun", "parse_turn"]

HALF_OPEN = 128
"""Sessions made by a first check or a signaled dial that are not connected yet, at most."""
HALF_OPEN_OF_ONE = 32
"""Of these, at most so many on one ufrag: whoever knows one secret shall not shut out those who know another."""
HALF_OPEN_SECONDS = 45.0
NEW_PER_SECOND, NEW_BURST = 64.0, 256.0
NEW_PER_SECOND_OF_SOURCE, NEW_BURST_OF_SOURCE = 16.0, 64.0


@dataclass(frozen=True)
class IceSettings:
    """How an `IceEndpoint` listens and gathers.

    `addresses` are the local addresses to bind (None: every good one, followed as they come and go); `loopback` adds
    127.0.0.1 and ::1. `port` 0 takes one that is free on all of them. `policy`: any; direct (no TURN server is used);
    relay (nothing but relayed paths, so that peers never see this machine's addresses). `port_mapping` asks the routers
    to open the port, by UDP and TCP; `mapping_seed` is secret and stays the same, so that what a killed node left there
    can be renewed.
    """

    addresses: tuple[str, ...] | None = None
    port: int = 0
    loopback: bool = False
    stun: tuple[ServerUri, ...] = ()
    turn: tuple[TurnServer, ...] = field(default=(), repr=False)
    policy: PathPolicy = "any"
    port_mapping: bool = False
    mapping_seed: bytes = field(default=b"", repr=False)

    def with_servers(self, stun: tuple[ServerUri, ...], turn: tuple[TurnServer, ...]) -> IceSettings:
        """The same with other servers; those of a policy that has no use for them are left out."""
        return replace(
            self,
            stun=() if self.policy == "relay" else tuple(dict.fromkeys(stun)),
            turn=() if self.policy == "direct" else tuple({server.uri: server for server in turn}.values()),
        )
