"""What congestion control and windows make of long paths, in virtual time; `tests.bench.paths` has many more."""

from __future__ import annotations

import pytest

from atmosphere.sctp.receiver import WINDOW
from tests.sctp.bulk import Bulk
from tests.sctp.network import Network, Weather, connected

MEGABIT = 125_000.0


def path(round_trip: float, megabits: float, *, queue: float = 1.0, loss: float = 0.0) -> Network:
    """Shaken hands over it; the queue is in round trips."""
    network = connected(Weather(delay=round_trip / 2))
    network.weather = Weather(delay=round_trip / 2, rate=megabits * MEGABIT, queue=queue * round_trip, loss=loss)
    return network


def test_slow_start_fills_a_path_and_does_not_flood_it() -> None:
    network = path(0.1, 20)
    bulk = Bulk(network)
    bulk.run(1.0)
    assert bulk.run(3.0) > 0.9 * 20 * MEGABIT
    assert network.dropped < 40, "the path and its queue hold 420 packets"


def test_a_short_queue_overflows_once_and_the_path_stays_full() -> None:
    network = path(0.1, 20, queue=0.1)
    bulk = Bulk(network)
    bulk.run(1.0)
    assert bulk.run(3.0) > 0.8 * 20 * MEGABIT


@pytest.mark.soak
def test_a_lossy_long_path_is_not_held_back_by_the_window() -> None:
    """What waits for the gaps of some round trips is more than the window that everybody is offered at first."""
    network = path(0.3, 50, loss=0.01)
    bulk = Bulk(network)
    bulk.run(5.0)
    receiver = network.other.association.receiver
    assert receiver is not None and receiver._limit > WINDOW
    assert bulk.run(3.0) > 0.7 * 50 * MEGABIT
