"""Where and how an allocation is made."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field

from atmosphere.turn.uri import Transport

Address = tuple[str, int]


@dataclass(frozen=True)
class TurnEndpoint:
    """Where and how an allocation is made: one resolved `address`, `transport`, credentials.

    `family` is the relayed address's (4, 6, None: the server's choice; RFC 8656 §18.6). `host` is the
    name that a TLS certificate must carry; `tls` overrides the default context. `url` is a WebSocket's, for the
    transports ws and wss; through the `proxy` at that URL the address may be a name, which the proxy resolves.
    """

    address: Address
    transport: Transport = "udp"
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    family: int | None = None
    host: str | None = None
    tls: ssl.SSLContext | None = None
    url: str = ""
    proxy: str | None = field(default=None, repr=False)
