"""The host's side of join codes: making them, listening under them, judging who redeems them."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Callable, Iterable

from atmosphere.credentials import DialSecret
from atmosphere.errors import AtmosphereError, CodeError, DecodeError, Refused, Unreachable
from atmosphere.ice.candidate import Candidate
from atmosphere.ice.session import IceSession
from atmosphere.joincode import CodeCandidate, JoinCode
from atmosphere.mesh import greeting, invites, signals, wire
from atmosphere.mesh.dialer import Dialer
from atmosphere.mesh.info import InviteInfo
from atmosphere.mesh.invites import Invite
from atmosphere.mesh.peerlink import PeerLink
from atmosphere.mesh.roster import Roster
from atmosphere.mesh.signaler import Signaler
from atmosphere.mesh.store import Home
from atmosphere.names import clean_name
from atmosphere.replycode import ReplyCode

logger = logging.getLogger(__name__)

END_OF_TIME = 1 << 32
"""Unix seconds that a code can name, exclusive."""

MAX_CODE_CANDIDATES = 8
"""More would make the code longer than a person likes to handle."""

MAX_REMEMBERED = 256
"""Dials of joiners that came through, remembered for a late reply code."""


class Hosting:
    """Outstanding invites and the sessions that come in under them; greeted links go to `install`."""

    def __init__(
        self,
        home: Home,
        roster: Roster,
        dialer: Dialer,
        signaler: Signaler,
        *,
        hello: Callable[[], wire.Hello],
        install: Callable[[PeerLink], object],
    ) -> None:
        self._home = home
        self._roster = roster
        self._dialer = dialer
        self._signaler = signaler
        self._hello = hello
        self._install = install
        self._waiting: dict[str, JoinerWait] = {}
        self.granting: set[str] = set()
        """Those whose membership is issued and whose link is about to be greeted: nobody needs to dial them."""
        self._joined: dict[str, str] = {}
        """Who came through a dial of that name: a reply code may arrive after its joiner did."""
        self._spent: set[str] = set()
        self.on_revoked: Callable[[str], None] = lambda invite_id: None
        """Hears once of each invite that is revoked, or over for everybody: what its holders have by it ends."""
        self.sweep()

    # --- making and taking back -----------------------------------------------------------------------------------

    def invite(self, uses: int, expires: float, candidates: Iterable[Candidate], signaling: Iterable[str]) -> JoinCode:
        """A new code, on disk before it is returned; raises Refused when this node may not invite."""
        if self._roster.role(self._roster.own_id) == "none":
            raise Refused("this node is a member of no mesh", hint="join one with a code, or make one: atmosphere init")
        if not self._roster.may_invite():
            raise Refused(
                "only the founder and admins invite others",
                hint=f"the founder can run: atmosphere promote {self._roster.own_name}",
            )
        now = time.time()
        if uses < 1 or not 0 < expires < END_OF_TIME - now:
            raise Refused("a join code is for at least one use, and for some time, but not for centuries")
        invite = self._home.invites.create(uses, now + expires, now)
        self._home.save_invites()
        self._listen(invite)
        return JoinCode(
            mesh_id=self._roster.mesh_id_bytes,
            host_id=self._roster.own_id,
            secret=invite.secret,
            mesh_name=self._roster.mesh_name,
            expires_at=int(now + expires),
            candidates=tuple(code_candidates(candidates)),
            signaling=tuple(signaling),
        )

    def invites(self) -> list[InviteInfo]:
        """The join codes that somebody could still use."""
        return [
            InviteInfo(invite.id, invite.uses, invite.used, invite.expires_at, invite.created_at)
            for invite in self._home.invites.usable(time.time())
            if invite.used < invite.uses
        ]

    def revoke(self, invite_id: str) -> None:
        """Take a code back, by its id or the beginning of it; raises CodeError when there is none."""
        matching = [invite.id for invite in self._home.invites.all() if invite.id.startswith(invite_id)]
        self._revoke(matching[0] if len(matching) == 1 else invite_id)
        self._home.save_invites()

    def revoke_used_by(self, node_id: str) -> None:
        """Take back every code that `node_id` redeemed, since it still knows their secrets."""
        for invite in self._home.invites.used_by(node_id):
            self._revoke(invite.id)
        self._home.save_invites()

    def _revoke(self, invite_id: str) -> None:
        self._end(self._home.invites.revoke(invite_id))

    def _end(self, invite: Invite) -> None:
        if invite.id not in self._spent:
            self._spent.add(invite.id)
            self.on_revoked(invite.id)

    def sweep(self) -> None:
        """End what is held by codes that are over, forget those that were over long ago, and listen for the others: a
        late joiner shall hear what is wrong."""
        now = time.time()
        for invite in self._home.invites.all():
            if invite.is_spent(now):
                self._end(invite)
        if self._home.invites.sweep(now):
            self._home.save_invites()
        kept = {invite.id: invite for invite in self._home.invites.all()}
        self._spent &= kept.keys()
        wanted = {_key(invite_id): invite for invite_id, invite in kept.items()}
        for key in {key for key in self._dialer.listening() if key.startswith(_PREFIX)} - wanted.keys():
            self._dialer.unlisten(key)
        for invite in wanted.values():
            self._listen(invite)

    # --- those who come -------------------------------------------------------------------------------------------

    def secret_of(self, invite_id: str) -> DialSecret | None:
        """The secret of one of our invites."""
        invite = self._home.invites.get(invite_id)
        return invite.dial_secret if invite else None

    def usable_secret(self, invite_id: str) -> DialSecret | None:
        """The secret of one of our invites that somebody may still redeem."""
        invite = self._home.invites.get(invite_id)
        return invite.dial_secret if invite and invite.is_usable(time.time()) else None

    def signal_received(self, invite_id: str, joiner_id: str, message: signals.Message) -> None:
        """Somebody with one of our codes tells us that it dials us."""
        invite = self._home.invites.get(invite_id)
        if invite is None or not isinstance(message, signals.Dial):
            return

        async def send(answer: signals.Message) -> None:
            if joiner_id:
                await self._signaler.to_joiner(joiner_id, invite.dial_secret, answer)

        if message.session in self._joined:
            self._joined_by(invite_id, self._joined[message.session])
            return
        self._dialer.dialed(_key(invite_id), message, send)

    def accept_reply(self, text: str) -> JoinerWait:
        """Begin to accept a joiner whose dial was carried by hand; raises CodeError when the reply is none of ours."""
        reply = ReplyCode.parse(text)
        if self._home.invites.get(reply.invite_id) is None:
            raise CodeError("this reply is for a join code that was not made here", reason="unknown")
        wait = JoinerWait()
        self._waiting[reply.invite_id] = wait
        try:
            self._signaler.open_by_hand(reply.invite_id, reply.sealed)
        except DecodeError as error:
            raise CodeError(f"the reply code cannot be used: {error}", reason="malformed") from error
        return wait

    def _listen(self, invite: Invite) -> None:
        self._dialer.listen(_key(invite.id), invite.dial_secret, lambda session: self._accept(invite.id, session))

    def _accept(self, invite_id: str, session: IceSession) -> None:
        async def greet(link: PeerLink) -> None:
            try:
                await greeting.greet_accepted(link, self._roster, self._hello(), redeem)
            finally:
                self.granting.discard(link.peer_id)

        def redeem(link: PeerLink, request: wire.Redeem) -> wire.Granted:
            return self._redeem(invite_id, link, request)

        def greeted(link: PeerLink) -> None:
            self._install(link)
            self._joined[session.dialer_ufrag] = link.peer_id
            if len(self._joined) > MAX_REMEMBERED:
                del self._joined[next(iter(self._joined))]
            self._joined_by(invite_id, link.peer_id)

        self._dialer.accept(session, greet, greeted, invited=True)

    def _joined_by(self, invite_id: str, node_id: str) -> None:
        """Tell whoever waits for the joiner of this invite."""
        wait = self._waiting.pop(invite_id, None)
        if wait is not None:
            wait.joined(node_id)

    def _redeem(self, invite_id: str, link: PeerLink, request: wire.Redeem) -> wire.Granted:
        """Count a use, on disk first, and make the joiner a member; raises CodeError."""
        if request.invite_id != invite_id:
            raise CodeError("the host does not know this join code", reason="unknown")
        exporter = link.link.exporter(invites.EXPORTER_LABEL, invites.EXPORTER_BYTES)
        key = link.link.peer_public_key
        redemption = self._home.invites.redeem(invite_id, request.proof, exporter, key, time.time())
        self.granting.add(link.peer_id)
        # The joiner's own idea of its name, as near as a name may be to it.
        name = clean_name(request.name) or link.peer_id[:8]
        try:
            self._home.save_invites()
            self._roster.issue(key, name)
        except (OSError, AtmosphereError) as error:
            redemption.undo()
            self._save_undone()
            raise CodeError(f"the host could not keep the membership: {error}", reason="unknown") from error
        logger.info("%s joined as %s", link.peer_id[:8], name)
        # Our own membership goes with it: the joiner has to know whom it talks to.
        chain = list(dict.fromkeys((*self._roster.own_chain(), *self._roster.chain_of(link.peer_id))))
        return wire.Granted(self._roster.mesh_name, self._roster.root_public_key, chain)

    def _save_undone(self) -> None:
        try:
            self._home.save_invites()
        except (OSError, AtmosphereError) as error:
            logger.warning("a use that was not granted is still counted on disk: %s", error)


class JoinerWait:
    """The end of an `accept`: who joined."""

    def __init__(self) -> None:
        self._joined: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def joined(self, node_id: str) -> None:
        """The joiner's link is greeted."""
        if not self._joined.done():
            self._joined.set_result(node_id)

    async def node_id(self, timeout: float) -> str:
        """The joiner's id; raises Unreachable after `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                return await self._joined
        except TimeoutError as error:
            raise Unreachable(
                "the joining machine did not get through",
                hint="is `atmosphere join CODE --manual` still waiting there?",
            ) from error


def code_candidates(candidates: Iterable[Candidate]) -> list[CodeCandidate]:
    """The candidates worth a place in a code, best first, each endpoint once.

    Whoever reads the code tries TCP at the addresses of UDP too (`joining.also_over_tcp`), so of TCP itself only what a
    router maps to another port needs a place, where there is room for one. What nobody can try is left out, as port 0
    that a server claimed.
    """
    ranked = sorted((one for one in candidates if one.is_usable), key=lambda candidate: -candidate.priority)
    found: dict[tuple[str, int], CodeCandidate] = {}
    for candidate in ranked:
        if candidate.transport == "udp":
            entry = CodeCandidate(candidate.type, candidate.address, candidate.port)
            found.setdefault((candidate.address, candidate.port), entry)
    tcp = (one for one in ranked if one.tcp_type == "passive" and one.type == "srflx" and one.endpoint not in found)
    extra = [CodeCandidate(one.type, one.address, one.port, "tcp") for one in itertools.islice(tcp, 1)]
    return (_fairly(list(found.values())) + extra)[:MAX_CODE_CANDIDATES]


def _fairly(entries: list[CodeCandidate]) -> list[CodeCandidate]:
    """At most 8, and never without the public and relayed ones: those are what a distant joiner needs."""
    near = [entry for entry in entries if entry.type == "host"]
    far = [entry for entry in entries if entry.type != "host"]
    room = max(MAX_CODE_CANDIDATES - len(far), MAX_CODE_CANDIDATES // 2)
    return (near[:room] + far)[:MAX_CODE_CANDIDATES]


_PREFIX = "invite:"


def _key(invite_id: str) -> str:
    return _PREFIX + invite_id
