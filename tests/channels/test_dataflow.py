"""When silence means that data does not get through."""

from __future__ import annotations

import pytest

from atmosphere.channels.dataflow import MOST_ALLOWANCE, SILENT_AFTER, STALL, STALL_GRACE, DataFlow


def sent(*times: float) -> DataFlow:
    flow = DataFlow()
    for time in times:
        flow.sent(time)
    return flow


def test_what_is_sent_and_not_answered_is_silence_in_time() -> None:
    flow = sent(10.0, 10.4)
    assert flow.deadline(None) == 10.0 + SILENT_AFTER
    assert not flow.is_silent(12.4, None)
    assert flow.is_silent(12.5, None)
    assert flow.deadline(None) is None
    assert not flow.is_silent(20.0, None)


def test_any_answer_begins_anew() -> None:
    flow = sent(10.0, 10.4)
    flow.heard()
    assert flow.deadline(0.1) is None
    flow.sent(12.0)
    flow.sent(12.4)
    assert flow.deadline(0.1) == 12.0 + SILENT_AFTER


def test_nothing_sent_or_one_packet_alone_is_no_silence() -> None:
    assert DataFlow().deadline(None) is None
    assert sent(10.0).deadline(None) is None
    assert not sent(10.0).is_silent(100.0, None)


@pytest.mark.parametrize(("answer_time", "allowance"), [(0.3, 0.0), (0.5, 0.0), (1.5, 1.0), (60.0, MOST_ALLOWANCE)])
def test_a_slow_path_has_longer(answer_time: float, allowance: float) -> None:
    assert sent(10.0, 11.0).deadline(answer_time) == 10.0 + SILENT_AFTER + allowance


def test_who_slept_itself_reads_what_waits_before_it_judges() -> None:
    flow = sent(10.0, 10.4)
    woken = 10.0 + SILENT_AFTER + STALL + 5.0
    assert not flow.is_silent(woken, None)
    assert flow.deadline(None) == woken + STALL_GRACE
    assert not flow.is_silent(woken + STALL_GRACE / 2, None)
    assert flow.is_silent(woken + STALL_GRACE, None)
    again = sent(10.0, 10.4)
    assert not again.is_silent(woken, None)
    again.heard()
    assert not again.is_silent(woken + STALL_GRACE, None)
