"""The path in use: selected by nomination, watched by consent, moved when it dies or a better one works.

RFC 8445 §8 (nomination) and §12 (sending), RFC 7675 (consent). This is where the state of an agent changes.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from atmosphere.ice.candidate import Candidate
from atmosphere.ice.checklist import CheckList
from atmosphere.ice.checks import Role
from atmosphere.ice.consent import Consent, Health
from atmosphere.ice.events import AgentState, ConsentExpired, IceEvent, PathLost, PathRestored, PathSelected
from atmosphere.ice.nomination import Nominations, Nominator
from atmosphere.ice.pair import CandidatePair, PairState
from atmosphere.ice.schedule import next_round, rush

__all__ = ["PathKeeper"]

HOLD_DOWN, HOLD_DOWN_MOST = 3.0, 60.0
UNFIT = 10.0


class PathKeeper:
    """Which pair data goes over, and how it fares. `check(pair, now, nomination)` starts a round."""

    def __init__(
        self, pairs: CheckList, role: Role, settle: float, check: Callable[[CandidatePair, float, int | None], None]
    ) -> None:
        self.state: AgentState = "checking"
        self.events: list[IceEvent] = []
        self.consent: Consent | None = None
        self._pairs = pairs
        self._role = role
        self._settle = settle
        self._check = check
        self._nominator = Nominator(settle)
        self._nominations = Nominations()
        self._settle_at = math.inf
        self._health = Health.ALIVE
        self._unfit: tuple[CandidatePair | None, float] = None, 0.0

    @property
    def counter(self) -> int | None:
        """The NOMINATION that checks on the selected pair repeat, or None where it is not ours to nominate."""
        return self._nominator.counter if self._role.controlling else None

    def run(self, now: float) -> None:
        """Do what time asks for: judge the path's health, nominate after the settle."""
        if self.consent is not None:
            self._judge(self.consent, now)
        elif self._role.controlling:
            pair, self._settle_at = self._nominator.choose(self._pairs, now)
            if pair is not None:
                self._nominate(pair, now)

    def deadline(self, now: float) -> float:
        """When `run` has something to do."""
        return self._settle_at if self.consent is None else self.consent.deadline(now)

    def stalled(self, now: float) -> None:
        """The caller slept through its deadline: that is no sign against a path that was well."""
        if self.consent is not None and self.state == "connected":
            self.consent.stalled(now)

    def answered(self, pair: CandidatePair, sent_at: float, rtt: float | None, now: float) -> None:
        """A valid answer came over `pair`, which is marked valid already."""
        if pair is self._pairs.selected and self.consent is not None:
            self.consent.answered(sent_at, rtt, now)
        elif self._role.controlling:
            self._nominator.succeeded(now)
            in_need = self.consent is not None and (self._pairs.selected is None or self._health > Health.ALIVE)
            if in_need or self._nominator.is_upgrade(self._pairs, pair, now):
                self._bury(now)
                self._nominate(pair, now)
        else:
            self._take_over(pair, now)
            self._follow(now)

    def nominated(self, pair: CandidatePair, counter: int | None, now: float) -> None:
        """The remote nominated `pair` (we are controlled)."""
        self._nominations.heard(pair, counter, steady=self._health is Health.ALIVE)
        self._follow(now)

    def reconsider(self, now: float) -> None:
        """Look whether another pair is better after all: a candidate may have turned out to be a relay."""
        best = self._pairs.best_valid(besides=self._pairs.selected)
        if best is not None and self._role.controlling and self._nominator.is_upgrade(self._pairs, best, now):
            self._nominate(best, now)

    def base_gone(self, base: Candidate, now: float) -> None:
        """The selected pair's base went away: use another at once, or be disconnected until one answers.

        Where it was a relay, its server has probably gone as a whole, and the remote's relay there too.
        """
        self._pairs.selected = None
        spare = self._pairs.best_valid(away_from=base.address if base.is_relayed else "")
        if spare is None:
            self._lose(0.0, now)
        elif self._role.controlling:
            self._nominate(spare, now)
        else:
            self._nominations.prefer(spare)
            self._select(spare, now)

    def distrust(self, why: str, now: float) -> None:
        """Checks pass on the selected pair but data does not: use another at once, or be disconnected."""
        pair = self._pairs.selected
        if pair is None or self.state != "connected":
            return
        self._hold_down(pair, why, now)
        self._unfit = pair, now + UNFIT
        spare = self._pairs.best_valid(besides=pair)
        if spare is None:
            self._pairs.selected = None
            self._lose(0.0, now)
        elif self._role.controlling:
            self._nominate(spare, now)
        else:
            self._nominations.prefer(spare)
            self._select(spare, now)

    def role_switched(self, now: float) -> None:
        """We nominate now, or the remote does; what is selected stays."""
        self._nominator = Nominator(self._settle)
        self._nominations = Nominations()
        self._nominator.counter = int(self._pairs.selected is not None)
        if self._pairs.best_valid() is not None:
            self._nominator.succeeded(now)

    def _follow(self, now: float) -> None:
        pair = self._nominations.current(self._pairs)
        unfit, until = self._unfit
        if pair is not None and (pair is not unfit or now >= until):
            self._select(pair, now)

    def _take_over(self, pair: CandidatePair, now: float) -> None:
        """Controlled and in need: use what answers, if the remote nominated it or if nothing at all is selected."""
        if self.consent is not None and self._pairs.selected is None:
            self._nominations.prefer(pair)
        elif self._health > Health.ALIVE and pair.nominated:
            self._bury(now)

    def _nominate(self, pair: CandidatePair, now: float) -> None:
        # Selected at once, not when the nomination is answered: the pair is valid, so data flows a round trip earlier.
        self._nominator.counter += 1
        self._select(pair, now)
        self._check(pair, now, self._nominator.counter)

    def _select(self, pair: CandidatePair, now: float) -> None:
        previous = self._pairs.selected
        if pair is previous:
            return
        was_lost = self.state == "disconnected"
        self._pairs.selected = pair
        self.consent = Consent(now, pair.rtt, seed=self._role.tie_breaker)
        self.state, self._health = "connected", Health.ALIVE
        self.events.append(PathSelected(pair, previous))
        if was_lost:
            self.events.append(PathRestored())
        for other in self._pairs:
            if not other.in_round and other.state is not PairState.WAITING:
                other.failures = min(other.failures, 1)
                other.due_at = next_round(self._pairs, other, now)

    def _bury(self, now: float) -> None:
        """The selected pair fell silent and another answers: it has to answer, and to wait, before it is used again."""
        pair = self._pairs.selected
        if pair is None or self._health is Health.ALIVE:
            return
        self._hold_down(pair, "fell silent", now)

    def _hold_down(self, pair: CandidatePair, why: str, now: float) -> None:
        pair.state, pair.why, pair.nominated = PairState.FAILED, why, False
        pair.deaths += 1
        pair.distrusted_until = now + min(HOLD_DOWN * (1 << min(pair.deaths - 1, 8)), HOLD_DOWN_MOST)

    def _judge(self, consent: Consent, now: float) -> None:
        health = consent.health(now)
        if health is Health.EXPIRED:
            self.state = "failed"
            self.events.append(ConsentExpired())
        elif self._pairs.selected is not None and health is not self._health:
            self._health = health
            if health is Health.ALIVE and self.state == "disconnected":
                self.state = "connected"
                self.events.append(PathRestored())
            elif health is Health.SUSPECT:
                rush(self._pairs, now, only_valid=True)
            elif health is Health.LOST and self.state == "connected":
                self._lose(consent.quiet(now), now)

    def _lose(self, quiet: float, now: float) -> None:
        self.state, self._health = "disconnected", Health.LOST
        self.events.append(PathLost(quiet))
        rush(self._pairs, now, only_valid=False)
