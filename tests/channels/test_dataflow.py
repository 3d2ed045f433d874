"""When silence means that data does not get through."""

from __future__ import annotations

import random

import pytest

from atmosphere.channels.dataflow import (
    MOST_ALLOWANCE,
    PROBE_EVERY,
    SILENT_AFTER,
    STALL,
    STALL_GRACE,
    SUSPECT_AFTER,
    DataFlow,
)


def sent(*times: float) -> DataFlow:
    flow = DataFlow()
    for time in times:
        flow.sent(time)
    return flow


def until_silent(flow: DataFlow, answer_time: float | None = None) -> list[float]:
    """The times of the probes, and last that of the verdict."""
    times = []
    while (deadline := flow.deadline(answer_time)) is not None:
        times.append(deadline)
        if flow.verdict(deadline, answer_time) == "silent":
            return times
        flow.sent(deadline)
    raise AssertionError("there was nothing to judge")


def test_what_is_not_answered_is_asked_again_and_then_is_silence() -> None:
    flow = sent(10.0)
    assert flow.verdict(10.9, None) == "wait"
    assert flow.verdict(11.0, None) == "suspect"
    flow.sent(11.0)
    assert flow.verdict(11.25, None) == "alarm"
    flow.sent(11.25)
    assert flow.verdict(11.5, None) == "probe"
    flow = sent(10.0)
    times = until_silent(flow)
    assert times[:2] == [10.0 + SUSPECT_AFTER, 10.0 + SUSPECT_AFTER + PROBE_EVERY]
    assert times[-1] == 10.0 + SILENT_AFTER
    assert len(times) > 6
    assert flow.deadline(None) is None
    assert flow.verdict(20.0, None) == "wait"


def test_any_answer_begins_anew() -> None:
    flow = sent(10.0, 10.4)
    flow.heard()
    assert flow.deadline(0.1) is None
    flow.sent(12.0)
    assert until_silent(flow, 0.1)[-1] == 12.0 + SILENT_AFTER


def test_what_is_sent_anyway_asks_too() -> None:
    assert sent(10.0, 10.9).deadline(None) == 10.9 + PROBE_EVERY


def test_nothing_sent_is_no_silence() -> None:
    assert DataFlow().deadline(None) is None
    assert DataFlow().verdict(10.0, None) == "wait"


@pytest.mark.parametrize(("answer_time", "allowance"), [(0.3, 0.0), (0.5, 0.0), (1.5, 1.0), (60.0, MOST_ALLOWANCE)])
def test_a_slow_path_has_longer(answer_time: float, allowance: float) -> None:
    times = until_silent(sent(10.0), answer_time)
    assert times[-1] == 10.0 + SILENT_AFTER + allowance
    assert times[0] == min(10.0 + max(SUSPECT_AFTER, answer_time), times[-1])


def test_who_slept_itself_reads_what_waits_before_it_judges() -> None:
    woken = 10.0 + SILENT_AFTER + STALL + 5.0
    flow = sent(10.0)
    assert flow.verdict(woken, None) == "probe"
    flow.sent(woken)
    assert until_silent(flow)[-1] == woken + STALL_GRACE
    again = sent(10.0)
    again.verdict(woken, None)
    again.heard()
    assert again.verdict(woken + STALL_GRACE, None) == "wait"


def test_loss_and_a_long_round_trip_are_hardly_ever_taken_for_death() -> None:
    """30 % each way and 600 ms, one lonely message at a time: the answers of eight questions do not all get lost."""
    chance, deaths = random.Random(1), 0
    for _ in range(2000):
        flow, answers = DataFlow(), list[float]()
        verdict, now = "probe", 0.0
        while verdict in ("suspect", "alarm", "probe") and min(answers, default=now) >= now:
            flow.sent(now)
            if chance.random() < 0.7 * 0.7:
                answers.append(now + 0.6)
            now = flow.deadline(1.2) or now
            verdict = flow.verdict(now, 1.2) if min(answers, default=now) >= now else "wait"
        deaths += verdict == "silent"
    assert deaths / 2000 < 0.02
