"""An ICE agent: finds a path to one remote, keeps it, and moves it (RFC 8445, 8838, 7675, 8421). One component.

Messages and `now` (monotonic seconds) in; datagrams, events and the next deadline out. It checks every pair of a local
base and a remote candidate, in the order of `CheckList`, by the timing of `schedule`; `Incoming` judges what comes back
and answers the remote's own checks; `PathKeeper` selects one pair and keeps it. After every call that takes `now`,
drain `transmits()` and `events()` and look at `deadline()` again.
"""

from __future__ import annotations

import secrets

from atmosphere.ice.candidate import Candidate, peer_reflexive_priority
from atmosphere.ice.checklist import CheckList
from atmosphere.ice.checks import Role, build_check, is_authentic_check
from atmosphere.ice.credentials import IceCredentials
from atmosphere.ice.events import AgentState, IceEvent, IceFailed, PairReport, Transmit
from atmosphere.ice.incoming import Incoming
from atmosphere.ice.pair import CandidatePair, PairState
from atmosphere.ice.path import PathKeeper
from atmosphere.ice.patience import Patience
from atmosphere.ice.policy import PathPolicy
from atmosphere.ice.reasons import why_not
from atmosphere.ice.rounds import Rounds
from atmosphere.ice.schedule import rush
from atmosphere.stun.message import Class, Message, Method

__all__ = ["Agent"]

Address = tuple[str, int]

REST_LEAST, REST_MOST = 5.0, 18.0
"""Bounds (seconds) of an idle path's interval; with more a lost check could cost the consent."""
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
        self._role = Role(controlling, secrets.randbits(64) if tie_breaker is None else tie_breaker)
        self._pairs = CheckList(policy)
        self._pairs.controlling = controlling
        self._rounds = Rounds(local, remote, self._role, self._pairs, now)
        self._path = PathKeeper(self._pairs, self._role, settle, self._rounds.start)
        self._rounds.doubt = self._path.doubt
        self._patience = Patience(self._pairs, now)
        self._incoming = Incoming(local, self._role, self._pairs, self._rounds, self._path, self._patience)
        self._now = now
        self._expected_at = now
        self._deadline: float | None = None

    # What it is told

    def set_remote_credentials(self, remote: IceCredentials, now: float) -> None:
        """Let checks begin: until the remote's credentials are known its checks are answered, and ours wait."""
        self._rounds.remote = remote
        self.handle_timer(now)

    def add_local(self, candidate: Candidate, base: int, now: float) -> None:
        """Take a local candidate that sends from `base`, the shell's id of a socket or allocation.

        Host and relay candidates are bases of their own and are paired with every remote; server-reflexive ones are
        remembered to name `selected.local` rightly. Those that the policy forbids are ignored.
        """
        if not self._is_over:
            self._pairs.add_local(candidate, base, now)
            self._patience.renew(now)
            self.handle_timer(now)

    def add_connection(self, local: Candidate, base: int, remote: Candidate, now: float) -> None:
        """Take a TCP connection to `remote` as a base of its own (RFC 6544); it goes by `remove_base` when it ends."""
        if not self._is_over and self._pairs.add_connection(local, base, remote, now) is not None:
            self._patience.renew(now)
            self.handle_timer(now)

    def remove_base(self, base: int, now: float) -> None:
        """A socket or allocation went away: its pairs fail, and the path moves if it was on it."""
        if self._is_over:
            return
        selected = self._pairs.selected
        self._pairs.remove_base(base)
        self._rounds.drop_base(base)
        if selected is not None and selected.base == base:
            self._path.base_gone(selected.base_candidate, now)
        self.handle_timer(now)

    def network_changed(self, now: float) -> None:
        """What was learned of the pairs may be wrong now: each is tried again at once, the back-off forgotten."""
        if not self._is_over:
            rush(self._pairs, now, only_valid=False)
            self.handle_timer(now)

    def add_remote(self, candidate: Candidate, now: float) -> None:
        """Take a remote candidate, at any time; one that is unusable, known or forbidden by the policy is ignored."""
        if not self._is_over and self._pairs.add_remote(candidate, now):
            self._patience.renew(now)
            self._path.reconsider(now)
            self.handle_timer(now)

    def end_of_remote_candidates(self, now: float) -> None:
        """The remote has no more candidates to send; checks go on all the same, as its NAT may open late."""
        self.handle_timer(now)

    def receive(self, message: Message, raw: bytes, base: int, source: Address, now: float) -> None:
        """Take a STUN message (`raw` is what it was decoded from) that came to `base` from `source`.

        Requests must be signed with our password, responses with the remote's and answer a check of ours from where it
        was sent to; everything else is ignored without a trace.
        """
        if self._is_over or base not in self._pairs.bases or message.message_method is not Method.BINDING:
            return
        if message.message_class is Class.REQUEST:
            self._incoming.request(message, base, source, now)
        elif message.message_class in (Class.RESPONSE, Class.ERROR):
            self._incoming.response(message, base, source, now)
        self.handle_timer(now)

    def unsent(self, base: int, destination: Address, why: str, now: float) -> None:
        """A check could not be sent: no route, say."""
        pair = self._pairs.find(base, destination)
        if pair is not None and not self._is_over:
            self._rounds.unsent(pair, why, now)
            self._deadline = None

    def received_data(self, base: int, source: Address, now: float) -> None:
        """Data came from a valid source; on the selected pair that is a sign of life (but no consent)."""
        self.expect(now)
        selected = self._pairs.selected
        if selected is not None and self._path.consent is not None and selected.key == (base, source):
            self._path.consent.heard(now)

    def expect(self, now: float) -> None:
        """Data was sent or is expected: for a while the path is watched, and its death noticed within 3 s."""
        if self._is_over:
            return
        if self._path.expect(now):
            self.handle_timer(now)
        else:
            self._deadline = None

    def distrust(self, why: str, now: float) -> None:
        """Data does not get through the selected pair although checks do: `why` in words for the report.

        The next best valid pair takes over at once; without one there is `PathLost`, and everything is tried.
        """
        if not self._is_over:
            self._path.distrust(why, now)
            self.handle_timer(now)

    def set_policy(self, policy: PathPolicy, now: float) -> None:
        """Use other paths from now on: forbidden pairs are dropped, those left out until now are tried.

        The path moves first where another works or does so within 5 s; else it is lost.
        """
        if not self._is_over and policy != self._pairs.policy.name:
            self._pairs.change_policy(policy, now)
            self._path.policy_changed(now)
            self._patience.renew(now)
            self.handle_timer(now)

    def set_rest(self, seconds: float) -> None:
        """Check idle paths and spare pairs at least this often: less than what the NATs' mappings live."""
        self._path.set_rest(min(max(seconds, REST_LEAST), REST_MOST))
        self._deadline = None

    def handle_timer(self, now: float) -> None:
        """Do everything that is due."""
        if self._is_over:
            return
        if now > self._expected_at + STALL:
            self._path.stalled(now)
        self._now = now
        self._rounds.repeat(now)
        self._path.run(now)
        self._watch(now)
        self._rounds.check_next(now)
        if self.state == "checking" and now >= self._patience.ends_at():
            self._path.events.append(IceFailed(self.why_not()))
            self._path.state = "failed"
        self._deadline = self._next_deadline()
        self._expected_at = now if self._deadline is None else self._deadline

    def suspect(self, now: float) -> None:
        """The selected pair may be dead: check every other one now; none counts as working until it has answered."""
        if self.state == "connected":
            for pair in self._pairs:
                if pair.is_valid and pair is not self.selected:
                    pair.state = PairState.WAITING
            rush(self._pairs, now, only_valid=False)
            self.handle_timer(now)

    def close(self) -> None:
        """End the session without a word to the remote; nothing is sent any more."""
        self._path.state = "closed"
        self._rounds.out.clear()

    # What it says

    @property
    def remote(self) -> IceCredentials | None:
        """The remote's credentials; None as long as they are unknown."""
        return self._rounds.remote

    @property
    def policy(self) -> PathPolicy:
        """Which paths may be used."""
        return self._pairs.policy.name

    @property
    def rest(self) -> float:
        """Seconds between the checks of an idle path, at most."""
        return self._pairs.rest

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
    def answered_at(self) -> float | None:
        """When the remote last answered a check on the path; None before there is one."""
        return None if self._path.consent is None else self._path.consent.answered_at

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
        out, self._rounds.out = self._rounds.out, []
        return out

    def events(self) -> list[IceEvent]:
        """What happened, in order; taken once."""
        events = list(self._path.events)
        self._path.events.clear()
        return events

    def dropped(self) -> list[tuple[int, Address]]:
        """Base and remote address of the pairs given up since, which are no valid sources any more; taken once."""
        dropped, self._pairs.dropped = self._pairs.dropped, []
        return [key for key in dropped if not self.is_valid_source(*key)]

    def deadline(self) -> float | None:
        """When to call `handle_timer`, unless something else comes first; None when the session is over."""
        if self._is_over:
            return None
        if self._deadline is None:
            self._deadline = self._next_deadline()
        return self._deadline

    def _next_deadline(self) -> float | None:
        if self._is_over:
            return None
        times = [self._rounds.deadline(), self._path.deadline(self._now)]
        if self.state == "checking":
            times.append(self._patience.ends_at())
        if self._path.consent is not None and self.selected is not None:
            times.append(self._path.consent.next_check_at())
        return min(times)

    def owns_transaction(self, transaction_id: bytes) -> bool:
        """Whether a response with that id answers a check of ours."""
        return self._rounds.owns(transaction_id)

    def is_valid_source(self, base: int, source: Address) -> bool:
        """Whether the remote has proved that it sends from `source` to `base`: data is taken from every such pair."""
        pair = self._pairs.find(base, source)
        return pair is not None and pair.authenticated

    def check_from(self, base: Candidate) -> Message | None:
        """A check that leaves from a socket which is no base of ours yet; None before the remote is known."""
        if self.remote is None or self._is_over:
            return None
        priority = peer_reflexive_priority(base)
        return build_check(self.local, self.remote, role=self._role, priority=priority, nomination=None)

    def is_remotes(self, message: Message) -> bool:
        """Whether the remote signed it: a check that is meant for us, or an answer."""
        if message.message_class is Class.REQUEST:
            return is_authentic_check(message, self.local, self.remote)
        return self.remote is not None and message.check_message_integrity(self.remote.key)

    def why_not(self) -> str:
        """Why there is no path, as far as one can tell: the most telling cause, in one line."""
        return why_not(self._pairs, known=self.remote is not None)

    def report(self) -> list[PairReport]:
        """Every pair that was tried and how it fared, best first."""
        return self._pairs.report()

    @property
    def _is_over(self) -> bool:
        return self.state in ("failed", "closed")

    # Checks of ours

    def _watch(self, now: float) -> None:
        """Send the selected pair's next consent check. The controlling side repeats its nomination with it."""
        consent, pair = self._path.consent, self.selected
        if consent is not None and pair is not None and now >= consent.next_check_at():
            consent.sent(now)
            self._rounds.probe(pair, now, self._path.counter)
