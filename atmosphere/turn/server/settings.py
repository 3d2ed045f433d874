"""Everything about the relay that an operator may set; every limit is here. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field

MAX_REALM = 128


@dataclass(frozen=True)
class TurnSettings:
    """Sizes are bytes, times are seconds. Raises ValueError for what cannot work.

    `addresses` says where relayed addresses are opened and how the world sees them: local literal → public literal,
    which differ behind a one-to-one NAT. `allow_peers` are networks (CIDR) that may be reached although their class is
    refused. `single_relay_port` is the one port that all allocations share, 0 for a port each.
    """

    realm: str = "atmosphere"
    software: str = "atmosphere"
    addresses: Mapping[str, str] = field(default_factory=dict)
    own_addresses: tuple[str, ...] = ()
    """Further addresses of this machine, which nobody may relay to."""
    min_port: int = 49152
    max_port: int = 65535
    single_relay_port: int = 0
    allow_peers: tuple[str, ...] = ()

    allocations: int = 4096
    allocations_per_user: int = 64
    allocations_per_address: int = 256
    permissions: int = 1024
    """Of one allocation, as are the channels."""
    channels: int = 1024

    lifetime: float = 600.0
    """Of an allocation whose client asks for nothing or for less (RFC 8656 §7.2)."""
    max_lifetime: float = 3600.0
    nonce_lifetime: float = 600.0

    bytes_per_second: float = 0.0
    """Of one user's data, both directions together; 0: as much as there is."""
    queue_bytes: int = 512 * 1024
    """Of one user's data that waits for a socket which all clients share."""
    queues_bytes: int = 16 * 1024 * 1024
    """Of everybody's."""

    unproven_bytes: int = 2000
    """What a source that has not shown that it gets our answers may be sent beyond what it sent itself."""
    unproven_bytes_per_second: float = 4 * 1024 * 1024.0
    """The same for all such sources together. Not too little: whoever uses it up keeps new clients out meanwhile."""
    failures_per_second: float = 5.0
    """Wrong credentials of one source that are answered; `failures` at once."""
    failures: float = 50.0
    sources: int = 4096
    """How many sources are remembered for these two, and users without an allocation for their `bytes_per_second`."""

    def __post_init__(self) -> None:
        if not 0 < len(self.realm.encode()) <= MAX_REALM:
            raise ValueError(f"a realm has 1 to {MAX_REALM} bytes")
        if not 1 <= self.min_port <= self.max_port <= 65535:
            raise ValueError(f"relayed ports from {self.min_port} to {self.max_port}")
        if not 0 <= self.single_relay_port <= 65535:
            raise ValueError(f"relayed port {self.single_relay_port}")
        for local, public in self.addresses.items():
            if ipaddress.ip_address(local).version != ipaddress.ip_address(public).version:
                raise ValueError(f"{local} cannot be seen as {public}")
        for network in self.allow_peers:
            ipaddress.ip_network(network)
        for address in self.own_addresses:
            ipaddress.ip_address(address)

    def relay_address(self, family: int, arrived_at: str) -> tuple[str, str] | None:
        """(local, public) to open a relayed address on: where the client arrived if possible, else the first."""
        of_family = [pair for pair in self.addresses.items() if (":" in pair[0]) == (family == 6)]
        same = [pair for pair in of_family if pair[0] == arrived_at]
        return next(iter(same or of_family), None)
