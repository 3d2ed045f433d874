"""Why an attempt found no path, in plain words, and when it is hopeless (RFC 8445 §8.3 leaves both open). Pure."""

from __future__ import annotations

import math

from atmosphere.ice.checklist import CheckList
from atmosphere.ice.pair import CandidatePair

__all__ = ["hopeless_after", "why_not"]

NOWHERE = 10.0
"""Seconds without news after which it is enough that nothing can be sent anywhere."""
SILENCE = 15.0
"""The same where everything was sent and nothing came: the other side may be late, but then it will call."""
ROUNDS = 2


def hopeless_after(pairs: CheckList) -> float:
    """Seconds after the last news (a candidate of either side) when trying on makes no sense; infinite if it does."""
    tried = list(pairs)
    if not pairs.remotes or any(pair.authenticated for pair in tried):
        return math.inf
    if all(pair.unsent for pair in tried):
        return NOWHERE
    return SILENCE if all(pair.failures >= ROUNDS for pair in tried) else math.inf


def why_not(pairs: CheckList, *, known: bool) -> str:
    """The most telling cause, one line; `known` says whether the remote's credentials are."""
    if not known:
        return "the other side never said who it is"
    tried = list(pairs)
    if not tried:
        return _why_no_pairs(pairs) + _left_out(pairs)
    if all(pair.unsent for pair in tried):
        return f"this machine cannot send to any of the other side's addresses ({tried[0].unsent})"
    many = f"none of {len(tried)} pairs of addresses was answered"
    if any(pair.authenticated for pair in tried):
        return f"{many}, although the other side's checks arrive: what we send to it is lost on the way"
    refused = next((pair for pair in tried if pair.why.startswith("refused")), None)
    if refused is not None:
        return f"{many}; {refused.remote.address} port {refused.remote.port} {refused.why}"
    return many + _missing_relay(tried) + _left_out(pairs)


def _why_no_pairs(pairs: CheckList) -> str:
    ours = {candidate.family for candidate in pairs.bases.values()}
    theirs = {candidate.family for candidate in pairs.remotes.values()}
    if not theirs:
        return "no address of the other side's is known"
    if not ours:
        return "there is no address of our own to send from"
    if not ours & theirs:
        return f"we have IPv{min(ours)} addresses only, the other side IPv{min(theirs)} addresses only"
    return "no address of the other side's can be reached from any of ours"


def _missing_relay(tried: list[CandidatePair]) -> str:
    return "" if any(pair.is_relayed for pair in tried) else ", and neither side has a relay"


def _left_out(pairs: CheckList) -> str:
    count = pairs.policy.left_out
    return f"; the path policy {pairs.policy.name} left out {count} addresses" if count else ""
