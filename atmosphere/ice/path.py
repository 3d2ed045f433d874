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
UNFIT_MOST = 10.0
"""A pair that data does not get through is not used for so long at most, be it the only one: consent lasts longer."""
LEAVE_WITHIN = 5.0
"""Seconds for which a path that the policy forbids since is still used while there is no other."""
WARM_BY_OTHERS = 60.0
"""A spare pair that the remote keeps warm is asked by us once in so many seconds."""


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
        self._leave_at = math.inf
        self._health = Health.ALIVE

    @property
    def counter(self) -> int | None:
        """The NOMINATION that checks on the selected pair repeat, or None where it is not ours to nominate."""
        return self._nominator.counter if self._role.controlling else None

    def run(self, now: float) -> None:
        """Do what time asks for: judge the path's health, nominate after the settle, leave what is forbidden."""
        if now >= self._leave_at:
            self._leave_at = math.inf
            self._leave_for(None, 0.0, now)
            self._pairs.sweep()
        if self.consent is not None:
            self._judge(self.consent, now)
        elif self._role.controlling:
            pair, self._settle_at = self._nominator.choose(self._pairs, now)
            if pair is not None:
                self._nominate(pair, now)

    def deadline(self, now: float) -> float:
        """When `run` has something to do."""
        return self._settle_at if self.consent is None else min(self.consent.deadline(now), self._leave_at)

    def expect(self, now: float) -> bool:
        """Data was sent, came, or is expected; True where the path rested until now, so that a check is due."""
        if self.consent is None:
            return False
        rested = not self.consent.is_watched(now)
        self.consent.expect(now)
        return rested

    def checked(self, pair: CandidatePair, now: float) -> None:
        """An authentic check came over `pair` and was answered."""
        if self.consent is not None and pair is self._pairs.selected:
            self.consent.checked(now)
        elif pair.is_valid:
            pair.due_at = max(pair.due_at, min(next_round(self._pairs, pair, now), pair.answered_at + WARM_BY_OTHERS))

    def set_rest(self, seconds: float) -> None:
        """Let a resting path, and spare pairs, be asked at this interval."""
        self._pairs.rest = seconds
        if self.consent is not None:
            self.consent.rest = seconds

    def stalled(self, now: float) -> None:
        """The caller slept through its deadline: that is no sign against a path that was well."""
        if self.consent is not None and self.state == "connected":
            self.consent.stalled(now)

    def answered(self, pair: CandidatePair, sent_at: float, rtt: float | None, now: float) -> None:
        """A valid answer came over `pair`, which is marked valid already."""
        if self.consent is not None and pair is self._pairs.selected:
            self.consent.answered(sent_at, rtt, now)
            return
        if self.consent is not None and self._pairs.selected is None:
            self.consent.answered(sent_at, rtt, now)  # the remote is there; whether that pair will do is another matter
        if now < pair.unfit_until:
            return
        if self._role.controlling:
            self._nominator.succeeded(now)
            if self._is_in_need or self._nominator.is_upgrade(self._pairs, pair, now):
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
        best = self._pairs.best_valid(now, besides=self._pairs.selected)
        if best is not None and self._role.controlling and self._nominator.is_upgrade(self._pairs, best, now):
            self._nominate(best, now)

    def base_gone(self, base: Candidate, now: float) -> None:
        """The selected pair's base went away: use another at once, or be disconnected until one answers.

        Where it was a relay, its server has probably gone as a whole, and the remote's relay there too.
        """
        self._pairs.selected = None
        self._leave_for(self._pairs.best_valid(now, away_from=base.address if base.is_relayed else ""), 0.0, now)

    def distrust(self, why: str, now: float) -> None:
        """Checks pass on the selected pair but data does not: use another at once, or be disconnected.

        It may be used again when its hold-down is over. The controlled side's checks tell the remote, which sees
        nothing wrong, by DOUBT.
        """
        pair = self._pairs.selected
        if pair is None or self.consent is None or self.state != "connected":
            return
        self._hold_down(pair, why, now)
        pair.unfit_until = min(pair.distrusted_until, now + UNFIT_MOST)
        spare = self._pairs.best_valid(now, besides=pair)
        self._leave_for(spare, self.consent.quiet(now), now)

    def policy_changed(self, now: float) -> None:
        """Leave a selected pair that is forbidden now, as soon as another works; at last, without one."""
        selected = self._pairs.selected
        if selected is None or not self._pairs.policy.forbids(selected):
            return
        self._leave_at = now + LEAVE_WITHIN
        spare = self._pairs.best_valid(now, besides=selected)
        if spare is not None:
            self._leave_for(spare, 0.0, now)

    def doubt(self) -> int | None:
        """The remote's nomination that our checks object to: what it chose has fallen silent, or is not used here."""
        if self._role.controlling or self.consent is None or not self._nominations.counter:
            return None
        objects = self._nominations.is_overruled or self._health > Health.ALIVE
        return self._nominations.counter if objects else None

    def doubted(self, pair: CandidatePair, nomination: int | None, now: float) -> None:
        """A check came over `pair` that objects to that nomination of ours (None: to none)."""
        selected = self._pairs.selected
        if nomination is None or nomination != self.counter or pair is selected:
            return
        if pair.is_valid and now >= pair.unfit_until:
            if selected is not None:
                self._hold_down(selected, "the other side gets nothing over it", now)
            self._nominate(pair, now)

    def role_switched(self, now: float) -> None:
        """We nominate now, or the remote does; what is selected stays."""
        if self.consent is not None:
            self.consent.leads = self._role.controlling
        self._nominator = Nominator(self._settle)
        self._nominations = Nominations()
        self._nominator.counter = int(self._pairs.selected is not None)
        if self._pairs.best_valid(now) is not None:
            self._nominator.succeeded(now)

    @property
    def _is_in_need(self) -> bool:
        """Whether any pair that works is better than what is selected."""
        if self.consent is None:
            return False
        return self._pairs.selected is None or self._health > Health.ALIVE or self._leave_at < math.inf

    def _leave_for(self, spare: CandidatePair | None, quiet: float, now: float) -> None:
        if spare is None:
            self._pairs.selected = None
            self._lose(quiet, now)
        elif self._role.controlling:
            self._nominate(spare, now)
        else:
            self._nominations.prefer(spare)
            self._select(spare, now)
            self._check(spare, now, None)

    def _follow(self, now: float) -> None:
        pair = self._nominations.current(self._pairs)
        if pair is not None and now >= pair.unfit_until:
            self._select(pair, now)

    def _take_over(self, pair: CandidatePair, now: float) -> None:
        """Controlled and in need: use what answers, if the remote nominated it or if nothing at all is selected."""
        if self.consent is not None and (self._pairs.selected is None or self._leave_at < math.inf):
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
        role = self._role
        self.consent = Consent(now, pair.rtt, role.tie_breaker, leads=role.controlling, rest=self._pairs.rest)
        self.state, self._health = "connected", Health.ALIVE
        self.events.append(PathSelected(pair, previous))
        if self._leave_at < math.inf:
            self._leave_at = math.inf
            self._pairs.sweep()
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
        """Let `pair` be unused for a while, which grows each time."""
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
        if self.state != "disconnected":
            self.events.append(PathLost(quiet))
        self.state, self._health = "disconnected", Health.LOST
        rush(self._pairs, now, only_valid=False)
