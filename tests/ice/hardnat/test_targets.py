"""Where a search may send, and when it is needed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from atmosphere.ice.checks import build_answer
from atmosphere.ice.endpoint import IceEndpoint
from atmosphere.ice.events import PairReport
from atmosphere.ice.hardnat.targets import is_needed, trust
from atmosphere.ice.settings import IceSettings
from atmosphere.stun.message import decode, encode
from atmosphere.turn.uri import parse_turn
from tests.ice.loopback import HOST, dialer_credentials
from tests.ice.vnet import make_candidate
from tests.turn.fake_server import PASSWORD, RELAYED, USER, FakeTurnServer

VICTIM, THERE = "198.51.100.9", "203.0.113.1"


def pair(
    kind: str, address: str, state: str, *, relayed: bool = True, selected: bool = False, why: str = ""
) -> PairReport:
    local, remote = make_candidate("host", ("10.0.0.1", 7777)), make_candidate(kind, (address, 4000))  # type: ignore[arg-type]
    return PairReport(local, remote, 1, state, selected, relayed, None, 1, why)


def test_who_answered_there_is_there() -> None:
    assert trust(THERE, [pair("srflx", THERE, "failed"), pair("prflx", THERE, "succeeded")]) == "proven"


def test_an_answer_that_came_through_a_relay_of_the_peers_own_counts_for_nothing() -> None:
    forged = pair("prflx", VICTIM, "succeeded")
    assert trust(VICTIM, [forged], lent={forged.base}) is None
    assert trust(VICTIM, [forged, replace(forged, base=2)], lent={forged.base}) == "proven"
    assert trust(VICTIM, [forged, pair("srflx", VICTIM, "failed")], lent={forged.base}) == "named"


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


class ForgingRelay(FakeTurnServer):
    """A member's relay that answers the checks sent through it in the name of whomever they were for."""

    def _received(self, data: bytes, source: tuple[str, int]) -> None:
        channel = int.from_bytes(data[:2])
        if channel not in self.channels:
            super()._received(data, source)
            return
        answer = encode(build_answer(decode(data[4:]), RELAYED, HOST))
        self.send(data[:2] + len(answer).to_bytes(2) + answer)


async def test_a_member_cannot_prove_a_victims_address_by_its_own_relay() -> None:
    with ForgingRelay() as server:
        turn = replace(parse_turn(f"turn:{USER}:{PASSWORD}@127.0.0.1:{server.address[1]}"), lender="the member")
        async with IceEndpoint(IceSettings(addresses=("127.0.0.1",), turn=(turn,))) as node:
            session = node.dial(dialer_credentials(), HOST)
            session.add_remote(make_candidate("srflx", (VICTIM, 4000)))
            await session.connected(10)
            assert trust(VICTIM, session.report()) == "proven"
            assert trust(VICTIM, session.report(), node.lent_by("the member")) == "named"


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
