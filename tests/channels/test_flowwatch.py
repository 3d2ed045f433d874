"""The timer around the judgement: what is asked, what is told, and when it rests."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from atmosphere.channels import dataflow
from atmosphere.channels.flowwatch import FlowWatch
from atmosphere.sctp.interface import Association
from tests.until import until


class Owed:
    """As much of an association as is watched: what it sends is never answered."""

    answer_time: float | None = None

    def __init__(self) -> None:
        self.outstanding = True
        self.probes = 0
        self.watch = FlowWatch()

    def probe(self) -> None:
        self.probes += 1
        self.watch.sent()


@pytest.fixture
async def owed(monkeypatch: pytest.MonkeyPatch) -> Owed:
    monkeypatch.setattr(dataflow, "SUSPECT_AFTER", 0.02)
    monkeypatch.setattr(dataflow, "PROBE_EVERY", 0.02)
    monkeypatch.setattr(dataflow, "ALARM_AFTER", 0.04)
    monkeypatch.setattr(dataflow, "SILENT_AFTER", 0.2)
    made = Owed()
    made.watch.attend(cast("Association", made))
    return made


async def test_it_asks_tells_once_of_its_suspicion_and_then_of_the_silence(owed: Owed) -> None:
    suspected: list[int] = []
    alarmed: list[int] = []
    owed.watch.on_alarm = lambda: alarmed.append(owed.probes)
    silent = asyncio.Event()
    owed.watch.on_suspect = lambda: suspected.append(owed.probes)
    owed.watch.on_silent = silent.set
    owed.watch.sent()
    assert not owed.watch.idle
    await asyncio.wait_for(silent.wait(), 5)
    assert suspected == [1]
    assert len(alarmed) == 1
    assert owed.probes >= 1
    assert owed.watch.idle


async def test_what_is_owed_no_more_is_waited_for_no_more(owed: Owed) -> None:
    owed.watch.sent()
    owed.outstanding = False
    owed.watch.sent()
    await until(lambda: owed.watch.idle)
    assert owed.probes == 0
    owed.watch.sent()
    assert owed.watch.idle


async def test_an_answer_puts_it_off(owed: Owed) -> None:
    owed.watch.sent()
    owed.watch.heard()
    await until(lambda: owed.watch.idle)
    assert owed.probes == 0


@pytest.mark.parametrize("known", [None, 0.001])
async def test_on_a_path_that_is_known_to_be_long_it_waits_longer(owed: Owed, known: float | None) -> None:
    owed.answer_time = known
    owed.watch.round_trip = lambda: 60.0
    owed.watch.sent()
    await asyncio.sleep(0.1)
    assert (owed.probes, owed.watch.idle) == (0, False)
    owed.watch.stop()


async def test_it_stops_also_out_of_what_it_tells(owed: Owed) -> None:
    owed.watch.on_suspect = owed.watch.stop
    owed.watch.sent()
    await until(lambda: owed.probes)
    assert owed.watch.idle
    owed.watch.sent()
    assert owed.watch.idle
    owed.watch.stop()
