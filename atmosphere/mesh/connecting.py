"""Links between members: our dials to them, theirs to us, each under the secret that the pair shares."""

from __future__ import annotations

import logging
from collections.abc import Callable

from atmosphere.credentials import DialSecret
from atmosphere.errors import Refused
from atmosphere.ice.session import IceSession
from atmosphere.identity import Identity
from atmosphere.mesh import greeting, signals, wire
from atmosphere.mesh.dialer import Dialer, new_ufrag
from atmosphere.mesh.linktable import dial_rank
from atmosphere.mesh.peer import Peer
from atmosphere.mesh.peerlink import PeerLink
from atmosphere.mesh.roster import Roster
from atmosphere.mesh.signaler import Signaler

logger = logging.getLogger(__name__)


class Connecting:
    """Dials members and answers their dials; greeted links go to `install`."""

    def __init__(
        self,
        identity: Identity,
        roster: Roster,
        dialer: Dialer,
        signaler: Signaler,
        *,
        hello: Callable[[], wire.Hello],
        install: Callable[[PeerLink], object],
    ) -> None:
        self._identity = identity
        self._roster = roster
        self._dialer = dialer
        self._signaler = signaler
        self._hello = hello
        self._install = install
        self.on_dialed: Callable[[str], None] = lambda node_id: None

    def follow_roster(self) -> None:
        """Listen for every member, and for nobody else who was one."""
        wanted = {node_id for node_id in self._roster.members() if node_id != self._identity.node_id}
        listening = {key for key in self._dialer.listening() if not key.startswith("invite:")}
        for node_id in listening - wanted:
            self._dialer.unlisten(node_id)
        for node_id in wanted - listening:
            secret = self._pair(node_id).hosted_by(self._identity.node_id)
            self._dialer.listen(node_id, secret, self._accepter(node_id))

    async def attempt(self, peer: Peer) -> None:
        """Dial `peer` once and install the link; raises AtmosphereError or TimeoutError."""
        contact = self._roster.contacts.get(peer.id)
        known = signals.parse_candidates(contact.candidates) if contact else peer.last_seen

        async def send(message: signals.Message) -> None:
            await self._signaler.to_member(peer.id, message)

        async def greet(link: PeerLink) -> None:
            await greeting.greet_dialed(link, self._roster, self._hello(), peer.id)

        secret = self._pair(peer.id).hosted_by(peer.id)
        ufrag = new_ufrag(dial_rank(self._identity.node_id, peer.id))
        exchange = self._dialer.begin(secret, known, send, ufrag=ufrag)
        peer.govern(exchange.session)
        self._install(await self._dialer.finish(exchange, greet))

    def explain(self, peer: Peer, last_error: str | None) -> list[str]:
        """Why the path to `peer` is what it is: every pair tried and how it ended, or the last error."""
        link = peer.link
        if link is None:
            return [f"not connected: {last_error or 'no attempt has ended yet'}"]
        return [
            f"{pair.local.type} {pair.local.address}:{pair.local.port} → "
            f"{pair.remote.type} {pair.remote.address}:{pair.remote.port}: "
            + ("in use" if pair.selected else f"{pair.state}{', ' + pair.why if pair.why else ''}")
            for pair in link.session.report()
        ]

    def signal_received(self, sender: str, message: signals.Message) -> None:
        """A member tells us that it dials us, or answers our dial."""
        if isinstance(message, signals.Candidates):
            self._dialer.answered(message)
            return

        async def send(answer: signals.Message) -> None:
            await self._signaler.to_member(sender, answer)

        self._dialer.dialed(sender, message, send)

    def _accepter(self, node_id: str) -> Callable[[IceSession], None]:
        async def greet(link: PeerLink) -> None:
            if link.peer_id != node_id:
                raise Refused(f"{link.peer_id[:8]}… used the credentials of {node_id[:8]}…")
            await greeting.greet_accepted(link, self._roster, self._hello(), None)

        def accept(session: IceSession) -> None:
            self.on_dialed(node_id)
            self._dialer.accept(session, greet, self._install)

        return accept

    def _pair(self, node_id: str) -> DialSecret:
        key = self._roster.public_key(node_id)
        if key is None:
            raise Refused(f"{node_id[:8]}… is not a member")
        return DialSecret.for_pair(self._identity, key, self._roster.mesh_id_bytes)
