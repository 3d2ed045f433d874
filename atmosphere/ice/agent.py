"""An ICE agent: finds a path to one remote, keeps it, and moves it (RFC 8445, 8838, 7675, 8421). One component.

Messages and `now` (monotonic seconds) in; datagrams, events and the next deadline out. It checks every pair of a local
base and a remote candidate, in the order of `CheckList`, by the timing of `schedule`; `PathKeeper` selects one and
keeps it. After every call that takes `now`, drain `transmits()` and `events()` and look at `deadline()` again.
"""

from __future__ import annotations

import math
import secrets

from atmosphere.ice.candidate import Candidate, peer_reflexive_priority
from atmosphere.ice.checklist import CheckList, PathPolicy
from atmosphere.ice.checks import (
    ROLE_CONFLICT,
    Role,
    build_answer,
    build_check,
    build_role_conflict,
    is_authentic_check,
)
from atmosphere.ice.credentials import IceCredentials
from atmosphere.ice.events import AgentState, IceEvent, IceFailed, PairReport, RemoteSeen, Transmit
from atmosphere.ice.pair import CandidatePair, PairState
from atmosphere.ice.path import PathKeeper
from atmosphere.ice.schedule import PACE, next_round, round_lifetime
from atmosphere.ice.transactions import Check, Transactions
from atmosphere.stun.message import Class, Message, Method, encode

__all__ = ["Agent"]

Address = tuple[str, int]

PATIENCE = 30.0
"""Seconds without any path until `IceFailed`; each new candidate renews it, up to twice."""
TRIGGER_SPACING = 0.05
STALE = 5.0
STALL = 0.5


class Agent:
    """One session with one remote.

    `controlling` says who nominates; `settle` is how long (seconds) the first success waits for a better one; `policy`
    leaves out relayed pairs ("direct") or all local candidates but relays ("relay").
    """

    def __init__(
        self,
        *,
        controlling: bool,
        local: IceCredentials,
        remote: IceCredentials | None,
        now: float,
        tie_breaker: int | None = None,
        settle: float = 0.05,
        policy: PathPolicy = "any",
    ) -> None:
        self.local = local
        self.remote = remote
        self._role = Role(controlling, secrets.randbits(64) if tie_breaker is None else tie_breaker)
        self._pairs = CheckList(policy)
        self._pairs.controlling = controlling
        self._path = PathKeeper(self._pairs, self._role, settle, self._start_round)
        self._transactions = Transactions()
        self._out: list[Transmit] = []
        self._pace_at = now
        self._fails_at = now + PATIENCE
        self._fails_at_last = now + 2 * PATIENCE
        self._now = now
        self._expected_at = now
        self._remote_seen = False
        self._remote_ended = False

    # What it is told

    def set_remote_credentials(self, remote: IceCredentials, now: float) -> None:
        """Let checks begin: until the remote's credentials are known its checks are answered, and ours wait."""
        self.remote = remote
        self.handle_timer(now)

    def add_local(self, candidate: Candidate, base: int, now: float) -> None:
        """Take a local candidate that sends from `base`, the shell's id of a socket or allocation.

        Host and relay candidates are bases of their own and are paired with every remote; server-reflexive ones are
        remembered to name `selected.local` rightly. Those that the policy forbids are ignored.
        """
        if not self._is_over:
            self._pairs.add_local(candidate, base, now)
            self._be_patient(now)
            self.handle_timer(now)

    def remove_base(self, base: int, now: float) -> None:
        """A socket or allocation went away: its pairs fail, and the path moves if it was on it."""
        if self._is_over:
            return
        selected = self._pairs.selected
        self._pairs.remove_base(base)
        self._transactions.drop_base(base)
        self._out = [transmit for transmit in self._out if transmit.base != base]
        if selected is not None and selected.base == base:
            self._path.base_gone(now)
        self.handle_timer(now)

    def add_remote(self, candidate: Candidate, now: float) -> None:
        """Take a remote candidate, at any time; one that is unusable, known or forbidden by the policy is ignored."""
        if not self._is_over and self._pairs.add_remote(candidate, now):
            self._be_patient(now)
            self._path.reconsider(now)
            self.handle_timer(now)

    def end_of_remote_candidates(self, now: float) -> None:
        """The remote has no more candidates to send; checks go on all the same, as its NAT may open late."""
        self._remote_ended = True
        self.handle_timer(now)

    def receive(self, message: Message, raw: bytes, base: int, source: Address, now: float) -> None:
        """Take a STUN message (`raw` is what it was decoded from) that came to `base` from `source`.

        Requests must be signed with our password, responses with the remote's and answer a check of ours from where it
        was sent to; everything else is ignored without a trace.
        """
        if self._is_over or base not in self._pairs.bases or message.message_method is not Method.BINDING:
            return
        if message.message_class is Class.REQUEST:
            self._on_request(message, base, source, now)
        elif message.message_class in (Class.RESPONSE, Class.ERROR):
            self._on_response(message, base, source, now)
        self.handle_timer(now)

    def received_data(self, base: int, source: Address, now: float) -> None:
        """Data came from a valid source; on the selected pair that is a sign of life (but no consent)."""
        selected = self._pairs.selected
        if selected is not None and self._path.consent is not None and selected.key == (base, source):
            self._path.consent.heard(now)

    def handle_timer(self, now: float) -> None:
        """Do everything that is due."""
        if self._is_over:
            return
        if self._path.consent is not None and now > self._expected_at + STALL:
            self._path.consent.stalled(now)
        self._now = now
        self._repeat(now)
        self._path.run(now)
        self._watch(now)
        self._check_next(now)
        if self.state == "checking" and now >= self._fails_at:
            self._path.events.append(IceFailed(self._why_not()))
            self._path.state = "failed"
        self._expected_at = now if (deadline := self.deadline()) is None else deadline

    def close(self) -> None:
        """End the session without a word to the remote; nothing is sent any more."""
        self._path.state = "closed"
        self._out.clear()

    # What it says

    @property
    def state(self) -> AgentState:
        """Where the session stands."""
        return self._path.state

    @property
    def controlling(self) -> bool:
        """Whether we nominate; a role conflict may change it."""
        return self._role.controlling

    @property
    def selected(self) -> CandidatePair | None:
        """The pair to send data over: from its `base`, to its `remote`."""
        return self._pairs.selected

    @property
    def rtt(self) -> float | None:
        """The path's smoothed round trip in seconds; None before it was measured."""
        return None if self._path.consent is None else self._path.consent.rtt

    @property
    def jitter(self) -> float:
        """The smoothed deviation of the round trip, in seconds."""
        return 0.0 if self._path.consent is None else self._path.consent.jitter

    @property
    def loss(self) -> float:
        """The share of recent checks on the path that nobody answered, 0 to 1."""
        return 0.0 if self._path.consent is None else self._path.consent.loss

    def transmits(self) -> list[Transmit]:
        """The datagrams to send, in order; taken once."""
        out, self._out = self._out, []
        return out

    def events(self) -> list[IceEvent]:
        """What happened, in order; taken once."""
        events = list(self._path.events)
        self._path.events.clear()
        return events

    def deadline(self) -> float | None:
        """When to call `handle_timer`, unless something else comes first; None when the session is over."""
        if self._is_over:
            return None
        times = [self._transactions.deadline(), self._path.deadline(self._now)]
        if self.state == "checking":
            times.append(self._fails_at)
        if self._path.consent is not None and self.selected is not None:
            times.append(self._path.consent.next_check_at())
        if self.remote is not None:
            times.append(max(self._pace_at, self._pairs.next_due()))
        return min(times)

    def owns_transaction(self, transaction_id: bytes) -> bool:
        """Whether a response with that id answers a check of ours."""
        return transaction_id in self._transactions

    def is_valid_source(self, base: int, source: Address) -> bool:
        """Whether the remote has proved that it sends from `source` to `base`: data is taken from every such pair."""
        pair = self._pairs.find(base, source)
        return pair is not None and pair.authenticated

    def report(self) -> list[PairReport]:
        """Every pair that was tried and how it fared, best first."""
        return self._pairs.report()

    # Checks of ours

    @property
    def _is_over(self) -> bool:
        return self.state in ("failed", "closed")

    def _repeat(self, now: float) -> None:
        for check in self._transactions.due(now):
            self._transmit(check, now)
        for check in self._transactions.given_up(now):
            pair = check.pair
            pair.in_round = False
            if pair.answered_at < check.sent_at and pair is not self.selected:
                self._fail(pair, f"no answer within {now - check.sent_at:.0f} s", now)
            else:
                pair.due_at = next_round(self._pairs, pair, now)

    def _check_next(self, now: float) -> None:
        if self.remote is None or now < self._pace_at:
            return
        pair = self._pairs.next_pair(now)
        if pair is not None:
            self._start_round(pair, now, nominate=False)
            self._pace_at = now + PACE

    def _watch(self, now: float) -> None:
        """Send the selected pair's next consent check. The controlling side repeats its nomination with it."""
        consent, pair = self._path.consent, self.selected
        if consent is not None and pair is not None and now >= consent.next_check_at():
            consent.sent(now)
            self._send_check(pair, now, nomination=self._path.counter, lifetime=None)

    def _start_round(self, pair: CandidatePair, now: float, nominate: bool) -> None:
        """Check a pair and repeat it for a while; whatever is on its way already is repeated no more."""
        self._transactions.stop(pair)
        if not pair.is_valid:
            pair.state = PairState.IN_PROGRESS
        pair.in_round, pair.due_at = True, math.inf
        pair.first_sent_at = min(pair.first_sent_at, now)
        nomination = self._path.counter if nominate else None
        self._send_check(pair, now, nomination=nomination, lifetime=round_lifetime(self._pairs))

    def _send_check(self, pair: CandidatePair, now: float, *, nomination: int | None, lifetime: float | None) -> None:
        assert self.remote is not None, "checks wait for the remote's credentials"  # noqa: S101
        priority = peer_reflexive_priority(pair.base_candidate)
        message = build_check(self.local, self.remote, role=self._role, priority=priority, nomination=nomination)
        check = Check(pair, message.transaction_id, encode(message), self._role.controlling, now)
        self._transactions.add(check, lifetime=lifetime)
        self._transmit(check, now)

    def _transmit(self, check: Check, now: float) -> None:
        check.pair.checks_sent += 1
        check.pair.last_sent_at = now
        self._out.append(Transmit(check.pair.base, check.data, check.pair.remote.endpoint))

    def _fail(self, pair: CandidatePair, why: str, now: float) -> None:
        pair.state, pair.why = PairState.FAILED, why
        pair.failures += 1
        pair.due_at = next_round(self._pairs, pair, now)

    def _on_response(self, message: Message, base: int, source: Address, now: float) -> None:
        check = self._transactions.find(message.transaction_id)
        if check is None or self.remote is None or not message.check_message_integrity(self.remote.key):
            return
        self._transactions.remove(check)
        pair = check.pair
        if self._pairs.find(*pair.key) is not pair:
            return
        pair.in_round = self._transactions.stop(pair, sent_by=check.sent_at)
        mapped = message.attributes.get("XOR-MAPPED-ADDRESS")
        if message.error_code == ROLE_CONFLICT:
            self._yield_role(check, now)
        elif message.message_class is Class.ERROR or mapped is None:
            self._refuse(pair, f"refused with error {message.error_code}", now)
        elif (base, source) != pair.key:
            self._refuse(pair, f"answered from {source[0]} port {source[1]} instead", now)
        else:
            self._succeed(check, mapped, now)

    def _refuse(self, pair: CandidatePair, why: str, now: float) -> None:
        # The selected pair is judged by its consent alone, which such an answer does not renew.
        if pair is not self.selected:
            self._fail(pair, why, now)

    def _succeed(self, check: Check, mapped: Address, now: float) -> None:
        pair = check.pair
        # A repeated check cannot tell which of its sends was answered (Karn).
        rtt = now - check.sent_at if check.sends == 1 else None
        if rtt is not None:
            pair.sample_rtt(rtt)
        pair.state, pair.why, pair.failures = PairState.SUCCEEDED, "", 0
        pair.answered_at, pair.authenticated = now, True
        self._pairs.set_mapped(pair, mapped)
        self._see(pair)
        self._path.answered(pair, check.sent_at, rtt, now)
        if not pair.in_round:
            pair.due_at = next_round(self._pairs, pair, now)

    def _yield_role(self, check: Check, now: float) -> None:
        """The remote insists on the role that `check` claimed: take the other, and check again (RFC 8445 §7.2.5.1)."""
        if check.controlling == self._role.controlling:
            self._switch_role(now)
            self._role.renew()
        self._pairs.trigger(check.pair)

    # Checks of the remote's

    def _on_request(self, message: Message, base: int, source: Address, now: float) -> None:
        if not is_authentic_check(message, self.local, self.remote):
            return
        verdict = self._role.judge(message)
        if verdict == "refuse":
            self._answer(build_role_conflict(message, self.local), base, source)
            return
        if verdict == "switch":
            self._switch_role(now)
        pair = self._pairs.discover(base, source, message.attributes["PRIORITY"], now)
        if pair is None:
            return
        self._answer(build_answer(message, source, self.local), base, source)
        if not pair.authenticated:
            pair.authenticated = True
            self._be_patient(now)
        self._see(pair)
        nominates = "USE-CANDIDATE" in message.attributes and not self._role.controlling
        if nominates:
            self._path.nominated(pair, message.attributes.get("NOMINATION"), now)
        self._check_back(pair, now, nominated=nominates)

    def _check_back(self, pair: CandidatePair, now: float, *, nominated: bool) -> None:
        """Check a pair that a check came over, unless we know that it works or asked just now (RFC 8445 §7.3.1.4)."""
        fresh = now - pair.answered_at < STALE or not nominated
        asked = pair.in_round and now - pair.last_sent_at < TRIGGER_SPACING
        if not (pair.is_valid and fresh) and not asked:
            self._pairs.trigger(pair)

    def _answer(self, message: Message, base: int, source: Address) -> None:
        self._out.append(Transmit(base, encode(message), source))

    def _see(self, pair: CandidatePair) -> None:
        if not self._remote_seen:
            self._remote_seen = True
            self._path.events.append(RemoteSeen(pair.base, pair.remote.endpoint))

    def _switch_role(self, now: float) -> None:
        self._role.switch()
        self._pairs.controlling = self._role.controlling
        self._path.role_switched(now)

    def _be_patient(self, now: float) -> None:
        self._fails_at = min(max(self._fails_at, now + PATIENCE), self._fails_at_last)

    def _why_not(self) -> str:
        if self.remote is None:
            return "the other side never said who it is"
        if not len(self._pairs):
            return "no address of the other side's can be reached from any of ours"
        return f"none of {len(self._pairs)} pairs of addresses was answered"
