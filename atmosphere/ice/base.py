"""Bases: what candidates stand on and datagrams leave from. A socket of ours, or a relayed address (RFC 8445 §4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from atmosphere.ice.candidate import Candidate, candidate_priority, foundation
from atmosphere.turn.client import Allocation
from atmosphere.turn.uri import Transport
from atmosphere.udp.socket import UdpSocket

__all__ = ["Base", "reflexive", "relay_base", "socket_base"]

Address = tuple[str, int]

_UNSPECIFIED = ("0.0.0.0", "::")  # noqa: S104 - said to a peer, not listened on
_RELAY_RANK: dict[Transport, int] = {"udp": 5, "tcp": 4, "tls": 3, "ws": 2, "wss": 1}


class Base:
    """One base: its number (for the agent), its own candidate, how a datagram leaves; its `socket` or `allocation`;
    `shared` by all sessions, or one session's own; `lender` of a relay is the member whose it is, or empty."""

    def __init__(self, number: int, candidate: Candidate, send: Callable[[bytes, Address], None]) -> None:
        self.id = number
        self.candidate = candidate
        self.send = send
        self.reflexive: dict[Address, Candidate] = {}
        self.mapped: Candidate | None = None
        self.socket: UdpSocket | None = None
        self.allocation: Allocation | None = None
        self.shared = True
        self.lender = ""

    def send_burst(self, data: bytes, segment: int, count: int, destination: Address) -> int:
        """Send `count` datagrams end to end; how many are done with (see `UdpSocket.send_pieces`)."""
        if self.socket is not None:
            return self.socket.send_pieces((data,), segment, count, destination)
        if self.allocation is not None:
            return self.allocation.send_burst(data, segment, count, destination)
        for start in range(0, len(data), segment):
            self.send(data[start : start + segment], destination)
        return count

    def send_probe(self, datagram: bytes, destination: Address) -> None:
        """Send one datagram unfragmented, where the base can promise that: a relay's way is not ours to see."""
        if self.socket is not None:
            self.socket.send_unfragmented(datagram, destination)

    def when_writable(self, callback: Callable[[], None]) -> None:
        """Call `callback` once there is room for what `send_burst` did not take."""
        if self.socket is not None:
            self.socket.when_writable(callback)
        elif self.allocation is not None:
            self.allocation.when_writable(callback)

    @property
    def candidates(self) -> list[Candidate]:
        """Its own candidate, the port that its router opened, and the server-reflexive ones, the newest last."""
        return [self.candidate, *([self.mapped] if self.mapped else []), *self.reflexive.values()]

    @property
    def is_relay(self) -> bool:
        """Whether datagrams go through a TURN server."""
        return self.candidate.type == "relay"


def socket_base(number: int, sock: UdpSocket, preference: int) -> Base:
    """The base of a socket; `preference` (0–65535) is unique among the node's sockets."""
    candidate = Candidate(
        foundation=foundation("host", sock.address),
        component=1,
        transport="udp",
        priority=candidate_priority("host", preference),
        address=sock.address,
        port=sock.port,
        type="host",
    )
    base = Base(number, candidate, sock.send)
    base.socket = sock
    return base


def relay_base(number: int, allocation: Allocation, *, hide: bool = False) -> Base:
    """The base of a relayed address: over UDP before TCP before TLS before WebSocket, else the older first.

    `hide` leaves out what it is related to, our public address: a peer that may only see the relay must not learn it.
    """
    address, port = allocation.relayed
    related = (_UNSPECIFIED[":" in address], 9) if hide else allocation.mapped
    transport = allocation.endpoint.transport
    candidate = Candidate(
        foundation=foundation("relay", address, allocation.endpoint.address[0], transport),
        component=1,
        transport="udp",
        priority=candidate_priority("relay", (_RELAY_RANK[transport] << 13) - number % (1 << 13)),
        address=address,
        port=port,
        type="relay",
        related_address=related[0],
        related_port=related[1],
        relay_protocol="ws" if transport == "wss" else transport,
    )
    base = Base(number, candidate, allocation.send)
    base.allocation = allocation
    return base


def reflexive(base: Base, mapped: Address, server: Address) -> Candidate:
    """The server-reflexive candidate of `base`, seen as `mapped` by `server`."""
    host = base.candidate
    return replace(
        host,
        foundation=foundation("srflx", host.address, server[0]),
        priority=candidate_priority("srflx", (host.priority >> 8) & 0xFFFF),
        address=mapped[0],
        port=mapped[1],
        type="srflx",
        related_address=host.address,
        related_port=host.port,
    )
