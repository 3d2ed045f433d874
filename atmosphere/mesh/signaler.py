"""Carries sealed signals to and from other nodes: over links of the mesh, over signaling servers, or by hand.

An envelope is one byte that says how it is sealed, then the sealed bytes: between members under the receiver's key
(sealing.py); between a joiner and its host under the invite's secret, with the invite's public id (8 bytes) in front.
Every way is used at once; the receiver takes the first and drops the copies.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from atmosphere.errors import DecodeError
from atmosphere.identity import Identity
from atmosphere.mesh import sealing, signals, wire
from atmosphere.mesh.roster import Roster

if TYPE_CHECKING:
    from atmosphere.credentials import DialSecret
    from atmosphere.mesh.peerlink import PeerLink

logger = logging.getLogger(__name__)

MEMBER, TO_HOST, TO_JOINER = 1, 2, 3
INVITE_ID_BYTES = 8
MAX_NEIGHBOURS = 4
TTL = 30


class Pool(Protocol):
    """What is used of signaling.SignalingPool."""

    async def send(self, to: str, payload: bytes, ttl: float) -> bool:
        """Hand `payload` to every server; whether one took it."""
        ...


class Signaler:
    """Seals, routes and opens signals; what arrives goes to one of three callbacks."""

    def __init__(
        self, identity: Identity, roster: Roster, pool: Pool, neighbours: Callable[[], list[PeerLink]]
    ) -> None:
        self._identity = identity
        self._roster = roster
        self._pool = pool
        self._neighbours = neighbours
        self._window = sealing.ReplayWindow()
        self.secret_of: Callable[[str], DialSecret | None] = lambda invite_id: None
        self.on_member: Callable[[str, signals.Message], None] = lambda sender, message: None
        self.on_joiner: Callable[[str, str, signals.Message], None] = lambda invite_id, joiner, message: None
        self.on_host: Callable[[str, signals.Message], None] = lambda invite_id, message: None

    async def to_member(self, node_id: str, message: signals.Message) -> None:
        """Send `message` to a member, by every way there is."""
        member = self._roster.member(node_id)
        if member is None:
            return
        sealed = sealing.seal_for_member(
            self._identity, member.public_key, self._roster.mesh_id_bytes, signals.encode(message), time.time()
        )
        await self._route(node_id, bytes([MEMBER]) + sealed)

    async def to_host(self, host_id: str, secret: DialSecret, message: signals.Message) -> None:
        """Send `message` from a joiner to the host of its code."""
        envelope = bytes([TO_HOST]) + bytes.fromhex(secret.id) + self.seal_by_hand(secret, message)
        await self._route(host_id, envelope)

    async def to_joiner(self, joiner_id: str, secret: DialSecret, message: signals.Message) -> None:
        """Send `message` from a host to whoever holds its invite and asked as `joiner_id`."""
        sealed = sealing.seal_with_secret(secret, "host", signals.encode(message))
        await self._route(joiner_id, bytes([TO_JOINER]) + bytes.fromhex(secret.id) + sealed)

    def seal_by_hand(self, secret: DialSecret, message: signals.Message) -> bytes:
        """A joiner's `message` as a reply code carries it."""
        return sealing.seal_with_secret(secret, "joiner", signals.encode(message))

    def open_by_hand(self, invite_id: str, sealed: bytes) -> None:
        """Take what a reply code carried, more than once too: people repeat themselves. Raises DecodeError."""
        self._open_invite("", True, bytes.fromhex(invite_id) + sealed, by_hand=True)

    async def _route(self, destination: str, envelope: bytes) -> None:
        for link in self._neighbours()[:MAX_NEIGHBOURS]:
            if link.peer_id != destination:
                link.post(wire.Signal(destination, self._identity.node_id, envelope))
        await self._pool.send(destination, envelope, TTL)

    def envelope_received(self, source: str, envelope: bytes) -> None:
        """An envelope arrived by any way; opened, it goes to its callback; what does not open is dropped."""
        try:
            self._open(source, envelope)
        except DecodeError as error:
            logger.debug("a signal was dropped: %s", error)

    def _open(self, source: str, envelope: bytes) -> None:
        kind, body = envelope[:1], envelope[1:]
        if kind == bytes([MEMBER]):
            opened = sealing.open_from_member(
                self._identity, self._roster.mesh_id_bytes, body, self._roster.public_key, time.time(), self._window
            )
            self.on_member(opened.sender, signals.decode(opened.payload))
        elif kind in (bytes([TO_HOST]), bytes([TO_JOINER])):
            self._open_invite(source, kind == bytes([TO_HOST]), body)
        else:
            raise DecodeError("an envelope of a kind that is not known here")

    def _open_invite(self, source: str, from_joiner: bool, body: bytes, *, by_hand: bool = False) -> None:
        invite_id = body[:INVITE_ID_BYTES].hex()
        secret = self.secret_of(invite_id)
        if secret is None:
            raise DecodeError("an envelope for an invite that is not known here")
        direction: sealing.Direction = "joiner" if from_joiner else "host"
        plain = sealing.open_with_secret(
            secret, direction, body[INVITE_ID_BYTES:], time.time(), None if by_hand else self._window
        )
        message = signals.decode(plain)
        if from_joiner:
            self.on_joiner(invite_id, source, message)
        else:
            self.on_host(invite_id, message)
