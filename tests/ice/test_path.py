"""The path in use: events and states as answers come, fail to come, and come again."""

from __future__ import annotations

import math

from atmosphere.ice.checklist import CheckList
from atmosphere.ice.checks import Role
from atmosphere.ice.events import ConsentExpired, PathLost, PathRestored, PathSelected
from atmosphere.ice.pair import CandidatePair, PairState
from atmosphere.ice.path import PathKeeper
from tests.ice.vnet import make_candidate


class Bench:
    """A keeper over host pairs, best first, with its checks recorded."""

    def __init__(self, count: int, *, controlling: bool = True) -> None:
        self.pairs = CheckList("any")
        self.pairs.controlling = controlling
        self.pairs.add_local(make_candidate("host", ("10.0.0.1", 1)), 1, 0.0)
        for number in range(count):
            self.pairs.add_remote(make_candidate("host", ("10.0.0.2", 1 + number), preference=100 - number), 0.0)
        self.role = Role(controlling, 0)
        self.checks: list[tuple[CandidatePair, int | None]] = []
        self.keeper = PathKeeper(
            self.pairs, self.role, 0.05, lambda pair, now, nomination: self.checks.append((pair, nomination))
        )

    def answer(self, pair: CandidatePair, now: float) -> None:
        pair.state, pair.answered_at = PairState.SUCCEEDED, now
        self.keeper.answered(pair, now - 0.01, 0.01, now)

    @property
    def all(self) -> list[CandidatePair]:
        return list(self.pairs)


def test_nominate_lose_restore_expire() -> None:
    bench = Bench(1)
    (pair,) = bench.all
    keeper = bench.keeper
    keeper.run(0.0)
    assert keeper.deadline(0.0) == math.inf
    assert keeper.state == "checking"
    bench.answer(pair, 1.0)
    keeper.run(1.0)
    assert bench.checks == [(pair, 1)]
    assert keeper.counter == 1
    assert keeper.events == [PathSelected(pair, None)]
    for now in (3.5, 4.0):
        assert keeper.deadline(now - 0.1) == now
        keeper.run(now)
    assert str(keeper.state) == "disconnected"
    assert keeper.events[1:] == [PathLost(3.0)]
    bench.answer(pair, 9.0)
    keeper.run(9.0)
    assert str(keeper.state) == "connected"
    assert keeper.events[2:] == [PathRestored()]
    keeper.run(39.0)
    assert str(keeper.state) == "failed"
    assert keeper.events[3:] == [ConsentExpired()]


def test_a_stall_while_lost_is_no_second_loss() -> None:
    bench = Bench(1)
    (pair,) = bench.all
    bench.answer(pair, 1.0)
    for now in (1.0, 3.5, 4.0):
        bench.keeper.run(now)
    bench.keeper.stalled(10.0)
    for now in (10.0, 10.6, 11.1):
        bench.keeper.run(now)
    assert sum(isinstance(event, PathLost) for event in bench.keeper.events) == 1
    bench.answer(pair, 12.0)
    bench.keeper.run(12.0)
    assert bench.keeper.state == "connected"
    assert bench.keeper.events[-1] == PathRestored()


def test_the_first_that_answers_takes_over_from_a_silent_path() -> None:
    bench = Bench(2)
    best, second = bench.all
    bench.answer(best, 1.0)
    bench.keeper.run(1.0)
    bench.answer(second, 1.0)
    assert bench.pairs.selected is best
    bench.keeper.run(3.5)
    assert second.due_at == 3.5, "asked at once"
    bench.answer(second, 3.6)
    assert bench.pairs.selected is second
    assert bench.checks[-1] == (second, 2)
    assert best.why == "fell silent"
    assert best.distrusted_until == 6.6
    for now, expected in ((4.0, second), (6.6, best)):
        bench.answer(best, now)
        assert bench.pairs.selected is expected


def test_a_base_that_goes_without_a_spare_is_a_loss_until_something_answers() -> None:
    for controlling in (True, False):
        bench = Bench(2, controlling=controlling)
        pair, other = bench.all
        bench.answer(pair, 1.0)
        if not controlling:
            bench.keeper.nominated(pair, 1, 1.0)
        bench.keeper.run(1.0)
        pair.state = PairState.FAILED
        bench.keeper.base_gone(pair.base_candidate, 2.0)
        assert bench.keeper.events[-1] == PathLost(0.0)
        bench.keeper.run(3.0)
        bench.answer(other, 4.0)
        assert bench.pairs.selected is other
        assert bench.keeper.events[-2:] == [PathSelected(other, None), PathRestored()]


def test_the_controlled_side_follows_and_does_not_lead() -> None:
    bench = Bench(2, controlling=False)
    best, second = bench.all
    assert bench.keeper.counter is None
    bench.answer(best, 1.0)
    bench.keeper.run(2.0)
    assert not bench.keeper.events
    bench.keeper.nominated(second, 1, 2.0)
    assert not bench.keeper.events, "nominated, but not checked yet"
    bench.answer(second, 2.1)
    assert bench.pairs.selected is second
    bench.answer(best, 2.2)
    assert bench.pairs.selected is second
    bench.keeper.run(5.0)
    bench.answer(best, 5.0)
    assert bench.pairs.selected is second, "in need, it still waits for the remote's word"
    bench.keeper.nominated(best, 2, 5.1)
    assert bench.pairs.selected is best
    assert not bench.checks


def test_uncounted_nominations_are_taken_over_when_the_path_is_silent() -> None:
    bench = Bench(2, controlling=False)
    best, second = bench.all
    for pair in (best, second):
        bench.keeper.nominated(pair, None, 1.0)
        bench.answer(pair, 1.0)
    assert bench.pairs.selected is best
    bench.keeper.run(3.6)
    bench.answer(second, 3.7)
    assert bench.pairs.selected is second
    assert not best.nominated


def test_a_stall_is_no_sign_against_a_path_that_was_well() -> None:
    bench = Bench(1)
    bench.keeper.stalled(0.5)
    bench.answer(bench.all[0], 1.0)
    bench.keeper.run(1.0)
    bench.keeper.stalled(9.0)
    bench.keeper.run(9.0)
    assert bench.keeper.state == "connected"


def test_a_switched_role_keeps_the_path_and_goes_on_nominating_from_it() -> None:
    bench = Bench(1, controlling=False)
    (pair,) = bench.all
    bench.keeper.nominated(pair, None, 1.0)
    bench.answer(pair, 1.0)
    bench.role.switch()
    bench.pairs.controlling = True
    bench.keeper.role_switched(1.5)
    assert bench.pairs.selected is pair
    assert bench.keeper.counter == 1
    fresh = Bench(1, controlling=False)
    fresh.role.switch()
    fresh.keeper.role_switched(1.5)
    assert fresh.keeper.counter == 0


def test_reconsidering_moves_off_a_path_that_turned_out_relayed() -> None:
    bench = Bench(2)
    best, second = bench.all
    bench.answer(best, 1.0)
    bench.keeper.run(1.0)
    bench.keeper.reconsider(1.0)
    bench.answer(second, 1.0)
    bench.keeper.reconsider(1.0)
    assert bench.pairs.selected is best
    best.remote = make_candidate("relay", best.remote.endpoint)
    bench.keeper.reconsider(1.0)
    assert bench.pairs.selected is second


def test_a_relay_that_goes_takes_the_remotes_relay_of_the_same_server_with_it() -> None:
    """Two servers, a relay of ours and of the remote's on each: only the other server's pair is left to use."""
    bench = Bench(0)
    servers = "198.51.100.10", "198.51.100.11"
    for number, server in enumerate(servers, 2):
        bench.pairs.add_local(make_candidate("relay", (server, 1), preference=100 - number), number, 0.0)
        bench.pairs.add_remote(make_candidate("relay", (server, 2), preference=100 - number), 0.0)
    relayed = [pair for pair in bench.all if pair.base != 1]
    for pair in relayed:
        bench.answer(pair, 1.0)
        pair.due_at = math.inf
    bench.keeper.run(3.0)
    selected = bench.pairs.selected
    assert selected is not None
    assert (selected.base, selected.remote.address) == (2, servers[0])
    bench.pairs.remove_base(2)
    bench.keeper.base_gone(selected.base_candidate, 4.0)
    spare = bench.pairs.selected
    assert spare is not None
    assert (spare.base, spare.remote.address) == (3, servers[1])
    bench.pairs.remove_base(3)
    bench.keeper.base_gone(spare.base_candidate, 5.0)
    assert bench.keeper.state == "disconnected"


def nominated(bench: Bench, count: int = 1) -> list[CandidatePair]:
    """A controlled keeper that uses the first pair, nominated by 1; the others answered too."""
    for pair in bench.all:
        bench.answer(pair, 1.0)
    bench.keeper.nominated(bench.all[0], count, 1.0)
    return bench.all


def test_the_controlled_side_objects_to_what_it_distrusts_until_the_remote_nominates_anew() -> None:
    bench = Bench(2, controlling=False)
    best, second = nominated(bench)
    keeper = bench.keeper
    assert keeper.doubt() is None
    keeper.distrust("data gets lost", 2.0)
    assert bench.pairs.selected is second
    assert bench.checks == [(second, None)], "the remote shall hear of it"
    assert keeper.doubt() == 1
    keeper.nominated(best, 1, 2.5)
    assert bench.pairs.selected is second, "the same nomination again is no news"
    keeper.nominated(second, 2, 3.0)
    assert keeper.doubt() is None


def test_the_controlled_side_objects_to_a_silent_path() -> None:
    bench = Bench(1, controlling=False)
    nominated(bench)
    bench.keeper.expect(1.0)
    bench.keeper.run(3.5)
    assert bench.keeper.doubt() == 1
    bench.role.switch()
    assert bench.keeper.doubt() is None, "now it is ours to nominate"


def test_an_objection_is_heeded_if_it_is_to_the_present_nomination_and_shows_another_pair() -> None:
    bench = Bench(3)
    best, second, third = bench.all
    bench.answer(best, 1.0)
    bench.keeper.run(1.0)
    bench.answer(second, 1.0)
    for pair, nomination in ((second, None), (second, 7), (best, 1), (third, 1)):
        bench.keeper.doubted(pair, nomination, 2.0)
        assert bench.pairs.selected is best
    second.unfit_until = 2.5
    bench.keeper.doubted(second, 1, 2.0)
    assert bench.pairs.selected is best, "data does not get through there"
    bench.keeper.doubted(second, 1, 2.5)
    assert bench.pairs.selected is second
    assert best.why == "the other side gets nothing over it"
    assert best.distrusted_until == 5.5


def test_an_objection_while_there_is_no_path_shows_one() -> None:
    bench = Bench(2)
    best, second = bench.all
    bench.answer(best, 1.0)
    bench.keeper.run(1.0)
    bench.keeper.distrust("data gets lost", 2.0)
    assert bench.pairs.selected is None
    second.state = PairState.SUCCEEDED
    bench.keeper.doubted(second, 1, 2.1)
    assert bench.pairs.selected is second


def test_a_pair_that_the_remote_keeps_warm_is_asked_rarely() -> None:
    bench = Bench(2)
    best, second = bench.all
    bench.answer(best, 1.0)
    bench.keeper.run(1.0)
    bench.keeper.checked(second, 1.0)
    assert second.due_at == 0.0, "not known to work yet"
    bench.answer(second, 1.0)
    second.due_at, second.rtt_samples = 22.0, 3
    bench.keeper.checked(second, 20.0)
    assert 40.0 <= second.due_at <= 45.0
    bench.keeper.checked(second, 50.0)
    assert second.due_at == 61.0
    bench.keeper.checked(best, 50.0)
    assert bench.keeper.consent is not None


def test_the_interval_of_rest_is_handed_on() -> None:
    bench = Bench(1)
    bench.keeper.set_rest(9.0)
    bench.answer(bench.all[0], 1.0)
    bench.keeper.run(1.0)
    assert bench.keeper.consent is not None
    assert bench.keeper.consent.rest == 9.0
    bench.keeper.set_rest(6.0)
    assert bench.keeper.consent.rest == 6.0


def test_before_there_is_a_path_nothing_is_expected_of_it() -> None:
    bench = Bench(1)
    assert not bench.keeper.expect(1.0)
    bench.keeper.distrust("nothing", 1.0)
    assert not bench.keeper.events


def test_a_lost_path_whose_address_goes_away_is_lost_once() -> None:
    bench = Bench(1)
    (pair,) = bench.all
    bench.answer(pair, 1.0)
    for now in (1.0, 3.5, 4.0):
        bench.keeper.run(now)
    pair.state = PairState.FAILED
    bench.keeper.base_gone(pair.base_candidate, 5.0)
    assert bench.keeper.events[1:] == [PathLost(3.0)]
