"""When a pair is checked again: patience while connecting, back-off once connected (seconds throughout)."""

from __future__ import annotations

import math

from atmosphere.ice.checklist import CheckList
from atmosphere.ice.pair import CandidatePair, PathClass

__all__ = ["PACE", "next_round", "round_lifetime", "rush"]

PACE = 0.01
"""Between two new checks (Ta, RFC 8445 §14.2, which allows 5 ms)."""
CONNECTING_LIFETIME = 5.0
CONNECTED_LIFETIME = 1.75
SPARE_RESTS, SPARE_SPREAD = 4 / 3, 1 / 3
"""A spare pair is kept warm every 20 to 25 s where a path rests for 15: one lost packet is repeated at once here."""
RETRY_FIRST, RETRY_MOST = 0.5, 4.0
BACK_OFF = (0.1, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
WORSE_TRIES = 2
SOON, RTT_SAMPLES, GET_TO_KNOW = 2.0, 3, 12
_GOLDEN = 0.6180339887498949


def round_lifetime(pairs: CheckList) -> float:
    """How long one check is repeated: 7 sends while nothing works yet, 3 when it is only about something better."""
    return CONNECTING_LIFETIME if pairs.selected is None else CONNECTED_LIFETIME


def next_round(pairs: CheckList, pair: CandidatePair, now: float) -> float:
    """When `pair`'s next round starts by itself; infinite for never.

    Without a path every pair is tried again and again, since the other side may start late and a NAT lets it in only
    while we send. With one, better pairs are retried: for ever while the path is relayed or over TCP, so that no link
    stays so longer than it must; else until the back-off is used up. Answered ones are kept warm as spares, NAT
    mappings and all.
    """
    selected = pairs.selected
    if pair is selected:
        return math.inf
    if pair.is_valid:
        again_at = pair.unfit_until if selected is None else pair.distrusted_until
        if now < again_at:
            return max(now + 1.0, again_at)
        return now + _keep_warm(pairs, pair) if pairs.is_spare(pair) else math.inf
    tries = max(pair.failures, 1)
    if selected is None:
        return now + min(RETRY_FIRST * (1 << min(tries - 1, 8)), RETRY_MOST)
    if pair.remote.type == "prflx" and not math.isfinite(pair.answered_at):
        return math.inf  # nobody but its own checks told of that address, and those trigger ours
    better = pairs.rank(pair) > pairs.rank(selected)
    limit = (math.inf if selected.path_class < PathClass.DIRECT_UDP else len(BACK_OFF) + 1) if better else WORSE_TRIES
    return now + BACK_OFF[min(tries, len(BACK_OFF)) - 1] if tries <= limit else math.inf


def _keep_warm(pairs: CheckList, pair: CandidatePair) -> float:
    """Seconds until a spare's next check; the first few come soon, for its round trip may be the shorter one."""
    if pair.rtt_samples < RTT_SAMPLES and pair.checks_sent < GET_TO_KNOW:
        return SOON
    phase = (pair.checks_sent * _GOLDEN + pair.remote.port / 997) % 1
    return pairs.rest * (SPARE_RESTS + SPARE_SPREAD * phase)


def rush(pairs: CheckList, now: float, *, only_valid: bool) -> None:
    """Let every pair that is not being checked be due now: the path is in doubt, or gone."""
    for pair in pairs:
        if pair.in_round or pair is pairs.selected or (only_valid and not pair.is_valid):
            continue
        pair.failures = 0
        pair.due_at = now
