"""Links between members: our dials to them, theirs to us, each under the secret that the pair shares."""

from __future__ import annotations

import logging
from collections.abc import Callable

from atmosphere.credentials import DialSecret
from atmosphere.errors import Refused, Unreachable
from atmosphere.ice.candidate import Candidate
from atmosphere.ice.session import IceSession
from atmosphere.identity import Identity
from atmosphere.mesh import greeting, signals, wire
from atmosphere.mesh.attempts import Attempts
from atmosphere.mesh.dialer import Dialer, new_ufrag
from atmosphere.mesh.exchange import Exchange
from atmosphere.mesh.linktable import dial_rank
from atmosphere.mesh.peer import Peer
from atmosphere.mesh.peerlink import PeerLink
from atmosphere.mesh.restart import is_restart
from atmosphere.mesh.roster import Roster
from atmosphere.mesh.signaler import Signaler

logger = logging.getLogger(__name__)

RESTART_TIMEOUT = 12.0
"""Seconds for one attempt to give a link another path; short, so that pairs are tried anew without long pauses."""


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
        self.attempts = Attempts()
        self.on_dialed: Callable[[str], None] = lambda node_id: None
        self.link_of: Callable[[str], PeerLink | None] = lambda node_id: None

    def follow_roster(self) -> None:
        """Listen for every member, and for nobody else who was one."""
        wanted = {node_id for node_id in self._roster.members() if node_id != self._identity.node_id}
        listening = {key for key in self._dialer.listening() if not key.startswith("invite:")}
        for node_id in listening - wanted:
            self._dialer.unlisten(node_id)
        self.attempts.keep_only(wanted)
        for node_id in wanted - listening:
            secret = self._pair(node_id).hosted_by(self._identity.node_id)
            self._dialer.listen(node_id, secret, self._accepter(node_id))

    async def attempt(self, peer: Peer) -> None:
        """Dial `peer` once: for another path of the link that we keep, or for a new link, which is installed.

        Raises AtmosphereError or TimeoutError.
        """
        with self.attempts.watch(peer.id):
            await self._attempt(peer)

    async def _attempt(self, peer: Peer) -> None:
        link = peer.link
        if link is not None and link.link.established and await self._restart(peer, link):
            return

        async def greet(link: PeerLink) -> None:
            self.attempts.greeting(peer.id)
            await greeting.greet_dialed(link, self._roster, self._hello(), peer.id)

        contact = self._roster.contacts.get(peer.id)
        known = signals.parse_candidates(contact.candidates) if contact else peer.last_seen
        exchange = self._begin(peer, known, new_ufrag(dial_rank(self._identity.node_id, peer.id)))
        self._install(await self._dialer.finish(exchange, greet))

    def _begin(self, peer: Peer, known: list[Candidate], ufrag: str) -> Exchange:
        async def send(message: signals.Message) -> None:
            await self._signaler.to_member(peer.id, message)

        exchange = self._dialer.begin(self._pair(peer.id).hosted_by(peer.id), known, send, ufrag=ufrag)
        self.attempts.begun(peer.id, exchange)
        peer.govern(exchange.session)
        return exchange

    async def _restart(self, peer: Peer, link: PeerLink) -> bool:
        """Give the link a successor of its ICE session; False when the link ended meanwhile, so it needs none."""
        ufrag, order = link.restarts.begin(dial_rank(self._identity.node_id, peer.id))
        contact = self._roster.contacts.get(peer.id)
        known = signals.parse_candidates(contact.candidates) if contact else []
        exchange = self._begin(peer, known, ufrag)
        link.path.attach(exchange.session, order)
        try:
            await self._dialer.follow(exchange, RESTART_TIMEOUT)
        except Unreachable:
            if link.link.established:
                raise
            return False
        finally:
            link.path.let_go(exchange.session)
        return True

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
            if is_restart(session.dialer_ufrag) and self._continues(node_id, session):
                return
            self.on_dialed(node_id)
            if is_restart(session.dialer_ufrag):
                self._dialer.disown(session)
            else:
                self._dialer.accept(session, greet, self._install)

        return accept

    def _continues(self, node_id: str, session: IceSession) -> bool:
        """Whether the session is for the link that we have with that member, and belongs to it now."""
        link = self.link_of(node_id)
        if link is None or not link.link.established:
            return False
        order = link.restarts.recognise(session.dialer_ufrag)
        if order is None:
            return False
        link.path.attach(session, order)
        return True

    def _pair(self, node_id: str) -> DialSecret:
        key = self._roster.public_key(node_id)
        if key is None:
            raise Refused(f"{node_id[:8]}… is not a member")
        return DialSecret.for_pair(self._identity, key, self._roster.mesh_id_bytes)
