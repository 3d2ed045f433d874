"""Why a peer is reached as it is, and the one change that would help: a table, of which the first line that fits is
taken. Pure.

A line is what has to be so (a predicate over the Situation), why that makes the path what it is, and what to do (empty:
nothing). The sentences are for people who never heard of ICE. docs/INTERNET_NETWORKING.md shows the same table. The
lines for peers that are not connected are in causes_away.py.
"""

from __future__ import annotations

from atmosphere.mesh.causes_away import AWAY
from atmosphere.mesh.situation import SETTLING, Cause, Situation

__all__ = ["AWAY", "CAUSES", "CONNECTED", "cause_of"]

GUESSING = 45.0
"""Seconds in which the guessing of ports comes to an end, if it is tried at all."""


def cause_of(situation: Situation) -> Cause:
    """The one cause of what `situation` shows."""
    group = CONNECTED if situation.connected else AWAY
    return next(cause for cause in group if cause.when(situation))


# --- predicates that are more than a line ---------------------------------------------------------------------------


def _answered(s: Situation) -> bool:
    return any(pair.state == "succeeded" for pair in s.direct)


def _fell_silent(s: Situation) -> bool:
    return any(pair.why == "fell silent" for pair in s.direct)


def _settling(s: Situation) -> bool:
    # One that was silent once is checked again for ever: that is no reason to wait.
    return s.age < SETTLING and any(pair.state in ("waiting", "in progress") and not pair.why for pair in s.direct)


def _no_common_family(s: Situation) -> bool:
    return bool(s.here.families and s.there.families) and not s.here.families & s.there.families


def _guessing(s: Situation) -> bool:
    hard = any(side.is_hard for side in s.sides)
    return s.search is not None and s.search.pending and hard and s.age < GUESSING


def _mapped_in_vain(s: Situation) -> bool:
    return any(side.mapping == "beyond" for side in s.sides)


def _firewall_here(s: Situation) -> bool:
    return s.here.is_open and not s.there.is_easy


def _firewall_there(s: Situation) -> bool:
    return s.there.is_open and not s.here.is_easy


def _hard_there(s: Situation) -> bool:
    return s.there.is_hard and not s.here.lets_in


def _hard_here(s: Situation) -> bool:
    return s.here.is_hard and not s.there.lets_in


def _should_work(s: Situation) -> bool:
    """Both NATs are known, and they would let a direct path through."""
    return all(side.nat.mapping != "unknown" for side in s.sides)


# --- the table ------------------------------------------------------------------------------------------------------

CONNECTED = (
    Cause(
        "direct-tcp",
        lambda s: not s.is_relayed and s.path is not None and s.path.protocol == "tcp",
        "The path is direct, over TCP: no UDP gets through between the two networks.",
        "Let UDP out of the network that blocks it (`atmosphere network` on both sides tells which): it is faster.",
    ),
    Cause("direct", lambda s: not s.is_relayed, "The path is direct; there is no better one."),
    Cause(
        "policy-here",
        lambda s: s.here.policy == "relay",
        "This node runs with --path-policy relay: it uses nothing but relays, so that no peer learns its address.",
        "For direct paths start it with --path-policy any.",
    ),
    Cause(
        "policy-there",
        lambda s: s.there.policy == "relay",
        "{peer} runs with --path-policy relay: it uses nothing but relays, so that no peer learns its address.",
        "For a direct path start {peer} with --path-policy any.",
    ),
    Cause(
        "udp-blocked-here",
        lambda s: s.here.udp is False,
        "Your network blocks UDP: no UDP packet of this machine was answered, and direct paths need it.",
        "Let UDP out in the firewall of your network (and of this machine); until then the relay is the best there is.",
    ),
    Cause(
        "udp-blocked-there",
        lambda s: s.there.udp is False,
        "The network of {peer} blocks UDP: none of its UDP packets was answered, and direct paths need it.",
        "Let UDP out in the firewall of {peer}'s network; until then the relay is the best there is.",
    ),
    Cause(
        "direct-works",
        _answered,
        "A direct path answers and is about to take over from the relay.",
    ),
    Cause(
        "direct-lost",
        _fell_silent,
        "There was a direct path, and it fell silent; it is tried again by itself.",
        "If this comes back often, `atmosphere network` on both sides shows which router forgets its connections.",
    ),
    Cause(
        "settling",
        _settling,
        "The relay came first, as it should; direct ways are still being checked.",
        "Wait some seconds: `atmosphere ping {peer} --until-direct` tells when it is direct.",
    ),
    Cause(
        "guessing",
        _guessing,
        "A router changes ports for each peer (symmetric NAT); its next port is being guessed behind the relayed path.",
        "Wait half a minute: `atmosphere ping {peer} --until-direct` tells when it is direct.",
    ),
    Cause(
        "one-network",
        lambda s: s.one_network,
        "Both machines are in one network, but what one sends to the other does not arrive.",
        "Allow UDP port {port} in the firewall of both machines, and turn off client isolation in the Wi-Fi.",
    ),
    Cause(
        "no-hairpin",
        lambda s: s.one_address,
        "Both networks share one public address, whose router sends nothing back in (no hairpinning).",
        "Turn on hairpinning (also called NAT loopback) in that router; where it is the provider's, use IPv6.",
    ),
    Cause(
        "no-common-family",
        _no_common_family,
        "This node has only {family} and {peer} only {peer_family}: no packet gets from one to the other directly.",
        "Turn on {peer_family} in your router (or {family} in the one of {peer}).",
    ),
    Cause(
        "no-public-address",
        lambda s: not s.here.public,
        "This node does not know its public address, so it could not tell {peer} where to knock: no STUN server"
        " (which says what the internet sees) answers.",
        "Name one that answers: --stun stun:HOST:PORT (an `atmosphere relay` is one).",
    ),
    Cause(
        "no-public-address-there",
        lambda s: not s.there.public,
        "{peer} did not say under which public address it is seen: no STUN server (which tells that) answers over"
        " there.",
        "Name one that answers to {peer}: --stun stun:HOST:PORT (an `atmosphere relay` is one).",
    ),
    Cause(
        "mapped-in-vain",
        _mapped_in_vain,
        "A router opened a port when asked, but nothing comes in by it: another NAT, the provider's, stands before it.",
        "Ask the provider for a public address (IPv4, or IPv6 for both sides).",
    ),
    Cause(
        "firewall-here",
        _firewall_here,
        "No router stands before this machine, but its firewall drops what comes unasked; and the router of {peer}"
        " changes ports, so that nobody can tell whom to ask.",
        "Allow UDP port {port} in the firewall of this machine (`ufw allow {port}/udp`, or the like).",
    ),
    Cause(
        "firewall-there",
        _firewall_there,
        "No router stands before {peer}, but its firewall drops what comes unasked; and your router changes ports, so"
        " that nobody can tell whom to ask.",
        "Allow UDP port {peer_port} in the firewall of {peer} (`ufw allow {peer_port}/udp`, or the like).",
    ),
    Cause(
        "symmetric-both",
        lambda s: s.here.is_hard and s.there.is_hard,
        "Both routers change ports for each peer (symmetric NAT), so neither side can be told where to knock.{guess}",
        "Turn on UPnP, NAT-PMP or PCP in your router or in that of {peer}, so that the node can open a port for"
        " itself{mapping}.",
    ),
    Cause(
        "symmetric-there",
        _hard_there,
        "The router of {peer} changes ports for each peer (symmetric NAT), and yours lets in only the very ports that"
        " this machine sent to.{guess}",
        "Forward UDP port {port} on your router to {lan}, or turn on UPnP, NAT-PMP or PCP in it{mapping}.",
    ),
    Cause(
        "symmetric-here",
        _hard_here,
        "Your router changes ports for each peer (symmetric NAT), and that of {peer} lets in only the very ports that"
        " {peer} sent to.{guess}",
        "Forward UDP port {peer_port} on the router of {peer} to {peer_lan}, or turn on UPnP, NAT-PMP or PCP in it.",
    ),
    Cause(
        "dropped",
        _should_work,
        "Both routers would let a direct path through, but no check was answered: a firewall drops them.",
        "Allow UDP port {port} in the firewall of this machine, and UDP port {peer_port} in that of {peer}.",
    ),
    Cause(
        "relayed",
        lambda s: True,
        "No direct check got through both routers.",
        "Forward UDP port {port} on your router to {lan}, or turn on UPnP, NAT-PMP or PCP in it{mapping}.",
    ),
)
"""While there is a path."""

CAUSES = (*CONNECTED, *AWAY)
"""Every cause, in order."""
