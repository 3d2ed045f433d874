"""The check list: which pairs there are, and which is checked next (RFC 8445 §6.1.2, §6.1.4; RFC 8838).

Pairs form whenever either side gains a candidate, in any order. Each has a `due_at`; checks that answer one of the
remote's (triggered) go before those that are merely due.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from atmosphere.ice.candidate import Candidate, foundation, peer_reflexive_priority
from atmosphere.ice.consent import REST
from atmosphere.ice.events import PairReport
from atmosphere.ice.pair import CandidatePair, PairState, can_pair
from atmosphere.ice.policy import PathPolicy, Policy

__all__ = ["CheckList", "PathPolicy"]

MAX_PAIRS = 100
MAX_REMOTES = 100
MAX_PEER_REFLEXIVE = 16
DISCOVERED_FOR = 10.0
MAX_ENDED = 50
SPARES = 3


class CheckList:
    """Bases, remote candidates, and the pairs between them; nothing here sends or measures.

    `rest` is the longest pause (seconds) between checks that keep a NAT's mapping for a path that nobody uses.
    """

    def __init__(self, policy: PathPolicy) -> None:
        self.controlling = False
        self.selected: CandidatePair | None = None
        self.rest = REST
        self.bases: dict[int, Candidate] = {}
        self.remotes: dict[tuple[str, int], Candidate] = {}
        self.policy = Policy(policy)
        self._mapped: dict[tuple[int, tuple[str, int]], Candidate] = {}
        self._pairs: dict[tuple[int, tuple[str, int]], CandidatePair] = {}
        self._discovered: dict[tuple[str, int], float] = {}
        self._triggered: list[CandidatePair] = []
        self._ended: list[PairReport] = []
        self.dropped: list[tuple[int, tuple[str, int]]] = []
        """Base and remote address of pairs dropped since somebody last emptied this."""

    def __iter__(self) -> Iterator[CandidatePair]:
        return iter(list(self._pairs.values()))

    def __len__(self) -> int:
        return len(self._pairs)

    def find(self, base: int, endpoint: tuple[str, int]) -> CandidatePair | None:
        """The pair of that base and remote address."""
        return self._pairs.get((base, endpoint))

    def add_local(self, candidate: Candidate, base: int, now: float) -> None:
        """Take a local candidate: a host or relay is a base and is paired, a mapped one is only remembered."""
        if candidate.type in ("srflx", "prflx"):
            self._mapped[base, candidate.endpoint] = candidate
            pairs = [pair for pair in self if pair.base == base and pair.local.endpoint == candidate.endpoint]
            for pair in pairs:
                pair.local = candidate
            return
        if base in self.bases or not self.policy.takes_local(candidate, base):
            return
        self.bases[base] = candidate
        for remote in list(self.remotes.values()):
            self._pair(base, remote, now)

    def remove_base(self, base: int) -> None:
        """Drop a base with its pairs, which stay in the report as failed."""
        self.bases.pop(base, None)
        self.policy.drop_base(base)
        self._mapped = {key: value for key, value in self._mapped.items() if key[0] != base}
        for pair in self:
            if pair.base == base:
                self._drop(pair, "the local address went away")

    def change_policy(self, name: PathPolicy, now: float) -> None:
        """Pair what was left out until now, drop the pairs that are forbidden; but not the selected one."""
        known_bases, known_remotes = self.policy.change(name)
        self.sweep()
        for candidate, base in known_bases:
            self.add_local(candidate, base, now)
        for candidate in known_remotes:
            self.add_remote(candidate, now)

    def sweep(self) -> None:
        """Drop what the policy forbids, but for what the selected pair still needs; pairs stay in the report."""
        kept = self.selected
        for base, candidate in [*self.bases.items()]:
            if (kept is None or kept.base != base) and not self.policy.takes_local(candidate, base):
                del self.bases[base]
        for endpoint, candidate in [*self.remotes.items()]:
            if (kept is None or kept.remote.endpoint != endpoint) and not self.policy.takes_remote(candidate):
                del self.remotes[endpoint]
                self._discovered.pop(endpoint, None)
        for pair in self:
            if pair is not kept and self.policy.forbids(pair):
                self._drop(pair, f"the path policy is {self.policy.name}")

    def add_remote(self, candidate: Candidate, now: float) -> bool:
        """Take a remote candidate and pair it; True when it is news.

        One that was discovered by its checks is replaced by the remote's own word for it (RFC 8445 §7.3.1.3).
        """
        known = self.remotes.get(candidate.endpoint)
        if not candidate.is_usable or not self.policy.takes_remote(candidate):
            return False
        if known is not None and (known.type != "prflx" or known == candidate):
            return False
        if known is None and len(self.remotes) >= MAX_REMOTES and not self._forget_failed():
            return False
        self.remotes[candidate.endpoint] = candidate
        self._discovered.pop(candidate.endpoint, None)
        for pair in self._pairs_to(candidate.endpoint):
            pair.remote = candidate
        for base in self.bases:
            self._pair(base, candidate, now)
        return True

    def discover(self, base: int, source: tuple[str, int], priority: int, now: float) -> CandidatePair | None:
        """The pair that an authentic check came over, with a new peer-reflexive remote if need be (RFC 8445 §7.3.1.3).

        None where the policy forbids the path.
        """
        known, local = self._pairs.get((base, source)), self.bases.get(base)
        if known is not None or (local is not None and local.transport == "tcp"):
            return known
        remote = self.remotes.get(source)
        if remote is None and self.policy.is_left_out(source):
            return None
        if remote is None:
            remote = Candidate(foundation("prflx", source[0]), 1, "udp", priority, *source, "prflx")
            if not remote.is_usable or not self.policy.allows_remote(remote) or not self._make_room(now):
                return None
            self.remotes[source] = remote
            self._discovered[source] = now
        return self._pair(base, remote, now)

    def add_connection(self, local: Candidate, base: int, remote: Candidate, now: float) -> CandidatePair | None:
        """Take a TCP connection, which is a base with one remote and so one pair: `remote` is not paired otherwise."""
        if base in self.bases or not self.policy.allows(local, remote):
            return None
        self.bases[base] = local
        return self._pair(base, remote, now)

    def trigger(self, pair: CandidatePair) -> None:
        """Let `pair` be checked before all that are merely due."""
        if pair not in self._triggered:
            self._triggered.append(pair)

    def next_pair(self, now: float) -> CandidatePair | None:
        """The pair to check now: triggered, then new, then answered before (best first), then retried."""
        if self._triggered:
            return self._triggered.pop(0)
        due = [pair for pair in self._pairs.values() if pair.due_at <= now]
        return max(due, key=self._urgency, default=None)

    def next_due(self) -> float:
        """When `next_pair` next has one; infinite when nothing is planned."""
        if self._triggered:
            return -math.inf
        return min((pair.due_at for pair in self._pairs.values()), default=math.inf)

    def rank(self, pair: CandidatePair) -> tuple[int, int]:
        """How good a pair is in the role that we have."""
        return pair.rank(self.controlling)

    def best_valid(
        self, now: float, *, besides: CandidatePair | None = None, away_from: str = ""
    ) -> CandidatePair | None:
        """The best pair that the remote answered over, and that data may go over.

        Those to the address `away_from`, and those that were left lately, only if there is no other.
        """

        def merit(pair: CandidatePair) -> tuple[bool, bool, tuple[int, int]]:
            return (pair.remote.address != away_from, now >= pair.distrusted_until, self.rank(pair))

        valid = (p for p in self._pairs.values() if p.is_valid and p is not besides and now >= p.unfit_until)
        return max(valid, key=merit, default=None)

    def is_spare(self, pair: CandidatePair) -> bool:
        """Whether an answered pair is among the few worth keeping warm.

        These are the three best, the best relayed one, and the best that needs no UDP on our side.
        """
        rank = self.rank(pair)
        better = [p for p in self._pairs.values() if p.is_valid and p is not self.selected and self.rank(p) > rank]
        return (
            len(better) < SPARES
            or (pair.is_relayed and not any(p.is_relayed for p in better))
            or (pair.is_without_udp and not any(p.is_without_udp for p in better))
        )

    def set_mapped(self, pair: CandidatePair, endpoint: tuple[str, int]) -> None:
        """Note the address the remote saw: the pair's true local candidate (RFC 8445 §7.2.5.3.1)."""
        if endpoint == pair.local.endpoint:
            return
        known = self._mapped.get((pair.base, endpoint))
        base = pair.base_candidate
        if endpoint == base.endpoint:
            known = base
        pair.local = known or replace(
            base,
            foundation=foundation("prflx", base.address),
            priority=peer_reflexive_priority(base),
            address=endpoint[0],
            port=endpoint[1],
            type="prflx",
            related_address=base.address,
            related_port=base.port,
        )

    def report(self) -> list[PairReport]:
        """Every pair there is, best first, then those that ended."""
        pairs = sorted(self._pairs.values(), key=self.rank, reverse=True)
        return [pair.report(selected=pair is self.selected) for pair in pairs] + self._ended

    def _pair(self, base: int, remote: Candidate, now: float) -> CandidatePair | None:
        found = self._pairs.get((base, remote.endpoint))
        local = self.bases.get(base)
        if found is not None or local is None or not can_pair(local, remote) or not self.policy.allows(local, remote):
            return found
        pair = CandidatePair(base=base, base_candidate=local, remote=remote, local=local, due_at=now)
        self._pairs[pair.key] = pair
        self._prune()
        return self._pairs.get(pair.key)

    def _prune(self) -> None:
        """Drop the worst pair beyond the limit: unanswered before answered, then by rank (RFC 8445 §6.1.2.5)."""
        if len(self._pairs) > MAX_PAIRS:
            worst = min(self._pairs.values(), key=lambda p: (p is self.selected, p.is_valid, self.rank(p)))
            self._drop(worst, "more pairs than are checked")

    def _make_room(self, now: float) -> bool:
        """Forget the remote discovered longest ago, when there are too many (a roaming peer); False if all are recent.

        Two NATs that give every destination another port make each check look like a new remote: that must calm down.
        """
        if len(self._discovered) < MAX_PEER_REFLEXIVE:
            return True
        in_use = self.selected.remote.endpoint if self.selected is not None else None
        oldest = next(endpoint for endpoint in self._discovered if endpoint != in_use)
        if self._discovered[oldest] > now - DISCOVERED_FOR:
            return False
        del self._discovered[oldest], self.remotes[oldest]
        for pair in self._pairs_to(oldest):
            self._drop(pair, "the remote was heard from other addresses since")
        return True

    def _forget_failed(self) -> bool:
        """Forget the remote told longest ago that nothing answers from: relays come and go in the life of a link."""
        hopeful = {pair.remote.endpoint for pair in self if pair.state is not PairState.FAILED}
        failed = next((one for one in self.remotes if one not in hopeful and one not in self._discovered), None)
        if failed is None:
            return False
        del self.remotes[failed]
        for pair in self._pairs_to(failed):
            self._drop(pair, "the remote told of too many other addresses since")
        return True

    def _pairs_to(self, endpoint: tuple[str, int]) -> list[CandidatePair]:
        """The pairs of a remote of UDP; a connection of TCP may well lead to the same address and port."""
        return [pair for pair in self if pair.remote.endpoint == endpoint and pair.remote.transport == "udp"]

    def _drop(self, pair: CandidatePair, why: str) -> None:
        pair.state = PairState.FAILED
        pair.why = why
        pair.due_at = math.inf
        del self._pairs[pair.key]
        self.dropped.append(pair.key)
        if pair in self._triggered:
            self._triggered.remove(pair)
        self._ended.append(pair.report(selected=False))
        del self._ended[:-MAX_ENDED]

    def _urgency(self, pair: CandidatePair) -> tuple[bool, bool, tuple[int, int], float]:
        failed = pair.state is PairState.FAILED
        return (pair.state is PairState.WAITING, not failed, (-1, 0) if failed else self.rank(pair), -pair.due_at)
