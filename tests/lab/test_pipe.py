"""The schedule of a link: each condition does what its name says, and nothing else."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.lab.pipe import Conditions, Counts, Pipe

IP, ARP = bytes(12) + b"\x08\x00", bytes(12) + b"\x08\x06"


def frame(number: int, length: int = 100) -> bytes:
    return IP + number.to_bytes(4) + bytes(length - 18)


def sent(
    count: int, *, apart: float = 0.001, length: int = 100, **conditions: object
) -> tuple[Pipe, list[tuple[float, int]]]:
    """A pipe through which `count` frames went one after another, and when which of them arrived."""
    pipe = Pipe(Conditions(**conditions), random.Random(3))  # type: ignore[arg-type]
    arrived: list[tuple[float, int]] = []

    def arrivals(until: float) -> None:
        while (when := pipe.deadline()) is not None and when <= until:
            arrived.extend((when, int.from_bytes(one[14:18])) for one in pipe.due(when))

    for number in range(count):
        arrivals(number * apart)
        pipe.put(frame(number, length), number * apart)
    arrivals(1e9)
    return pipe, arrived


def numbers(arrived: list[tuple[float, int]]) -> list[int]:
    return [number for _, number in arrived]


def test_a_plain_pipe_delivers_at_once_and_in_order() -> None:
    pipe, arrived = sent(10)
    assert arrived == [(number * 0.001, number) for number in range(10)]
    assert pipe.counts == Counts(carried=10)
    assert pipe.deadline() is None


def test_delay() -> None:
    _, arrived = sent(10, delay=0.3)
    assert arrived == [(number * 0.001 + 0.3, number) for number in range(10)]


def test_jitter_keeps_the_order() -> None:
    _, arrived = sent(500, delay=0.1, jitter=0.05)
    assert numbers(arrived) == list(range(500))
    late = [when - number * 0.001 - 0.1 for when, number in arrived]
    assert min(late) >= -1e-9
    assert max(late) <= 0.05
    assert max(late) - min(late) > 0.01


def test_loss_is_as_frequent_as_said() -> None:
    pipe, arrived = sent(2000, loss=0.3)
    assert 1300 < len(arrived) < 1500
    assert pipe.counts == Counts(carried=len(arrived), lost=2000 - len(arrived))


def test_losses_come_in_bursts_as_long_as_said() -> None:
    pipe, arrived = sent(40_000, loss=0.05, burst=5)
    assert 1600 < pipe.counts.lost < 2400
    got = numbers(arrived)
    bursts = sum(later - earlier > 1 for earlier, later in itertools.pairwise(got))
    assert 4 < pipe.counts.lost / bursts < 6.5
    assert numbers(sent(100, loss=1.0, burst=5)[1]) == []


def test_duplicates() -> None:
    _, arrived = sent(2000, duplicate=0.1)
    assert 2150 < len(arrived) < 2250
    assert set(numbers(arrived)) == set(range(2000))


def test_reordered_frames_are_overtaken() -> None:
    _, arrived = sent(1000, delay=0.05, reorder=0.1, held=0.01)
    order = numbers(arrived)
    assert sorted(order) == list(range(1000))
    overtaken = [number for place, number in enumerate(order) if place > number]
    assert 50 < len(overtaken) < 150


def test_a_rate_spaces_frames_out() -> None:
    pipe, arrived = sent(10, apart=0.0, length=1000, rate=100_000.0)
    assert [round(when, 6) for when, _ in arrived] == [round(0.01 * number, 6) for number in range(1, 11)]
    assert pipe.counts == Counts(carried=10)


def test_a_full_queue_drops_what_comes_last() -> None:
    pipe, arrived = sent(10, apart=0.0, length=1000, rate=100_000.0, queue=3000)
    assert numbers(arrived) == [0, 1, 2]
    assert pipe.counts == Counts(carried=3, overflowed=7)
    _, single = sent(1, length=1000, rate=100_000.0, queue=10)
    assert numbers(single) == [0]  # a queue of less than a frame still has one on the wire


def test_a_black_hole_swallows_long_packets_only() -> None:
    pipe = Pipe(Conditions(mtu=1280), random.Random(1))
    pipe.put(frame(1, 14 + 1280), 0.0)
    pipe.put(frame(2, 14 + 1281), 0.0)
    assert pipe.due(0.0) == [frame(1, 14 + 1280)]
    assert pipe.counts == Counts(carried=1, too_long=1)


def test_what_is_not_ip_is_neither_lost_nor_doubled_nor_reordered() -> None:
    pipe = Pipe(Conditions(loss=1.0, duplicate=1.0, reorder=1.0), random.Random(1))
    pipe.put(ARP, 0.0)
    assert pipe.due(0.0) == [ARP]
    pipe.change(Conditions(down=True))
    pipe.put(ARP, 1.0)
    assert pipe.deadline() is None


def test_a_link_that_goes_down_loses_what_is_under_way() -> None:
    pipe = Pipe(Conditions(delay=1.0), random.Random(1))
    pipe.put(frame(1), 0.0)
    pipe.change(replace(pipe.conditions, down=True))
    pipe.put(frame(2), 0.1)
    pipe.change(replace(pipe.conditions, down=False))
    pipe.put(frame(3), 0.2)
    assert pipe.due(9.0) == [frame(3)]
    assert pipe.counts == Counts(carried=1, lost=2)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.integers(18, 1500)), max_size=60),
    st.builds(
        Conditions,
        delay=st.floats(0, 1),
        jitter=st.floats(0, 1),
        loss=st.floats(0, 1),
        duplicate=st.floats(0, 1),
        reorder=st.floats(0, 1),
        rate=st.none() | st.floats(1000, 1e7),
        queue=st.integers(0, 20_000),
        mtu=st.none() | st.integers(500, 1500),
    ),
)
def test_whatever_the_weather_every_frame_is_accounted_for(
    frames: list[tuple[float, int]], conditions: Conditions
) -> None:
    pipe = Pipe(replace(conditions, duplicate=0.0), random.Random(1))
    now = 0.0
    for number, (pause, length) in enumerate(frames):
        now += pause
        pipe.put(frame(number, length), now)
    arrived = pipe.due(1e9)
    counts = pipe.counts
    assert len(arrived) == len(set(arrived)) == counts.carried
    assert counts.carried + counts.lost + counts.overflowed + counts.too_long == len(frames)
    if not conditions.reorder:
        assert arrived == sorted(arrived, key=lambda one: one[14:18])
