"""The answer to `atmosphere explain`: a Situation in words, with its one cause and the one change that helps. Pure."""

from __future__ import annotations

import re

from atmosphere.ice.events import PairReport
from atmosphere.ice.nat import NatBehaviour
from atmosphere.mesh.causes import cause_of
from atmosphere.mesh.info import AttemptInfo, Explanation, PairInfo, PathEndInfo, SideInfo
from atmosphere.mesh.situation import Attempt, Cause, Side, Situation

__all__ = ["EXAMPLE_WORDS", "explain", "fill", "nat_words", "side_info"]

_ERRNO = re.compile(r"\[Errno -?\d+\] ")

_NAT_WORDS: dict[str, str] = {
    "open": "no NAT: a public address",
    "full-cone": "full-cone NAT: whoever knows the port gets in",
    "restricted-cone": "restricted-cone NAT: addresses that were sent to get in",
    "port-restricted-cone": "port-restricted NAT: the very ports that were sent to get in",
    "symmetric": "symmetric NAT: the router uses another port for each peer",
    "udp-blocked": "UDP is blocked",
    "unknown": "not known what the router does",
}

EXAMPLE_WORDS = {
    "peer": "PEER",
    "port": "7777",
    "lan": "192.168.1.10",
    "peer_port": "7777",
    "peer_lan": "192.168.7.20",
    "family": "IPv4",
    "peer_family": "IPv6",
    "relay": "RELAY: no answer",
    "error": "…",
    "left": "…",
    "guess": "",
    "mapping": "",
}
"""The words of a sentence as the documentation shows them."""


def explain(situation: Situation, relays: list[str]) -> Explanation:
    """Why the peer is reached as it is; `relays` are lines on how each relay does."""
    cause = cause_of(situation)
    words = _words(situation)
    why, advice = fill(cause, words)
    return Explanation(
        cause=cause.name,
        why=why,
        advice=advice,
        here=side_info(situation.here),
        there=side_info(situation.there),
        pairs=_groups(situation.pairs),
        relays=[_ERRNO.sub("", line) for line in relays],
        attempt=_attempt(situation.attempt),
        next_try_in=situation.next_try,
        guessing=(situation.search.finding or None) if situation.search is not None else None,
    )


def _attempt(attempt: Attempt | None) -> AttemptInfo | None:
    if attempt is None:
        return None
    return AttemptInfo(attempt.layer, attempt.answered, round(attempt.seconds, 1), _sentence(attempt.error))


def fill(cause: Cause, words: dict[str, str]) -> tuple[str, str | None]:
    """The two sentences of a cause with `words` in place of its braces."""
    return cause.why.format_map(words), cause.advice.format_map(words) or None


def _words(s: Situation) -> dict[str, str]:
    down = next((f"{one.uri}: {_sentence(one.error) or 'no answer'}" for one in s.relays if not one.ok), "")
    finding = _sentence(s.search.finding) if s.search is not None else None
    return {
        "peer": s.name,
        **_place("", s.here, "this machine"),
        **_place("peer_", s.there, s.name),
        "relay": down,
        "error": _sentence(s.attempt.error if s.attempt else None) or "",
        "left": (s.left or "").removeprefix("the other side: "),
        "guess": f" Port guessing was {finding}." if finding else "",
        "mapping": " (and start this node without --no-port-mapping)" if s.here.mapping == "off" else "",
    }


def _place(prefix: str, side: Side, who: str) -> dict[str, str]:
    address, port = side.lan or (who, 7777)
    family = "IPv6" if side.families == {6} else "IPv4"
    return {f"{prefix}lan": address, f"{prefix}port": str(port), f"{prefix}family": family}


def _sentence(text: str | None) -> str | None:
    """An error's text as a part of a sentence: one line, without the system's numbers, no full stop of its own."""
    return None if text is None else " ".join(_ERRNO.sub("", text).split()).rstrip(".")


def nat_words(nat: NatBehaviour) -> str:
    """A NAT in plain words, its everyday name first."""
    if nat.type == "open" and nat.filtering in ("address-dependent", "address-and-port-dependent"):
        return "no NAT but a firewall: a public address, which only those that were sent to get in to"
    return _NAT_WORDS[nat.type]


def side_info(side: Side) -> SideInfo:
    """One end of the link as it is shown."""
    words = _NAT_WORDS["udp-blocked"] if side.udp is False else nat_words(side.nat)
    nat = side.nat
    return SideInfo(nat.mapping, nat.filtering, nat.type, words, side.policy, side.udp, side.mapping)


def _groups(pairs: tuple[PairReport, ...]) -> list[PairInfo]:
    """Pairs that ended alike as one: first what is in use, then the direct ones, each in the order of their best."""
    groups: dict[tuple[object, ...], list[PairReport]] = {}
    for pair in pairs:
        outcome = _outcome(pair)
        key = outcome, pair.relayed, pair.local.type, pair.remote.type, pair.remote.family, pair.local.transport
        groups.setdefault(key, []).append(pair)
    found = [_group(members) for members in groups.values()]
    return sorted(found, key=lambda group: (group.outcome != _IN_USE, group.relayed))


def _group(members: list[PairReport]) -> PairInfo:
    best = members[0]
    local, remote = (PathEndInfo(end.type, end.address, end.port) for end in (best.local, best.remote))
    rtt = None if best.rtt is None else round(best.rtt * 1000, 1)
    return PairInfo(_outcome(best), len(members), best.relayed, local, remote, rtt, best.local.transport)


_IN_USE = "in use"
_OUTCOMES = {"succeeded": "works", "in progress": "being checked", "waiting": "not checked yet"}


def _outcome(pair: PairReport) -> str:
    if pair.selected:
        return _IN_USE
    if pair.state == "in progress" and pair.why:
        return f"{pair.why}, asked again"
    return _OUTCOMES.get(pair.state) or pair.why or "failed"
