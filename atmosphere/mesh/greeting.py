"""The first words on a link: two members prove themselves to each other, or a joiner redeems an invite.

Nothing else of the mesh is said before this is done. A member's Hello carries the facts that make it one, so that a
peer who never heard of it can still judge; what decides is that those facts name the key of this very DTLS handshake.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from atmosphere.errors import CodeError, DecodeError, LinkError, Refused
from atmosphere.mesh import wire
from atmosphere.mesh.peerlink import PeerLink
from atmosphere.mesh.roster import Roster
from atmosphere.names import clean_name

GREETING_TIMEOUT = 10.0

RedeemHandler = Callable[[PeerLink, wire.Redeem], wire.Granted]
"""Judges a redemption: what to grant, stored before it is returned; raises CodeError to refuse."""


def hello(roster: Roster, boot: bytes, version: str) -> wire.Hello:
    """This node's first word to another member."""
    return wire.Hello(wire.PROTOCOL, roster.mesh_id, boot, version, roster.own_chain())


async def greet_dialed(link: PeerLink, roster: Roster, own: wire.Hello, expected: str) -> None:
    """Prove ourselves to the member we dialed and check that it is `expected`; raises Refused or LinkError."""
    if link.peer_id != expected:
        raise Refused(f"somebody else ({link.peer_id[:8]}…) answered instead of {expected[:8]}…")
    link.post(own)
    check_hello(link, roster, await _first_word(link))


async def greet_accepted(link: PeerLink, roster: Roster, own: wire.Hello, redeem: RedeemHandler | None) -> None:
    """Judge who dialed us: a member by its Hello, a joiner (where `redeem` is given) by its proof; raises Refused or
    LinkError.

    A joiner gets our Hello with the grant, which it has earned by then: that saves it a round trip.
    """
    greeted = False
    try:
        first = await _first_word(link)
        if isinstance(first, wire.Redeem):
            check_protocol(first.protocol)
            if redeem is None:
                raise CodeError("this address is for members", reason="unknown")
            link.post(redeem(link, first))
            link.post(own)
            greeted = True
            first = await _first_word(link)
        check_hello(link, roster, first)
    except CodeError as error:
        link.post(wire.Denied(error.reason, str(error)[:256]))
        raise
    except (Refused, DecodeError) as error:
        link.post(wire.Denied("member", str(error)[:256]))
        raise
    if not greeted:
        link.post(own)


async def redeem_invite(link: PeerLink, request: wire.Redeem) -> wire.Granted:
    """Ask the host to make us a member; its grant. Raises CodeError with its reason, or LinkError."""
    link.post(request)
    answer = await _first_word(link)
    if isinstance(answer, wire.Denied):
        raise refusal(answer)
    if not isinstance(answer, wire.Granted):
        raise LinkError("the host answered something else than yes or no")
    return answer


async def _first_word(link: PeerLink) -> wire.Message:
    async with asyncio.timeout(GREETING_TIMEOUT):
        return await link.receive()


def check_protocol(protocol: int) -> None:
    """Refuse a peer of another protocol version with a word that helps."""
    if protocol != wire.PROTOCOL:
        other = "newer" if protocol > wire.PROTOCOL else "older"
        raise Refused(f"the other side runs an {other} version of atmosphere", hint="upgrade the older of the two")


def check_hello(link: PeerLink, roster: Roster, message: wire.Message) -> None:
    """Take the peer's Hello as proof of membership, or raise Refused."""
    if isinstance(message, wire.Denied):
        raise refusal(message)
    if not isinstance(message, wire.Hello):
        raise Refused("the other side did not introduce itself")
    check_protocol(message.protocol)
    if message.mesh_id != roster.mesh_id:
        raise Refused("the other side belongs to another mesh")
    roster.add_facts(message.chain)
    member = roster.member(link.peer_id)
    if member is None or member.public_key != link.link.peer_public_key:
        raise Refused(f"{link.peer_id[:8]}… is not a member of this mesh, or no longer")
    link.boot, link.version = message.boot, clean_name(message.version)
    link.connected_at = time.time()


def refusal(denied: wire.Denied) -> Refused:
    """The error that a Denied stands for, in printable words."""
    text = "".join(letter if letter.isprintable() else "?" for letter in denied.text)
    if denied.reason in ("member", "protocol", "mesh"):
        return Refused(f"refused by the other side: {text}")
    return CodeError(text, reason=denied.reason)
