"""Hole punching with one peer, as a state machine: datagrams and `now` in, datagrams and a deadline out. Pure.

    probing ── an ACK of our probe ──> connected ── silence for 30 s ──> lost
       └────── the deadline ─────────> failed           (any) ── close ──> closed

Both sides send probes to where they think the other is. The first ones open each side's NAT and may be dropped by the
other's; later ones pass. A probe from somewhere else than expected (a symmetric NAT uses a new port for us) is answered
and probed back: a peer-reflexive address. A path counts once an ACK came back over it, which repeats our session.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Literal

from atmosphere.network.datagrams import NO_SESSION, Datagram, Kind, ReplayWindow, encode

State = Literal["probing", "connected", "failed", "lost", "closed"]
Address = tuple[str, int]

FAST, FAST_FOR = 0.05, 1.0
SLOW = 0.25
KEEPALIVE = 10.0
PATIENCE = 30.0
MAX_ADDRESSES = 4
MAX_OUTSTANDING = 64


@dataclass(frozen=True)
class Transmit:
    """A datagram to send."""

    data: bytes
    destination: Address


@dataclass(eq=False)
class Punch:
    """One peer. `remote` is the address that works, once connected; `rtt` is in seconds; `probes` counts those sent."""

    target: Address
    key: bytes | None = field(default=None, repr=False)
    state: State = "probing"
    remote: Address | None = None
    rtt: float | None = None
    probes: int = 0
    peer_session: bytes = NO_SESSION
    session: bytes = field(default_factory=lambda: os.urandom(8))

    def __post_init__(self) -> None:
        self._addresses: list[Address] = [self.target]
        self._sent: dict[int, tuple[float, Address]] = {}
        self._window = ReplayWindow()
        self._numbers = 0
        self._started = self._heard = self._due = 0.0
        self._deadline = float("inf")

    def start(self, now: float, timeout: float) -> None:
        """Begin to probe, for at most `timeout` seconds."""
        self._started = self._heard = self._due = now
        self._deadline = now + timeout

    @property
    def is_alive(self) -> bool:
        """Whether datagrams of this peer are still of interest."""
        return self.state in ("probing", "connected")

    @property
    def next_at(self) -> float | None:
        """When `poll` wants to be called again; None when it is over."""
        if not self.is_alive:
            return None
        return min(self._due, self._deadline if self.state == "probing" else self._heard + PATIENCE)

    def poll(self, now: float) -> list[Transmit]:
        """The probes that are due; ends the attempt at its deadline, and the connection after 30 s of silence."""
        if self.state == "probing" and now >= self._deadline:
            self.state = "failed"
        elif self.state == "connected" and now >= self._heard + PATIENCE:
            self.state = "lost"
        if not self.is_alive or now < self._due:
            return []
        if self.state == "connected":
            self._due = now + (KEEPALIVE if now - self._heard < KEEPALIVE * 1.5 else 1.0)
            return [self._probe(self.remote or self.target, now)]
        self._due = now + (FAST if now - self._started < FAST_FOR else SLOW)
        return [self._probe(address, now) for address in self._addresses]

    def expects(self, source: Address) -> bool:
        """Whether `source` is an address that this peer is known to use."""
        return source == self.remote or source in self._addresses

    def receive(self, datagram: Datagram, source: Address, now: float) -> tuple[list[Transmit], bytes | None]:
        """What to send back, and the payload where there is one. The datagram is decoded, so its tag was right."""
        if not self.is_alive or datagram.session in (self.session, NO_SESSION):
            return [], None  # our own packets coming back are nobody's
        if datagram.kind is Kind.PROBE:
            return self._probed(datagram, source, now), None
        if datagram.echo != self.session:
            return [], None
        if datagram.kind is Kind.ACK:
            self._acknowledged(datagram, source, now)
            return [], None
        if self.state == "probing":  # it knows our session, so our probe arrived, and its data does: as good as an ACK
            self._confirm(datagram.session, source, now)
        return [], self._delivered(datagram, now)

    def _delivered(self, datagram: Datagram, now: float) -> bytes | None:
        if datagram.session != self.peer_session or not self._window.accept(datagram.number):
            return None
        self._heard = now
        if datagram.kind is Kind.BYE:
            self.state = "lost"
            return None
        return datagram.payload

    def data(self, payload: bytes) -> Transmit | None:
        """The datagram that carries `payload` to the peer; None when it is not connected."""
        return self._to_peer(Kind.DATA, payload)

    def close(self) -> Transmit | None:
        """Stop, and what tells the peer so."""
        goodbye = self._to_peer(Kind.BYE, b"")
        if self.is_alive:
            self.state = "closed"
        return goodbye

    def _to_peer(self, kind: Kind, payload: bytes) -> Transmit | None:
        if self.state != "connected" or self.remote is None:
            return None
        self._numbers += 1
        datagram = Datagram(kind, self.session, self._numbers, self.peer_session, payload)
        return Transmit(encode(datagram, self.key), self.remote)

    def _probe(self, destination: Address, now: float) -> Transmit:
        self.probes += 1
        self._sent[self.probes] = (now, destination)
        if len(self._sent) > MAX_OUTSTANDING:
            del self._sent[next(iter(self._sent))]
        datagram = Datagram(Kind.PROBE, self.session, self.probes, self.peer_session)
        return Transmit(encode(datagram, self.key), destination)

    def _probed(self, datagram: Datagram, source: Address, now: float) -> list[Transmit]:
        ack = Datagram(Kind.ACK, self.session, datagram.number, datagram.session)
        out = [Transmit(encode(ack, self.key), source)]
        moved = self.state == "connected" and (source != self.remote or datagram.session != self.peer_session)
        if source not in self._addresses and len(self._addresses) < MAX_ADDRESSES:
            self._addresses.append(source)
            moved = True
        if moved:  # probe back at once: an ACK from there makes it the path
            out.append(self._probe(source, now))
        return out

    def _acknowledged(self, datagram: Datagram, source: Address, now: float) -> None:
        sent = self._sent.pop(datagram.number, None)
        if sent is None or sent[1] != source:
            return
        self.rtt = now - sent[0]
        self._confirm(datagram.session, source, now)

    def _confirm(self, session: bytes, source: Address, now: float) -> None:
        """Datagrams pass both ways between us and `source`."""
        if session != self.peer_session:
            self.peer_session, self._window = session, ReplayWindow()
        if self.state == "probing" or source != self.remote:
            self.remote = source
            self._due = now + (KEEPALIVE if self.rtt is not None else SLOW)
        self._heard = now
        self.state = "connected"
