from __future__ import annotations

import random

from atmosphere.sctp.congestion import LossJudge

MTU = 1200


def test_few_losses_of_many_packets_are_noise() -> None:
    judge = LossJudge(MTU)
    judge.arrived(1000 * MTU)
    assert not any(judge.lost(MTU) for _ in range(20))
    assert any(judge.lost(MTU) for _ in range(15))


def test_one_loss_in_a_hundred_is_not_taken_for_more_by_chance() -> None:
    rng, judge, cuts = random.Random(1), LossJudge(MTU), 0
    for _ in range(300):
        lost = sum(rng.random() < 0.01 for _ in range(50))
        judge.arrived((50 - lost) * MTU)
        cuts += sum(judge.lost(MTU) for _ in range(lost))
        judge.round_ended(0.1, 0.1)
    assert cuts <= 3


def test_a_loss_that_was_answered_is_not_answered_again() -> None:
    judge = LossJudge(MTU)
    judge.arrived(1000 * MTU)
    assert judge.lost(200 * MTU)
    judge.answered()
    judge.round_ended(0.1, 0.1)
    judge.arrived(1000 * MTU)
    assert not judge.lost(10 * MTU)
    assert judge.lost(40 * MTU)


def test_a_few_packets_tell_nothing_of_a_rate() -> None:
    judge = LossJudge(MTU)
    judge.arrived(5 * MTU)
    assert not judge.lost(2 * MTU)
    assert judge.lost(MTU)


def test_any_loss_of_a_path_with_a_queue_is_congestion() -> None:
    judge = LossJudge(MTU)
    judge.arrived(1000 * MTU)
    judge.round_ended(0.130, 0.100)
    assert judge.lost(MTU)
    judge.round_ended(0.101, 0.100)
    assert not judge.lost(MTU)


def test_what_was_lost_long_ago_counts_no_more() -> None:
    judge = LossJudge(MTU)
    judge.lost(2 * MTU)
    for _ in range(10):
        judge.round_ended(0.1, 0.1)
    assert not judge.lost(MTU)
