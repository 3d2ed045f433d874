from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from atmosphere.turn.server.ports import TRIES, Ports


def test_offers_are_random_first_and_then_complete() -> None:
    ports = Ports(100, 109, below=lambda n: n // 2)
    offers = list(ports.offers())
    assert offers[:TRIES] == [105] * TRIES
    assert sorted(offers[TRIES:]) == list(range(100, 110))


def test_ports_differ_between_servers() -> None:
    first = [next(Ports(49152, 65535).offers()) for _ in range(20)]
    assert len(set(first)) > 15


@given(st.sets(st.integers(100, 131)), st.booleans(), st.booleans())
def test_what_is_offered_is_free_and_suits(used: set[int], even: bool, pair: bool) -> None:
    ports = Ports(100, 131)
    for port in used:
        ports.take(port)
    free = set(range(100, 132)) - used
    suitable = {port for port in free if not (even and port % 2) and (not pair or port + 1 in free)}
    assert set(ports.offers(even=even, pair=pair)) == suitable


def test_what_is_given_back_is_free() -> None:
    ports = Ports(100, 101)
    ports.take(100)
    ports.take(101)
    assert (list(ports.offers()), len(ports)) == ([], 2)
    ports.give_back(100)
    assert set(itertools.islice(ports.offers(), 100)) == {100}
