"""Which pair carries the data: the controlling side's choice, and the controlled side's obedience (RFC 8445 §8).

The controlling side nominates once, a short settle after the first success; after that a pair that is clearly better
takes over (relay to direct above all), by a nomination with a higher counter.
"""

from __future__ import annotations

import math

from atmosphere.ice.checklist import CheckList
from atmosphere.ice.pair import CandidatePair, PairState

__all__ = ["Nominations", "Nominator"]

RELAY_PATIENCE = 0.1
DIRECT_HOPE = 0.5
LONGER, LONGER_BY = 1.2, 0.01
MUCH_LONGER, MUCH_LONGER_BY = 1.5, 0.02
"""A better pair whose round trip is longer (times, plus seconds) is not moved to; one that is in use is only left when
it is much longer. The gap between the two keeps pairs that are about as long from taking turns."""
CHASE_PAUSE = 300.0
"""Seconds from one move for the sake of a round trip to the next; doubled each time."""
RTT_SAMPLES = 3
"""A shorter round trip counts when it was measured so often."""


class Nominator:
    """The controlling side: decides when to nominate what. Seconds throughout."""

    def __init__(self, settle: float) -> None:
        self.counter = 0
        self._settle = settle
        self._first_valid_at = math.inf
        self._chase_at = -math.inf
        self._chase_pause = CHASE_PAUSE

    def succeeded(self, now: float) -> None:
        """A pair became valid: the settle starts with the first."""
        self._first_valid_at = min(self._first_valid_at, now)

    def choose(self, pairs: CheckList, now: float) -> tuple[CandidatePair | None, float]:
        """The pair to nominate first, or None and the time to ask again.

        A direct pair waits for the settle, and only while a better one is being checked. A relayed one waits a little
        longer for direct ones that were started lately: most links that can be direct show it within that time.
        """
        best = pairs.best_valid(now)
        if best is None:
            return None, math.inf
        hopes = [pair for pair in pairs if _is_open(pair) and pairs.rank(pair) > pairs.rank(best)]
        if best.is_relayed:
            until = max((_hoped_until(pair, best, now) for pair in hopes if not pair.is_relayed), default=-math.inf)
            until = min(until, self._first_valid_at + self._settle + RELAY_PATIENCE)
        else:
            until = self._first_valid_at + self._settle if hopes else -math.inf
        return (best, math.inf) if now >= until else (None, until)

    def is_upgrade(self, pairs: CheckList, pair: CandidatePair, now: float) -> bool:
        """Whether to move from the selected pair to `pair`, which has just answered.

        Direct always beats relayed, and UDP TCP. Within a class a pair does whose round trip is clearly shorter, or
        whose worse end is better (a choice between two relays' better ends is not worth moving for) while the round
        trip is not clearly longer. A pair that died under us lately has to wait. Ask only if the answer is obeyed.
        """
        selected = pairs.selected
        if selected is None or pair is selected or not pair.is_valid or now < pair.distrusted_until:
            return False
        if pair.path_class != selected.path_class:
            return pair.path_class > selected.path_class
        if _is_longer(pair, selected, LONGER, LONGER_BY):
            return False
        known_well = min(pair.rtt_samples, selected.rtt_samples) >= RTT_SAMPLES
        if known_well and _is_longer(selected, pair, MUCH_LONGER, MUCH_LONGER_BY):
            # What needs no UDP waits for every lost packet, which round trips do not show.
            return pair.is_without_udp <= selected.is_without_udp and self._may_chase(now)
        return pairs.rank(pair)[1] >> 32 > pairs.rank(selected)[1] >> 32

    def _may_chase(self, now: float) -> bool:
        """Whether a shorter round trip is a reason again: round trips change, and each time it takes twice as long."""
        if now < self._chase_at:
            return False
        self._chase_at, self._chase_pause = now + self._chase_pause, 2 * self._chase_pause
        return True


class Nominations:
    """The controlled side: remembers what the remote nominated.

    With counters the highest wins. Without (aioice, libwebrtc, libjuice) the best nominated valid pair does, as it
    stands now: an aggressive nominator nominates every pair, and both ends must still come to the same one.
    `is_overruled` says that we use another pair than the one nominated by `counter`.
    """

    def __init__(self) -> None:
        self.counter = 0
        self.is_overruled = False
        self._chosen: CandidatePair | None = None

    def heard(self, pair: CandidatePair, counter: int | None, *, steady: bool) -> None:
        """A check with USE-CANDIDATE came over `pair`; `steady` says that the selected pair is well.

        The current counter over another pair means that the remote's address changed on the way (a NAT rebound). It
        counts once the selected pair has fallen quiet: a replayed check may look the same.
        """
        if counter is None:
            pair.nominated = pair.nominated or self.counter == 0
        elif counter > self.counter or (counter == self.counter and not steady):
            self.counter, self._chosen, self.is_overruled = counter, pair, False

    def prefer(self, pair: CandidatePair) -> None:
        """Use `pair` until the remote nominates anew (the nominated one is of no use to us)."""
        pair.nominated = True
        if self._chosen is not None:
            self.is_overruled = self.is_overruled or pair is not self._chosen
            self._chosen = pair

    def current(self, pairs: CheckList) -> CandidatePair | None:
        """The pair to use now, or None while the nominated one is still being checked."""
        if self._chosen is not None:
            return self._chosen if self._chosen.is_valid else None
        return max((pair for pair in pairs if pair.nominated and pair.is_valid), key=pairs.rank, default=None)


def _is_longer(pair: CandidatePair, other: CandidatePair, factor: float, seconds: float) -> bool:
    return pair.rtt is not None and other.rtt is not None and pair.rtt > factor * other.rtt + seconds


def _is_open(pair: CandidatePair) -> bool:
    """Whether its first round of checks is not over."""
    return pair.failures == 0 and pair.state in (PairState.WAITING, PairState.IN_PROGRESS)


def _hoped_until(pair: CandidatePair, relayed: CandidatePair, now: float) -> float:
    return min(pair.first_sent_at, now) + DIRECT_HOPE + (relayed.rtt or 0.0)
