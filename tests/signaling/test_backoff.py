from __future__ import annotations

from signaling.backoff import Backoff


def test_delays_double_up_to_the_longest() -> None:
    backoff = Backoff(0.5, 4, draw=lambda: 1.0)
    assert [backoff.next() for _ in range(5)] == [0.5, 1, 2, 4, 4]
    backoff.reset()
    assert backoff.next() == 0.5


def test_delays_are_spread_over_their_upper_half() -> None:
    assert Backoff(1, 4, draw=lambda: 0.0).next() == 0.5
    assert all(0.5 <= Backoff(1, 4).next() <= 1 for _ in range(100))


def test_a_server_can_send_us_away_for_long() -> None:
    backoff = Backoff(0.5, 30, draw=lambda: 1.0)
    assert backoff.longest() == 30
