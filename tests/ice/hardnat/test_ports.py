"""The order in which ports are tried."""

from __future__ import annotations

from itertools import islice
from random import Random

from atmosphere.ice.hardnat.allocation import FIRST_PORT, LAST_PORT, PortAllocation
from atmosphere.ice.hardnat.ports import NEAR, WINDOW, search_order

RANDOM = PortAllocation("random", 0, 5000)


def test_every_port_comes_once() -> None:
    found = list(search_order(RANDOM, [5000, 60000], Random(1)))
    assert sorted([*found, 5000, 60000]) == list(range(FIRST_PORT, LAST_PORT + 1))


def test_ports_near_those_seen_come_first() -> None:
    found = list(islice(search_order(RANDOM, [5000, 65530], Random(1)), 2 * NEAR + NEAR + 5))
    assert found[:4] == [5001, 4999, 65531, 65529]
    assert all(abs(port - 5000) <= NEAR or abs(port - 65530) <= NEAR for port in found)


def test_the_next_ports_of_a_sequence_come_before_all() -> None:
    found = list(islice(search_order(PortAllocation("sequential", -2, 1030), [1030], Random(1)), WINDOW + 1))
    assert found[:5] == [1028, 1026, 1024, 65534, 65532]
    assert found[WINDOW] == 1031


def test_ports_that_the_other_side_opens_come_first_where_they_are_preserved() -> None:
    found = list(islice(search_order(PortAllocation("preserved", 0, 7777), [40000, 80, 50000], Random(1)), 4))
    assert found == [40000, 50000, 40001, 39999]


def test_nothing_seen_is_all_random() -> None:
    found = list(islice(search_order(PortAllocation(), [], Random(1)), 2000))
    assert len(set(found)) == 2000
    assert min(found) < 3000
    assert max(found) > 63000
