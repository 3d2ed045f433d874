"""What is known of our NAT without asking anybody for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from atmosphere.ice.base import Base
from atmosphere.ice.candidate import Candidate
from atmosphere.ice.events import PairReport
from atmosphere.ice.gather import Gatherer
from atmosphere.ice.hardnat.allocation import PortAllocation
from atmosphere.ice.hardnat.view import SESSIONS, NatView, behaviour_of
from atmosphere.ice.nat import Seen
from tests.ice.vnet import make_candidate

LOCAL, PUBLIC = ("10.0.0.1", 7777), "203.0.113.1"
ONE, OTHER_PORT, TWO = ("192.0.2.1", 3478), ("192.0.2.1", 50000), ("192.0.2.2", 3478)


def pair(remote: tuple[str, int], seen: tuple[str, int], *, base: int = 1, state: str = "succeeded") -> PairReport:
    """A pair whose remote said that it sees us at `seen`."""
    local, there = make_candidate("srflx", seen), make_candidate("relay", remote)
    return PairReport(local, there, base, state, selected=False, relayed=True, rtt=None, checks_sent=1, why="")


class Servers(Gatherer):
    """A gatherer that knows this and no more."""

    def __init__(self, seen: dict[int, list[Seen]], silent: dict[int, int]) -> None:
        super().__init__()
        self._seen, self._silent = seen, silent

    def seen(self, base: int) -> list[Seen]:
        return self._seen.get(base, [])

    def unanswered(self, base: int) -> int:
        return self._silent.get(base, 0)

    def discoverers(self, base: int) -> list[tuple[str, int]]:
        return [ONE] if base in self._seen else []


@dataclass
class Endpoint:
    """As much of an endpoint as is looked at."""

    seen: dict[int, list[Seen]] = field(default_factory=dict)
    silent: dict[int, int] = field(default_factory=dict)
    pairs: list[PairReport] = field(default_factory=list)
    reports: int = 1

    def view(self) -> NatView:
        hosts = {
            1: make_candidate("host", LOCAL, preference=100),
            2: make_candidate("host", ("10.0.0.2", 7777), preference=200),
            3: make_candidate("host", ("2001:db8::1", 7777), preference=300),
            4: make_candidate("relay", ("192.0.2.9", 7777), preference=400),
        }
        bases = {number: base(number, candidate) for number, candidate in hosts.items()}
        reports: list[Callable[[], list[PairReport]]] = [lambda: self.pairs] * self.reports
        return NatView(bases, Servers(self.seen, self.silent), lambda: reports)


def base(number: int, candidate: Candidate) -> Base:
    return Base(number, candidate, lambda data, destination: None)


def test_two_servers_tell() -> None:
    easy = Endpoint({1: [Seen(ONE, (PUBLIC, 7777)), Seen(TWO, (PUBLIC, 7777))]}).view()
    assert (easy.behaviour.mapping, easy.behaviour.type) == ("endpoint-independent", "port-restricted-cone")
    assert easy.allocation == PortAllocation("preserved", 0, 7777)
    assert easy.public == (PUBLIC, 7777)
    assert easy.servers == [ONE, TWO]
    hard = Endpoint(
        {1: [Seen(ONE, (PUBLIC, 4000)), Seen(TWO, (PUBLIC, 4001)), Seen(OTHER_PORT, (PUBLIC, 4002))]}
    ).view()
    assert (hard.behaviour.mapping, hard.behaviour.type) == ("address-and-port-dependent", "symmetric")
    assert hard.allocation == PortAllocation("sequential", 1, 4002)
    assert hard.public == (PUBLIC, 4002)


def test_a_peer_behind_another_port_of_the_one_server_tells_a_hard_nat() -> None:
    seen = {1: [Seen(ONE, (PUBLIC, 4000))]}
    assert Endpoint(seen).view().behaviour.mapping == "unknown"
    assert Endpoint(seen, pairs=[pair(OTHER_PORT, (PUBLIC, 4000))]).view().behaviour.mapping == "unknown"
    hard = Endpoint(seen, pairs=[pair(OTHER_PORT, (PUBLIC, 5000))])
    assert hard.view().behaviour.mapping == "address-and-port-dependent"
    easy = Endpoint(seen, pairs=[pair(TWO, (PUBLIC, 4000))])
    assert easy.view().behaviour.mapping == "endpoint-independent"


@pytest.mark.parametrize(
    "useless",
    [
        pair(OTHER_PORT, ("100.64.0.7", 5000)),
        pair(OTHER_PORT, (PUBLIC, 5000), base=2),
        pair(OTHER_PORT, (PUBLIC, 5000), state="failed"),
    ],
    ids=["inside an outer NAT", "of another socket", "never answered"],
)
def test_what_does_not_count(useless: PairReport) -> None:
    assert Endpoint({1: [Seen(ONE, (PUBLIC, 4000))]}, pairs=[useless]).view().behaviour.mapping == "unknown"


def test_not_more_sessions_are_asked_than_need_be() -> None:
    asked: list[int] = []

    def report() -> list[PairReport]:
        asked.append(1)
        return []

    view = NatView(
        {1: base(1, make_candidate("host", LOCAL))}, Servers({1: [Seen(ONE, (PUBLIC, 1))]}, {}), lambda: [report] * 99
    )
    assert view.behaviour.mapping == "unknown"
    assert len(asked) == SESSIONS


def test_the_best_socket_that_servers_see_is_looked_at() -> None:
    view = Endpoint({1: [Seen(ONE, (PUBLIC, 1))], 2: [Seen(ONE, (PUBLIC, 2))], 3: [Seen(ONE, (PUBLIC, 3))]}).view()
    assert view.base is not None
    assert view.base.id == 2
    assert view.public == (PUBLIC, 2)


def test_who_can_measure_and_from_where() -> None:
    assert Endpoint().view().discoverers() == ("", [])
    seen = {1: [Seen(ONE, (PUBLIC, 7)), Seen(TWO, (PUBLIC, 7))]}
    assert Endpoint(seen).view().discoverers() == (LOCAL[0], [ONE])


def test_silence_everywhere_means_that_udp_is_blocked() -> None:
    view = Endpoint(silent={1: 2, 2: 1}).view()
    assert view.behaviour.type == "udp-blocked"
    assert (view.base, view.public, view.servers, view.allocation) == (None, None, [], PortAllocation())
    assert Endpoint().view().behaviour.type == "unknown"


def test_a_public_address_is_no_nat() -> None:
    assert behaviour_of(LOCAL, [Seen(ONE, LOCAL), Seen(TWO, LOCAL)], [], asked=2).type == "open"
