from __future__ import annotations

import pytest

from atmosphere.ice.portmapping.epoch import Epoch


def lost_after(*heard: tuple[int, float]) -> bool:
    epoch = Epoch()
    for seconds, now in heard:
        epoch.hear(seconds, now)
    return epoch.lost()


@pytest.mark.parametrize(
    ("second", "lost"),
    [
        ((1060, 160.0), False),
        ((1059, 160.0), False),
        ((1000, 100.5), False),
        ((999, 100.0), False),  # answers may overtake each other
        ((998, 100.0), True),
        ((0, 160.0), True),  # restarted
        ((1010, 160.0), True),  # restarted, and its clock was ahead of that
        ((1600, 160.0), True),  # we slept
    ],
)
def test_the_second_answer(second: tuple[int, float], lost: bool) -> None:
    assert lost_after((1000, 100.0), second) is lost


def test_the_first_answer_says_nothing() -> None:
    assert not lost_after()
    assert not lost_after((123456, 1.0))


def test_it_is_told_once() -> None:
    epoch = Epoch()
    for seconds, now in ((1000, 100.0), (1, 160.0), (61, 220.0)):
        epoch.hear(seconds, now)
    assert epoch.lost()
    assert not epoch.lost()
