"""What is known of the way to one peer when somebody asks why it is what it is. Pure; observing.py gathers it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from atmosphere.ice.events import PairReport
from atmosphere.ice.nat import NatBehaviour
from atmosphere.mesh.info import PathInfo, PeerState, ServerInfo

__all__ = ["Attempt", "Cause", "Layer", "Mapping", "Search", "Side", "Situation"]

Layer = Literal["signaling", "ice", "dtls", "greeting", "refused"]
"""How far an attempt came: nobody answered its signals; its checks; the DTLS handshake; the greeting; a clear no."""

Mapping = Literal["open", "beyond", "none", "off", "unknown"]
"""What the router says to a wish for an open port: it opened one; it did, but one more NAT is beyond; none that was
asked opens one; nobody asks it; not known."""

HARD = ("address-dependent", "address-and-port-dependent")
"""Mappings that no server can foretell to a peer: a symmetric NAT."""

SETTLING = 10.0
"""Seconds in which a path that is not the best one yet is nothing to worry about."""


@dataclass(frozen=True)
class Side:
    """One end of the link: its NAT and path policy, and what stands in its way.

    `udp` is whether UDP gets out (None: not known); `lan` its address and port on its own network; `public` the
    addresses under which the internet sees it; `families` the IP versions of its addresses.
    """

    nat: NatBehaviour = field(default_factory=NatBehaviour)
    policy: str = "any"
    udp: bool | None = None
    mapping: Mapping = "unknown"
    lan: tuple[str, int] | None = None
    public: frozenset[str] = frozenset()
    families: frozenset[int] = frozenset()

    @property
    def is_hard(self) -> bool:
        """Whether its router changes ports for each peer, and opened none for it."""
        return self.nat.mapping in HARD and not self.is_open

    @property
    def is_open(self) -> bool:
        """Whether no router is in the way, so that what is can only be a firewall."""
        return self.nat.mapping == "none" or self.mapping == "open"

    @property
    def is_easy(self) -> bool:
        """Whether a check can be told where to go, so that a direct path needs no luck."""
        return self.is_open or self.nat.mapping == "endpoint-independent"

    @property
    def lets_in(self) -> bool:
        """Whether its router lets in other ports of an address that was sent to: that is enough for a hard NAT."""
        return self.nat.type in ("full-cone", "restricted-cone")


@dataclass(frozen=True)
class Attempt:
    """One attempt to reach a peer that is not connected: running still, or the last that failed.

    `answered` is whether the peer said anything by signaling; `error` why it failed, None while it runs; `seconds` how
    long it took so far.
    """

    layer: Layer
    answered: bool
    seconds: float
    error: str | None = None


@dataclass(frozen=True)
class Search:
    """The guessing of ports behind the relayed link: whether it is still to come to an end, and what came of it, in
    words: "not tried: it is switched off there", "given up after 20.0 s and 2000 checks"."""

    pending: bool
    finding: str = ""


@dataclass(frozen=True)
class Situation:
    """Everything that the causes (causes.py) look at; what is not known is None, empty or "unknown".

    `age` is how long (seconds) the path is what it is; `left` why the last link ended; `next_try` seconds until the
    next attempt. `helpers` says whether a signal could be sent at all: by another member or a server.
    """

    name: str
    state: PeerState
    here: Side = Side()
    there: Side = Side()
    path: PathInfo | None = None
    pairs: tuple[PairReport, ...] = ()
    relays: tuple[ServerInfo, ...] = ()
    signaling: tuple[ServerInfo, ...] = ()
    helpers: bool = True
    search: Search | None = None
    attempt: Attempt | None = None
    next_try: float | None = None
    left: str | None = None
    age: float = 60.0

    @property
    def connected(self) -> bool:
        """Whether data flows."""
        return self.state == "connected" and self.path is not None

    @property
    def direct(self) -> tuple[PairReport, ...]:
        """The pairs without a relay."""
        return tuple(pair for pair in self.pairs if not pair.relayed)

    @property
    def sides(self) -> tuple[Side, Side]:
        """This end and the other."""
        return self.here, self.there

    @property
    def is_relayed(self) -> bool:
        """Whether there is a path, and it goes over a relay."""
        return self.connected and self.path is not None and self.path.kind == "relay"

    @property
    def has_relay(self) -> bool:
        """Whether any relay was there to be tried."""
        return any(relay.ok for relay in self.relays) or any(pair.relayed for pair in self.pairs)

    @property
    def one_address(self) -> bool:
        """Whether both ends share a public address, and so a router."""
        return bool(self.here.public & self.there.public)

    @property
    def one_network(self) -> bool:
        """Whether they seem to be on one local network behind it, too."""
        ours, theirs = self.here.lan, self.there.lan
        alike = ours is not None and theirs is not None and ours[0].rsplit(".", 1)[0] == theirs[0].rsplit(".", 1)[0]
        return self.one_address and alike

    @property
    def failed_attempt(self) -> Attempt | None:
        """The attempt, if it is over."""
        return self.attempt if self.attempt is not None and self.attempt.error is not None else None


@dataclass(frozen=True)
class Cause:
    """A known cause: its name for programs, when it is the one, and its two sentences, with explain.py's words in
    braces."""

    name: str
    when: Callable[[Situation], bool]
    why: str
    advice: str = ""
