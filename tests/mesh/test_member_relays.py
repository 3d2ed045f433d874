"""atmosphere.mesh.member_relays."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.mesh.member_relays import MOST, REST, USED, Choice, Offer, offer_of

MESH = bytes(range(20))


def offer(number: int, *more: str) -> Offer:
    made = offer_of(f"node{number}", [f"turn:198.51.100.{number}:7777", *more])
    assert made is not None
    return made


OFFERS = [offer(number) for number in range(1, 9)]


class Chooser:
    """A node's choice; every relay answers but those in `silent`."""

    def __init__(self, offers: list[Offer] = OFFERS, families: tuple[int, ...] = (4,)) -> None:
        self.offers = offers
        self.families = families
        self.silent: set[str] = set()
        self.now = 0.0
        self.using: list[str] = []
        self._choice = Choice()

    def choose(self) -> list[str]:
        """Choose once, knowing how those did that are in use."""
        health = {uri: uri not in self.silent for uri in self.using}
        chosen = self._choice.choose(MESH, self.offers, self.families, health, self.now)
        self.using = [str(uri) for _, uri in chosen]
        return self.using

    def settle(self) -> list[str]:
        """Choose until nothing changes."""
        for _ in range(2 * len(self.offers) + 4):
            before = self.using
            if self.choose() == before:
                return self.using
        raise AssertionError("it never settles")


# --- what an offer is -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        *("turn:192.168.1.5:7777", "turn:127.0.0.1", "turn:[fe80::1]:1", "turn:100.64.1.1", "turn:224.0.0.1"),
        *("turn:relay.example", "stun:198.51.100.1", "turns:198.51.100.1", "turn:user:password@198.51.100.1", ""),
    ],
)
def test_what_no_member_can_have_is_no_offer(text: str) -> None:
    assert offer_of("node", [text]) is None
    kept = offer_of("node", [text, "turn:198.51.100.1:7"])
    assert kept is not None
    assert [str(uri) for uri in kept.uris] == ["turn:198.51.100.1:7"]


@given(st.lists(st.text(max_size=60), max_size=4))
def test_any_text_is_an_offer_or_none(texts: list[str]) -> None:
    offer_of("node", texts)


# --- the choice -------------------------------------------------------------------------------------------------------


def test_everybody_chooses_the_same_two() -> None:
    first = Chooser().settle()
    assert len(first) == USED
    for _ in range(10):
        assert Chooser(random.sample(OFFERS, len(OFFERS))).settle() == first


def test_another_mesh_burdens_others() -> None:
    choices = {tuple(Choice().choose(bytes([number]), OFFERS, [4], {}, 0.0)) for number in range(20)}
    assert len(choices) > 5


def test_one_or_none() -> None:
    assert Chooser([]).settle() == []
    assert Chooser(OFFERS[:1]).settle() == ["turn:198.51.100.1:7777"]


def test_who_fails_is_passed_over_and_asked_again_later() -> None:
    chooser = Chooser()
    first, second = chooser.settle()
    chooser.silent = {first}
    changed = chooser.settle()
    assert changed[0] == second
    assert first not in changed
    chooser.silent = set()
    chooser.now = REST - 1
    assert chooser.settle() == changed
    chooser.now = REST + 1
    assert chooser.settle() == [first, second]


def test_a_working_relay_stays_until_the_better_one_works() -> None:
    chooser = Chooser()
    first, second = chooser.settle()
    chooser.silent = {first}
    _, third = chooser.settle()
    chooser.now = REST + 1
    # `first` is asked once more, and until it answers nothing is given up.
    assert set(chooser.choose()) == {first, second, third}
    assert chooser.settle() == [second, third]


def test_where_all_fail_all_are_kept_trying() -> None:
    chooser = Chooser(OFFERS[:2])
    both = chooser.settle()
    chooser.silent = set(both)
    assert chooser.settle() == both
    chooser.silent = set()
    assert chooser.settle() == both


def test_the_true_one_of_many_is_found() -> None:
    chooser = Chooser()
    chooser.silent = {str(one.uris[0]) for one in OFFERS[1:]}
    for step in range(len(OFFERS)):
        chooser.now = float(step)
        chooser.choose()
    assert "turn:198.51.100.1:7777" in chooser.using
    assert len(chooser.using) <= MOST


def test_who_withdraws_or_is_removed_is_not_used_any_more() -> None:
    chooser = Chooser()
    first, second = chooser.settle()
    chooser.offers = [one for one in OFFERS if str(one.uris[0]) != first]
    changed = chooser.settle()
    assert first not in changed
    assert changed[0] == second


def test_only_families_that_we_have_and_ipv4_first() -> None:
    both = offer(1, "turn:[2001:db8::1]:7777")
    ipv6 = offer_of("node6", ["turn:[2001:db8::6]:7777"])
    assert ipv6 is not None
    assert Chooser([both, ipv6], (4,)).settle() == ["turn:198.51.100.1:7777"]
    assert Chooser([ipv6, both], (4, 6)).settle() == ["turn:198.51.100.1:7777", "turn:[2001:db8::6]:7777"]
    assert Chooser([both], (6,)).settle() == ["turn:[2001:db8::1]:7777"]
    assert Chooser([both], ()).settle() == []


def test_a_members_other_address_is_tried_when_the_first_is_silent() -> None:
    chooser = Chooser([offer(1, "turn:[2001:db8::1]:7777")], (4, 6))
    chooser.silent = {"turn:198.51.100.1:7777"}
    assert chooser.settle() == ["turn:[2001:db8::1]:7777"]
