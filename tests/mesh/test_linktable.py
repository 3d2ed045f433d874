"""Both ends must keep the same link, whatever order the links came in."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from atmosphere.mesh.linktable import UFRAG_PREFIX, dial_rank, newcomer_wins


@dataclass
class FakeLink:
    dialed: bool
    boot: bytes = b"boot"
    invited: bool = False
    alive: bool = True


def kept_at(own_id: str, peer_id: str, order: list[FakeLink]) -> FakeLink:
    current: FakeLink | None = None
    for link in order:
        if newcomer_wins(current, link, own_id, peer_id):
            current = link
    assert current is not None
    return current


def test_the_first_link_is_taken() -> None:
    assert newcomer_wins(None, FakeLink(dialed=True), "a", "b")


@pytest.mark.parametrize("first", [True, False])
def test_of_two_links_at_once_both_ends_keep_the_one_the_smaller_id_dialed(first: bool) -> None:
    at_a = kept_at("a", "b", [FakeLink(dialed=first), FakeLink(dialed=not first)])
    at_b = kept_at("b", "a", [FakeLink(dialed=first), FakeLink(dialed=not first)])
    assert at_a.dialed
    assert not at_b.dialed


@pytest.mark.parametrize("order", [0, 1])
def test_the_link_that_a_join_code_made_stays_whoever_dials_meanwhile(order: int) -> None:
    invited, dialed = FakeLink(dialed=False, invited=True), FakeLink(dialed=True)
    assert kept_at("a", "b", [invited, dialed][:: 1 - 2 * order]) is invited


def test_ice_keeps_the_same_one() -> None:
    assert sorted(UFRAG_PREFIX) == list(UFRAG_PREFIX)
    assert dial_rank("a", "b") < dial_rank("b", "a")


def test_a_restarted_peer_replaces_its_old_link() -> None:
    assert newcomer_wins(FakeLink(dialed=True), FakeLink(dialed=False, boot=b"next"), "a", "b")


def test_a_dead_path_gives_way() -> None:
    assert newcomer_wins(FakeLink(dialed=True, alive=False), FakeLink(dialed=False), "a", "b")


def test_a_second_dial_of_the_same_side_replaces_the_first() -> None:
    assert newcomer_wins(FakeLink(dialed=False), FakeLink(dialed=False), "a", "b")
