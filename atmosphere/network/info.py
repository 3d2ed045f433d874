"""What is known about this machine's network: the JSON of `atmosphere network`, key by key. Pure."""

from __future__ import annotations

import msgspec


class InterfaceInfo(msgspec.Struct, frozen=True):
    """One local address: interface `name`, literal `address`, `family` 4 or 6."""

    name: str
    address: str
    family: int


class PublicAddress(msgspec.Struct, frozen=True):
    """Where the world sees this machine: `ip` and the `port` of the socket that asked (another socket gets another)."""

    ip: str
    port: int


class PublicInfo(msgspec.Struct, frozen=True):
    """The public address of each family; None where there is none or nobody answered."""

    ipv4: PublicAddress | None = None
    ipv6: PublicAddress | None = None


class NatInfo(msgspec.Struct, frozen=True):
    """What the NAT does (`atmosphere.ice.nat`): RFC 5780's terms and the everyday name in `type`.

    `mapping_lifetime_s`: seconds that a silent mapping lives at the least, where that was tried.
    """

    mapping: str = "unknown"
    filtering: str = "unknown"
    hairpinning: bool | None = None
    type: str = "unknown"
    mapping_lifetime_s: float | None = None


class PortMappingInfo(msgspec.Struct, frozen=True):
    """Whether the router opens ports on request; None where it could not be asked."""

    upnp: bool | None = None
    nat_pmp: bool | None = None
    pcp: bool | None = None


class ServerInfo(msgspec.Struct, frozen=True):
    """One STUN, TURN or signaling server: whether it works, its round-trip time in ms, else one line why not."""

    uri: str
    ok: bool
    rtt_ms: float | None = None
    error: str | None = None


class NetworkInfo(msgspec.Struct, frozen=True):
    """Everything `gather_network_info` found. `summary` is one plain sentence on what to expect.

    `captive_portal`: something on the way answers in a signaling server's place; None where none was asked.
    """

    interfaces: list[InterfaceInfo]
    public: PublicInfo
    nat: NatInfo
    port_mapping: PortMappingInfo
    servers: list[ServerInfo]
    internet: bool
    summary: str
    captive_portal: bool | None = None
