"""atmosphere.ice.recent."""

from __future__ import annotations

from atmosphere.ice.recent import MOST, SECONDS, Recent

HOST, OTHER = ("192.0.2.1", 7777), ("192.0.2.1", 7778)


def test_an_address_is_known_to_the_base_that_sent_there() -> None:
    recent = Recent(0.0)
    recent.add(1, HOST, 1.0)
    assert recent.knows(1, HOST, 2.0)
    assert not recent.knows(2, HOST, 2.0)
    assert not recent.knows(1, OTHER, 2.0)


def test_it_is_forgotten_after_a_while_and_not_before() -> None:
    recent = Recent(0.0)
    recent.add(1, HOST, SECONDS - 1)
    assert recent.knows(1, HOST, SECONDS + 1)
    assert recent.knows(1, HOST, 2 * SECONDS)
    assert not recent.knows(1, HOST, 2 * SECONDS + 2)
    recent.add(1, OTHER, 2 * SECONDS + 3)
    assert not recent.knows(1, OTHER, 10 * SECONDS)
    assert len(recent) == 0


def test_whoever_sends_everywhere_learns_nothing() -> None:
    recent = Recent(0.0)
    for number in range(2 * MOST):
        recent.add(1, ("192.0.2.1", number), 1.0)
    assert len(recent) == MOST
    assert recent.knows(1, ("192.0.2.9", 1), 2.0)
    assert recent.knows(1, ("192.0.2.9", 1), SECONDS + 1)
    assert not recent.knows(1, ("192.0.2.9", 1), 2 * SECONDS + 2)
