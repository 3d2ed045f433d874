"""The words that all ways of mapping a port share. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from atmosphere.errors import AtmosphereError

__all__ = ["Address", "Grant", "MappedPort", "NoMapping", "Protocol", "Transport", "Wish"]

Address = tuple[str, int]
Transport = Literal["udp", "tcp"]
Protocol = Literal["pcp", "nat-pmp", "upnp"]

IP_PROTOCOL: dict[Transport, int] = {"udp": 17, "tcp": 6}

LIFETIME = 7200
"""Seconds asked for: RFC 6886 §3.3's advice. It bounds what a node that was killed leaves behind."""


class NoMapping(AtmosphereError):
    """The router opened nothing; the message says why, in a person's words.

    `hold` are seconds that it asks us to wait before the next try. `spoke`: it answered, so trying again soon is vain.
    """

    def __init__(self, message: str, *, hold: float = 0.0, spoke: bool = True) -> None:
        super().__init__(message)
        self.hold = hold
        self.spoke = spoke


@dataclass(frozen=True)
class Wish:
    """A port of ours that shall be reachable: `address` is our own, on the router's inside."""

    transport: Transport
    address: str
    port: int


@dataclass(frozen=True)
class Grant:
    """What the router gave: the outer address (None: it does not know) and port, for `lifetime` s (None: for ever)."""

    external: str | None
    port: int
    lifetime: float | None


@dataclass(frozen=True)
class MappedPort:
    """How one port of ours does at one router, for people to read.

    `external` is where it can be reached from outside, None while nothing stands; `lifetime` the seconds left, None
    where it stands until it is taken back. `verified`: STUN servers see us at that same outer address; False means that
    one more NAT is beyond (or that the router is wrong), None that no server has told. `error` is one line.
    """

    transport: Transport
    local: Address
    gateway: str
    protocol: Protocol | None = None
    external: Address | None = None
    lifetime: float | None = None
    verified: bool | None = None
    error: str | None = None
