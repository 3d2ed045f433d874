"""Becoming a member: the joiner's side of a join code, every way at once.

Checks go straight to the code's candidates; meanwhile the dial is left at the code's signaling servers and at the
host's own WebSocket, or carried by hand. Whatever way the host hears of us, it only helps ICE; the code is redeemed
inside DTLS.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Awaitable, Callable, Iterable
from typing import cast
from urllib.parse import urlsplit

from atmosphere.credentials import DialSecret
from atmosphere.errors import LinkError, Refused, Unreachable
from atmosphere.ice.candidate import Candidate, CandidateType, candidate_priority, foundation, tcp_priority
from atmosphere.identity import Identity
from atmosphere.joincode import CodeCandidate, JoinCode
from atmosphere.mesh import greeting, invites, signals, wire
from atmosphere.mesh.dialer import Dialer, new_ufrag
from atmosphere.mesh.exchange import Exchange
from atmosphere.mesh.meeting import Meeting
from atmosphere.mesh.member_relays import offer_of
from atmosphere.mesh.peer import Peer, describe_path, path_info
from atmosphere.mesh.peerlink import PeerLink
from atmosphere.mesh.reachability import relay_uri
from atmosphere.mesh.signaler import Signaler
from atmosphere.replycode import ReplyCode
from atmosphere.tasks import Tasks
from atmosphere.turn.uri import ServerUri, TurnServer

logger = logging.getLogger(__name__)

MANUAL_TIMEOUT = 600.0
"""Seconds that a join by hand waits for the host's `accept`."""

ALONE_TIMEOUT = 10.0
"""Seconds for a second attempt, by the code's own addresses alone."""

MAX_RELAYS = 2
"""Addresses of the host at which a joiner asks for a relayed one, and of others that tell it where it is seen."""

Progress = Callable[[str], None]
Adopt = Callable[[PeerLink, wire.Granted, JoinCode, str], Awaitable[Peer]]


class Impostor(Refused):
    """Somebody who knows the code's secret, and is not its host."""


async def _nowhere(message: signals.Message) -> None:
    """Send no signal."""


class ManualJoin:
    """A join by hand: `reply` is to be carried to the host; `wait` ends when the host has accepted it."""

    def __init__(self, reply: str, redeeming: asyncio.Task[Peer]) -> None:
        self.reply = reply
        self._redeeming = redeeming

    async def wait(self) -> Peer:
        """The host as a peer, once it accepted; raises what `Node.join` raises."""
        return await self._redeeming


class Joining:
    """Redeems join codes; `adopt` makes a grant this node's own."""

    def __init__(
        self, identity: Identity, dialer: Dialer, signaler: Signaler, meeting: Meeting, *, adopt: Adopt
    ) -> None:
        self._identity = identity
        self._dialer = dialer
        self._signaler = signaler
        self._meeting = meeting
        self._adopt = adopt
        self._codes: dict[str, list[JoinCode]] = {}
        """Those being redeemed, by invite; one code perhaps more than once."""
        self._tasks = Tasks("joining")
        self.on_code: Callable[[JoinCode], None] = lambda code: None

    def secret_of(self, invite_id: str) -> DialSecret | None:
        """The secret of a code that is being redeemed."""
        codes = self._codes.get(invite_id)
        return codes[-1].dial_secret if codes else None

    def signal_received(self, invite_id: str, message: signals.Message) -> None:
        """The host of one of our codes answered."""
        if isinstance(message, signals.Candidates):
            self._dialer.answered(message)

    async def join(self, code: JoinCode, name: str, progress: Progress, timeout: float) -> Peer:
        """Redeem `code`; the host as a peer. Raises CodeError, Refused, Unreachable."""

        async def send(message: signals.Message) -> None:
            await self._signaler.to_host(code.host_id, code.dial_secret, message)

        progress("checking the host's addresses")
        self.on_code(code)
        self._codes.setdefault(code.invite_id, []).append(code)
        try:
            async with self._meeting.also_at(meeting_places(code)):
                known = also_over_tcp(await code_candidates(code))
                exchange = self._dialer.begin(code.dial_secret, known, send, ufrag=new_ufrag(0))
                try:
                    return await self._redeem(exchange, code, name, progress, timeout)
                except Impostor as error:
                    return await self._redeem_alone(error, known, code, name, progress, timeout)
        finally:
            self._forget(code)

    def _forget(self, code: JoinCode) -> None:
        codes = self._codes[code.invite_id]
        codes.remove(code)
        if not codes:
            del self._codes[code.invite_id]

    async def _redeem_alone(
        self, error: Impostor, known: list[Candidate], code: JoinCode, name: str, progress: Progress, timeout: float
    ) -> Peer:
        """Try once more after somebody else who has the code was told of us, and answered. Now nobody is told: the
        code's addresses are the host's own."""
        progress("somebody else answered; checking the code's own addresses alone")
        exchange = self._dialer.begin(code.dial_secret, known, _nowhere, ufrag=new_ufrag(0))
        try:
            return await self._redeem(exchange, code, name, progress, min(timeout, ALONE_TIMEOUT))
        except Unreachable:
            raise error from None

    async def join_manual(self, code: JoinCode, name: str) -> ManualJoin:
        """Begin to redeem `code` with a dial that a person carries."""
        self.on_code(code)
        known, ufrag = also_over_tcp(await code_candidates(code)), new_ufrag(0)
        # A person carries this, and whoever is asked to connect over TCP needs to know nothing of it.
        ours = [candidate for candidate in self._dialer.candidates() if candidate.transport == "udp"]
        dial = signals.Dial(ufrag, signals.candidate_lines(ours))
        reply = ReplyCode(code.invite_id, self._signaler.seal_by_hand(code.dial_secret, dial))
        redeeming = self._tasks.spawn(self._redeem_by_hand(code, name, known, ufrag), "join by hand")
        if redeeming is None:
            raise Unreachable("the node is stopping")
        return ManualJoin(str(reply), redeeming)

    async def _redeem_by_hand(self, code: JoinCode, name: str, known: list[Candidate], ufrag: str) -> Peer:
        """Dial again and again under the one ufrag that the reply names, until the host has been told."""
        deadline = asyncio.get_running_loop().time() + MANUAL_TIMEOUT
        while True:
            exchange = self._dialer.begin(code.dial_secret, known, _nowhere, ufrag=ufrag)
            try:
                return await self._redeem(exchange, code, name, lambda step: None, MANUAL_TIMEOUT)
            except Unreachable:
                if asyncio.get_running_loop().time() > deadline:
                    raise

    async def _redeem(self, exchange: Exchange, code: JoinCode, name: str, progress: Progress, timeout: float) -> Peer:
        granted: list[wire.Granted] = []

        async def greet(link: PeerLink) -> None:
            progress(describe_path(path_info(link.session), link.session.rtt_ms))
            granted.append(await self._ask(link, code, name))

        try:
            link = await self._dialer.finish(exchange, greet, timeout, invited=True)
        except (Unreachable, LinkError, TimeoutError) as error:
            failures = self._meeting.failures(code.signaling)
            raise Unreachable(
                f"the host of this code could not be reached: {why(exchange, error, failures)}",
                hint="is the host running? `atmosphere network` shows what this side's network allows",
            ) from error
        return await self._adopt(link, granted[0], code, name)

    async def _ask(self, link: PeerLink, code: JoinCode, name: str) -> wire.Granted:
        if link.peer_id != code.host_id:
            raise Impostor("somebody else than the code's host answered")
        exporter = link.link.exporter(invites.EXPORTER_LABEL, invites.EXPORTER_BYTES)
        proof = invites.prove(code.dial_secret, exporter, self._identity.public_key)
        return await greeting.redeem_invite(link, wire.Redeem(wire.PROTOCOL, code.invite_id, proof, name))

    async def close(self) -> None:
        """Give up what is under way."""
        await self._tasks.close()


# --- from the code ------------------------------------------------------------------------------------------------


async def code_candidates(code: JoinCode) -> list[Candidate]:
    """The host's candidates as ICE wants them, names looked up; their order in the code is their rank."""
    found = []
    for rank, entry in enumerate(code.candidates):
        found += [_candidate(entry, address, rank) for address in await _addresses(entry)]
    return found


async def _addresses(entry: CodeCandidate) -> list[str]:
    try:
        return [str(ipaddress.ip_address(entry.address))]
    except ValueError:
        pass
    try:
        async with asyncio.timeout(3):
            infos = await asyncio.get_running_loop().getaddrinfo(entry.address, entry.port, type=socket.SOCK_DGRAM)
    except (OSError, TimeoutError) as error:
        logger.info("%s was not found: %s", entry.address, error)
        return []
    return list(dict.fromkeys(str(info[4][0]) for info in infos))[:4]


def _candidate(entry: CodeCandidate, address: str, rank: int) -> Candidate:
    kind = cast("CandidateType", entry.type)
    if entry.protocol == "tcp":
        return _passive(kind, address, entry.port, rank)
    return Candidate(
        foundation=foundation(kind, address),
        component=1,
        transport="udp",
        priority=candidate_priority(kind, 65535 - rank),
        address=address,
        port=entry.port,
        type=kind,
    )


def also_over_tcp(known: list[Candidate]) -> list[Candidate]:
    """`known` and the host's TCP port: it has the number of the UDP port on each of the host's addresses (RFC 6544)."""
    own = [one for one in known if one.transport == "udp" and one.type in ("host", "srflx")]
    return known + [_passive(one.type, one.address, one.port, rank) for rank, one in enumerate(own)]


def _passive(kind: CandidateType, address: str, port: int, rank: int) -> Candidate:
    return Candidate(
        foundation=foundation(kind, address, protocol="tcp"),
        component=1,
        transport="tcp",
        priority=tcp_priority(kind, "passive", 8191 - rank),
        address=address,
        port=port,
        type=kind,
        tcp_type="passive",
    )


def meeting_places(code: JoinCode) -> list[str]:
    """Where a joiner can leave word for the host: the code's signaling servers, and the host's own WebSocket."""
    own = []
    for entry in code.candidates:
        if entry.type in ("host", "srflx"):
            address = f"[{entry.address}]" if ":" in entry.address else entry.address
            own.append(f"ws://{address}:{entry.port}")
    return list(dict.fromkeys((*code.signaling, *own)))


def relays_of(code: JoinCode) -> list[TurnServer]:
    """Where the host may relay for whoever holds its code, to itself above all: over TCP, where UDP is blocked."""
    found: list[ServerUri] = []
    for entry in code.candidates:
        address = (entry.address, entry.port)
        offer = offer_of(code.host_id, [relay_uri(address)]) if entry.type in ("host", "srflx") else None
        found += offer.uris if offer else ()
    password = code.dial_secret.turn_password
    return [TurnServer(uri, code.invite_id, password, code.host_id) for uri in found[:MAX_RELAYS]]


def stun_of(code: JoinCode) -> list[ServerUri]:
    """Who can tell a joiner where it is seen: nodes and `atmosphere relay` answer STUN at the port of their WebSocket.

    A host that is reached through a relay only must know this, for its relay lets nobody through whom it did not name.
    """
    places = [urlsplit(url) for url in code.signaling if url.startswith("ws://")]
    found = [ServerUri("stun", place.hostname, place.port) for place in places if place.hostname and place.port]
    return found[:MAX_RELAYS]


def why(exchange: Exchange, error: BaseException, failures: Iterable[str] = ()) -> str:
    """What was tried and how it ended, in one line; `failures` are the servers that could not be used."""
    remotes = dict.fromkeys(f"{pair.remote.address}:{pair.remote.port}" for pair in exchange.session.report())
    ways = [f"checks to {', '.join(remotes)}" if remotes else "no address to send checks to"]
    ways.append("the host answered through signaling" if exchange.answered else "no word through signaling")
    ways += failures
    if str(error):
        ways.append(str(error))
    return "; ".join(ways)
