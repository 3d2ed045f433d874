"""Where a search may send, and when it is needed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from atmosphere.ice.events import PairReport
from atmosphere.ice.hardnat.targets import is_needed, trust
from tests.ice.vnet import make_candidate

VICTIM, THERE = "198.51.100.9", "203.0.113.1"


def pair(
    kind: str, address: str, state: str, *, relayed: bool = True, selected: bool = False, why: str = ""
) -> PairReport:
    local, remote = make_candidate("host", ("10.0.0.1", 7777)), make_candidate(kind, (address, 4000))  # type: ignore[arg-type]
    return PairReport(local, remote, 1, state, selected, relayed, None, 1, why)


def test_who_answered_there_is_there() -> None:
    assert trust(THERE, [pair("srflx", THERE, "failed"), pair("prflx", THERE, "succeeded")]) == "proven"


def test_who_only_says_so_is_believed_a_little() -> None:
    assert trust(THERE, [pair("srflx", THERE, "failed")]) == "named"


@pytest.mark.parametrize(
    "pairs",
    [
        [],
        [pair("prflx", VICTIM, "failed")],
        [pair("host", VICTIM, "waiting")],
        [pair("relay", VICTIM, "succeeded")],
    ],
    ids=["never heard of", "a check with a forged source", "a host candidate", "a relay"],
)
def test_nobody_is_sent_to_who_had_no_part_in_it(pairs: list[PairReport]) -> None:
    assert trust(VICTIM, [pair("srflx", THERE, "succeeded"), *pairs]) is None


@pytest.mark.parametrize(
    "address", ["10.0.0.1", "192.168.1.1", "100.64.0.1", "127.0.0.1", "224.0.0.1", "2001:db8::1", "", "router.example"]
)
def test_addresses_that_mean_something_else_here_are_never_right(address: str) -> None:
    assert trust(address, [pair("srflx", address, "succeeded")]) is None


RELAY = pair("relay", VICTIM, "succeeded", selected=True)


def test_it_is_needed_once_every_direct_pair_failed() -> None:
    failed = pair("srflx", THERE, "failed", relayed=False, why="no answer within 2 s")
    assert is_needed([RELAY])
    assert is_needed([RELAY, failed, replace(failed, state="in progress")])
    assert not is_needed([RELAY, failed, pair("srflx", THERE, "in progress", relayed=False)])
    assert not is_needed([RELAY, pair("srflx", THERE, "waiting", relayed=False)])
    asked = pair("srflx", THERE, "in progress", relayed=False)
    assert [is_needed([RELAY, replace(asked, checks_sent=count)]) for count in (2, 3, 4)] == [False, False, True]


def test_it_is_not_needed_on_a_direct_path_nor_without_any() -> None:
    assert not is_needed(
        [pair("srflx", THERE, "succeeded", relayed=False, selected=True), replace(RELAY, selected=False)]
    )
    assert not is_needed([replace(RELAY, selected=False)])
