"""What a relay server is told: where it listens, who it is for, and every limit."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from atmosphere.network.relay_sessions import SessionLimits
from atmosphere.tcp.port import TcpSettings
from atmosphere.turn.server.clients import StreamLimits
from atmosphere.turn.server.settings import TurnSettings
from signaling.cluster.instance import ClusterSettings
from signaling.errors import InvalidURL
from signaling.proxies import TrustedProxies
from signaling.settings import Settings
from signaling.turn_credentials import is_turn_uri
from signaling.url import normalize


@dataclass(frozen=True)
class RelaySettings:
    """The settings of a `RelayServer`; raises ValueError for what cannot work.

    `public_host` is the name or address that nodes use; a server that knows it refuses signaling for another. A literal
    that is no address of this machine is where a one-to-one NAT is: relayed addresses are announced as it.
    `public_url` is where a reverse proxy has the WebSockets (`https://example.org/atmosphere`).
    `secret` is shared with other relays and with coturn (`use-auth-secret`); without one it is random. `users` have
    passwords of their own. `turn_uris` are further TURN servers under the same secret, handed to nodes with ours.
    `cluster` joins the signaling of several servers by NATS; each relays by itself.
    `discovery` says whether clients are told what their NAT does (RFC 5780), as for `StunService`; out of
    `discovery_port`, by default the next one. With `plain` WebSockets are served without TLS although there is TLS.
    """

    public_host: str | None = None
    public_url: str | None = None
    secret: str | None = field(default=None, repr=False)
    users: Mapping[str, str] = field(default_factory=dict, repr=False)
    credentials_ttl: float = 3600.0
    turn: bool = True
    turn_uris: tuple[str, ...] = ()
    tls_cert: str | Path | None = None
    tls_key: str | Path | None = None
    plain: bool = False
    cluster: ClusterSettings | None = None
    discovery: bool | None = None
    discovery_port: int | None = None

    signaling: Settings = field(default_factory=Settings)
    relay: TurnSettings = field(default_factory=TurnSettings)
    streams: StreamLimits = field(default_factory=StreamLimits)
    sessions: SessionLimits = field(default_factory=SessionLimits)
    tcp: TcpSettings = field(default_factory=TcpSettings)

    def __post_init__(self) -> None:
        if self.secret == "":
            raise ValueError("the secret is empty")
        if self.turn_uris and self.secret is None:
            raise ValueError("further TURN servers need the secret that they share with this one")
        for uri in self.turn_uris:
            if not is_turn_uri(uri):
                raise ValueError(f"{uri!r} is no TURN URI; write turn:HOST[:PORT]")
        if self.tls_key and not self.tls_cert:
            raise ValueError("a key without its certificate")
        if self.public_url is not None:
            public_place(self.public_url)
        TrustedProxies(self.signaling.trusted_proxies)


@dataclass(frozen=True)
class PublicPlace:
    """Where a reverse proxy has our WebSockets."""

    secure: bool
    host: str
    port: int
    path: str

    @property
    def netloc(self) -> str:
        """Host and port, as in a URL."""
        return place(self.host, self.port)


def public_place(url: str) -> PublicPlace:
    """The parts of a `public_url` (https://, http://, wss:// or ws://); raises ValueError."""
    try:
        parts = urlsplit(normalize(url))
    except InvalidURL as error:
        raise ValueError(str(error)) from None
    if parts.query:
        raise ValueError(f"{url!r} has a query")
    secure = parts.scheme == "wss"
    return PublicPlace(secure, parts.hostname or "", parts.port or (443 if secure else 80), parts.path.rstrip("/"))


def place(host: str, port: int) -> str:
    """`192.0.2.1:3478`, `[2001:db8::1]:3478`, `example.org:3478`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_literal(host: str) -> bool:
    """Whether the host is an address and no name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
