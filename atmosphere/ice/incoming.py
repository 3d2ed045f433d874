"""What STUN messages from the remote mean: its checks are answered (RFC 8445 §7.3), its answers judge ours (§7.2.5)."""

from __future__ import annotations

from atmosphere.ice.checklist import CheckList
from atmosphere.ice.checks import ROLE_CONFLICT, Role, build_answer, build_role_conflict, is_authentic_check
from atmosphere.ice.credentials import IceCredentials
from atmosphere.ice.events import RemoteSeen, Transmit
from atmosphere.ice.pair import CandidatePair, PairState
from atmosphere.ice.path import PathKeeper
from atmosphere.ice.patience import Patience
from atmosphere.ice.rounds import Rounds
from atmosphere.ice.schedule import next_round
from atmosphere.ice.transactions import Check
from atmosphere.stun.message import Class, Message, encode

__all__ = ["Incoming"]

Address = tuple[str, int]

TRIGGER_SPACING = 0.05
STALE = 5.0


class Incoming:
    """The ears of one agent: what it hears moves its pairs, its rounds and its path. Answers go where checks go."""

    __slots__ = ("_local", "_pairs", "_path", "_patience", "_remote_seen", "_role", "_rounds")

    def __init__(
        self, local: IceCredentials, role: Role, pairs: CheckList, rounds: Rounds, path: PathKeeper, patience: Patience
    ) -> None:
        self._local = local
        self._role = role
        self._pairs = pairs
        self._rounds = rounds
        self._path = path
        self._patience = patience
        self._remote_seen = False

    # Answers to checks of ours

    def response(self, message: Message, base: int, source: Address, now: float) -> None:
        """Take what may answer a check of ours; anything else is ignored without a trace."""
        check = self._rounds.answered(message)
        if check is None:
            return
        pair, mapped = check.pair, message.attributes.get("XOR-MAPPED-ADDRESS")
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
        if pair is not self._pairs.selected:
            self._rounds.fail(pair, why, now)

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

    def request(self, message: Message, base: int, source: Address, now: float) -> None:
        """Answer a check that is signed with our password; anything else is ignored without a trace."""
        if not is_authentic_check(message, self._local, self._rounds.remote):
            return
        verdict = self._role.judge(message)
        if verdict == "refuse":
            self._answer(build_role_conflict(message, self._local), base, source)
            return
        if verdict == "switch":
            self._switch_role(now)
        pair = self._pairs.discover(base, source, message.attributes["PRIORITY"], now)
        if pair is None:
            return
        self._answer(build_answer(message, source, self._local), base, source)
        self._path.checked(pair, now)
        if not pair.authenticated:
            pair.authenticated = True
            self._patience.renew(now)
        self._see(pair)
        nominates = "USE-CANDIDATE" in message.attributes and not self._role.controlling
        is_news = nominates and pair is not self._pairs.selected
        if nominates:
            self._path.nominated(pair, message.attributes.get("NOMINATION"), now)
        self._path.doubted(pair, message.attributes.get("DOUBT"), now)
        self._check_back(pair, now, is_news=is_news)

    def _check_back(self, pair: CandidatePair, now: float, *, is_news: bool) -> None:
        """Check a pair that a check came over, unless we know that it works or asked just now (RFC 8445 §7.3.1.4).

        `is_news` says that it nominated a pair which was not selected before.
        """
        fresh = now - pair.answered_at < STALE or not is_news
        asked = pair.in_round and now - pair.last_sent_at < TRIGGER_SPACING
        if not (pair.is_valid and fresh) and not asked:
            self._pairs.trigger(pair)

    def _answer(self, message: Message, base: int, source: Address) -> None:
        self._rounds.out.append(Transmit(base, encode(message), source))

    # Either

    def _see(self, pair: CandidatePair) -> None:
        if not self._remote_seen:
            self._remote_seen = True
            self._path.events.append(RemoteSeen(pair.base, pair.remote.endpoint))

    def _switch_role(self, now: float) -> None:
        self._role.switch()
        self._pairs.controlling = self._role.controlling
        self._path.role_switched(now)
