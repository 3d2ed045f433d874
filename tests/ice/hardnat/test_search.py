"""The search in virtual time, against NATs that are only numbers: how often and how fast the ports meet."""

from __future__ import annotations

import statistics
from itertools import islice
from random import Random
from typing import Any

import pytest

from atmosphere.ice.hardnat.search import LOW_TTL, RATE, SLOW_RATE, Outcome, Search, Shot
from tests.ice.hardnat.simulation import (
    Clock,
    EasyGate,
    Gate,
    hard_and_easy,
    random_ports,
    sequential_ports,
    two_sequential,
)

TARGET = ("203.0.113.1", 7777)
SEEDS = 300


def searched(seed: int, ports: Any, *, hops: int = 1, sensitive: bool = False, loss: float = 0.0) -> Outcome:
    """How a search ends for whoever probes; `ports(rng)` is the hard side's allocator."""
    rng, clock = Random(seed), Clock()
    hard = Gate(clock, ports(rng), hops=hops)
    easy = EasyGate(clock, random_ports(rng), sensitive=sensitive)
    hard.rng = easy.rng = rng
    hard.loss = easy.loss = loss
    outcome = hard_and_easy(clock, hard, easy, rng).outcome
    assert outcome is not None
    return outcome


def searches(ports: Any, seeds: int = SEEDS, **options: Any) -> list[Outcome]:
    return [outcome for seed in range(seeds) if (outcome := searched(seed, ports, **options)).how == "found"]


def test_random_ports_are_found_as_the_arithmetic_says() -> None:
    """256 open ports of 64,512: half of the searches end within 174 probes, 98.3 % within 1024."""
    found = searches(random_ports)
    assert len(found) >= SEEDS - 1
    sent = [outcome.sent for outcome in found]
    assert 140 < statistics.median(sent) < 215
    assert sum(count <= 1024 for count in sent) >= 0.965 * SEEDS
    assert statistics.median(outcome.seconds for outcome in found) < 2.2


def test_loss_costs_little() -> None:
    assert len(searches(random_ports, 100, loss=0.05)) >= 99


def test_behind_two_nats_a_later_round_gets_through() -> None:
    """The short TTL dies between the two."""
    found = searches(random_ports, 100, hops=LOW_TTL + 1)
    assert len(found) >= 99
    assert all(outcome.seconds > 4.9 for outcome in found)  # counted from when the other side began


def test_a_gateway_that_takes_strays_for_flows_is_met_under_the_first_round() -> None:
    found = searches(random_ports, 200, sensitive=True)
    assert len(found) >= 170  # after the second round there is nothing left to meet


def test_a_block_of_ports_is_found_at_once() -> None:
    found = searches(lambda rng: random_ports(rng, 20000, 20511), 50)
    assert len(found) == 50
    assert statistics.median(outcome.seconds for outcome in found) < 0.2


@pytest.mark.parametrize("step", [1, 2, -1])
def test_a_sequence_is_predicted(step: int) -> None:
    found = searches(lambda rng: sequential_ports(rng, step), 50)
    assert len(found) == 50
    assert max(outcome.sent for outcome in found) <= 8


def test_a_sequence_is_predicted_although_others_use_it_too() -> None:
    for seed in range(50):
        rng, clock = Random(seed), Clock()
        hard, easy = Gate(clock, sequential_ports(rng)), EasyGate(clock, iter(()))
        hard.rng = rng
        hard.foreign(30)
        outcome = hard_and_easy(clock, hard, easy, rng).outcome
        assert outcome is not None
        assert outcome.how == "found"
        assert outcome.sent <= 64


@pytest.mark.parametrize("foreign", [0, 30, 100])
def test_two_sequences_meet_by_fanning_in(foreign: float) -> None:
    for seed in range(60):
        rng, clock = Random(seed), Clock()
        one, two = Gate(clock, sequential_ports(rng, 1)), Gate(clock, sequential_ports(rng, 2))
        one.rng = two.rng = rng
        for gate in (one, two) if foreign else ():
            gate.foreign(foreign)
        assert two_sequential(clock, one, two), seed


# one side alone


def make(part: Any = "probe", *, sockets: int = 256, probes: int = 2000, seconds: float = 20.0) -> Search:
    ports = iter(range(1024, 65536))
    return Search(part, TARGET, 0.0, sockets=sockets, probes=probes, seconds=seconds, ports=ports)


def play(search: Search, end: float, begin: float = 0.0) -> list[tuple[float, Shot]]:
    """Everything that is sent until then."""
    sent: list[tuple[float, Shot]] = []
    now = begin
    while (deadline := search.deadline()) is not None and deadline <= end:
        assert deadline >= now or not sent
        now = max(now, deadline)
        search.handle_timer(now)
        sent += [(now, shot) for shot in search.shots()]
    return sent


def test_probes_keep_their_pace_and_their_number() -> None:
    search = make()
    sent = play(search, 30.0)
    assert [shot.destination for _, shot in sent[:3]] == [(TARGET[0], port) for port in (1024, 1025, 1026)]
    assert all(shot.socket is None and shot.ttl is None for _, shot in sent)
    assert sum(at < 1.0 for at, _ in sent) <= RATE + 1
    assert 1900 <= len(sent) <= 2000
    assert search.outcome == Outcome("exhausted", 20.0, len(sent))


def test_after_the_last_probe_it_waits_for_what_is_on_its_way() -> None:
    search = make(probes=30)
    assert len(play(search, 19.9)) == 30
    assert search.deadline() == 20.0
    search.found(10.0)
    assert search.outcome == Outcome("found", 10.0, 30)


def test_ports_that_run_out_end_the_sending_too() -> None:
    search = Search("probe", TARGET, 0.0, sockets=0, probes=10, seconds=5.0, ports=iter([7]))
    assert [shot.destination[1] for _, shot in play(search, 9.0)] == [7]


def test_every_socket_opens_first_softly_then_for_real() -> None:
    search = make("open")
    sent = play(search, 19.9)
    first, rest = sent[:256], sent[256:]
    assert [shot.socket for _, shot in first] == list(range(256))
    assert {shot.ttl for _, shot in first} == {LOW_TTL}
    assert {shot.destination for _, shot in sent} == {TARGET}
    assert first[-1][0] < 0.6
    assert {shot.ttl for _, shot in rest} == {None}
    assert len(rest) == 3 * 256
    assert rest[0][0] == 5.0
    assert search.deadline() == 20.0


def test_a_few_sockets_come_back_sooner() -> None:
    times = [at for at, _ in play(make("open", sockets=16), 19.9)]
    assert len(times) == 6 * 16
    assert 1.0 <= times[16] < 1.1


def test_a_fan_leaves_at_once() -> None:
    sent = play(make("fan", sockets=64, seconds=4.0), 3.9)
    assert sent[63][0] < 0.05
    assert len(sent) == 5 * 64


def test_it_slows_down_when_the_control_server_falls_silent() -> None:
    search = make()
    play(search, 1.0)
    search.unanswered()
    search.answered()
    search.unanswered()
    assert len(play(search, 2.0, begin=1.0)) > 2 * SLOW_RATE
    search.unanswered()
    assert search.is_slow
    later = play(search, 6.0, begin=2.0)
    assert len(later) <= 4 * SLOW_RATE + 2
    assert len(later) >= 4 * SLOW_RATE - 2


def test_a_stall_does_not_end_in_a_burst() -> None:
    search = make()
    play(search, 1.0)
    search.handle_timer(6.0)
    assert len(search.shots()) <= 4


def test_nothing_is_done_early_and_nothing_after_the_end() -> None:
    search = make()
    search.handle_timer(0.0)
    assert len(search.shots()) == 1
    search.handle_timer(0.001)
    assert not search.shots()
    search.stop(0.5)
    search.found(0.6, 3)
    assert search.outcome == Outcome("stopped", 0.5, 1)
    assert search.deadline() is None
    search.handle_timer(1.0)
    assert not list(islice(search.shots(), 1))


def test_the_socket_that_was_found_is_told() -> None:
    search = make("open")
    search.found(2.0, 17)
    assert search.outcome == Outcome("found", 2.0, 0, 17)
