"""Signals sealed, routed and opened: between members and between a joiner and its host; the servers are a list."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from atmosphere.credentials import DialSecret
from atmosphere.errors import DecodeError
from atmosphere.mesh import signals, wire
from atmosphere.mesh.roster import Roster
from atmosphere.mesh.signaler import MAX_NEIGHBOURS, MEMBER, TO_HOST, Signaler
from atmosphere.mesh.store import Home
from tests.mesh.fakes import FakeLink, founder, member
from tests.mesh.people import CAROL, DAVE

SECRET = DialSecret(b"s" * 16)
DIAL = signals.Dial("session", ["a line"])
ANSWER = signals.Candidates("session", [])


class Side:
    """A node's signaler, what its servers were given, and what it heard."""

    def __init__(self, home: Home, roster: Roster) -> None:
        self.id = home.identity.node_id
        self.links: list[FakeLink] = []
        self.left: list[tuple[str, bytes]] = []
        self.heard: list[tuple[object, ...]] = []
        self.signaler = Signaler(home.identity, roster, self, lambda: [link.real for link in self.links])
        self.signaler.on_member = lambda sender, message: self.heard.append((sender, message))
        self.signaler.on_joiner = lambda invite, joiner, message: self.heard.append((invite, joiner, message))
        self.signaler.on_host = lambda invite, message: self.heard.append((invite, message))
        self.signaler.secret_of = {SECRET.id: SECRET}.get

    async def send(self, to: str, payload: bytes, ttl: float) -> bool:
        self.left.append((to, payload))
        return True

    def gets(self, other: Side, source: str = "") -> list[tuple[object, ...]]:
        """What comes of everything that `other` left at the servers."""
        for _, envelope in other.left:
            self.signaler.envelope_received(source or other.id, envelope)
        return self.heard


Sides = tuple[Side, Side]


@pytest.fixture
def sides(tmp_path: Path) -> Sides:
    home, roster = founder(tmp_path)
    return Side(home, roster), Side(*member(tmp_path, "beta", roster))


async def test_between_members(sides: Sides) -> None:
    alpha, beta = sides
    await alpha.signaler.to_member(beta.id, DIAL)
    assert alpha.left[0][0] == beta.id
    # Who brings it does not matter; who sealed it does.
    assert beta.gets(alpha, "somebody else") == [(alpha.id, DIAL)]


async def test_a_copy_by_another_way_is_dropped(sides: Sides) -> None:
    alpha, beta = sides
    await alpha.signaler.to_member(beta.id, DIAL)
    beta.gets(alpha)
    assert len(beta.gets(alpha)) == 1


async def test_nothing_is_sealed_for_who_is_no_member(sides: Sides) -> None:
    alpha, _ = sides
    await alpha.signaler.to_member(CAROL.node_id, DIAL)
    assert alpha.left == []


async def test_neighbours_carry_it_too_but_for_the_receiver_itself(sides: Sides) -> None:
    alpha, beta = sides
    beta_link = FakeLink()
    beta_link.peer_id = beta.id
    alpha.links = [beta_link, *(FakeLink(CAROL) for _ in range(2 * MAX_NEIGHBOURS))]
    await alpha.signaler.to_member(beta.id, DIAL)
    assert beta_link.said == []
    said = list(itertools.chain.from_iterable(link.said for link in alpha.links))
    assert said == [wire.Signal(beta.id, alpha.id, alpha.left[0][1])] * (MAX_NEIGHBOURS - 1)


async def test_a_joiner_and_its_host(sides: Sides) -> None:
    host, joiner = sides
    await joiner.signaler.to_host(host.id, SECRET, DIAL)
    assert host.gets(joiner) == [(SECRET.id, joiner.id, DIAL)]
    await host.signaler.to_joiner(joiner.id, SECRET, ANSWER)
    assert joiner.gets(host) == [(SECRET.id, ANSWER)]


async def test_a_joiners_word_is_not_taken_for_the_hosts(sides: Sides) -> None:
    host, joiner = sides
    await joiner.signaler.to_host(host.id, SECRET, DIAL)
    reflected = b"\x03" + joiner.left[0][1][1:]
    joiner.signaler.envelope_received(host.id, reflected)
    assert joiner.heard == []


def test_by_hand_more_than_once(sides: Sides) -> None:
    host, joiner = sides
    sealed = joiner.signaler.seal_by_hand(SECRET, DIAL)
    for _ in range(2):
        host.signaler.open_by_hand(SECRET.id, sealed)
    assert host.heard == [(SECRET.id, "", DIAL)] * 2
    with pytest.raises(DecodeError):
        host.signaler.open_by_hand(SECRET.id, sealed[:-1])
    with pytest.raises(DecodeError, match="not known here"):
        host.signaler.open_by_hand("00" * 8, sealed)


@pytest.mark.parametrize(
    "envelope",
    [b"", b"\x00", b"\x09rest", bytes([MEMBER]), bytes([MEMBER]) + bytes(200), bytes([TO_HOST]), bytes([TO_HOST]) * 60],
)
def test_what_does_not_open_is_dropped(sides: Sides, envelope: bytes) -> None:
    alpha, _ = sides
    alpha.signaler.envelope_received(DAVE.node_id, envelope)
    assert alpha.heard == []


async def test_nobody_assigned_is_no_failure(sides: Sides, tmp_path: Path) -> None:
    alpha, beta = sides
    home, roster = founder(tmp_path / "other")
    bare = Signaler(home.identity, roster, alpha, list)
    assert bare.secret_of("00" * 8) is None
    bare.on_member(beta.id, DIAL)
    bare.on_joiner("00" * 8, beta.id, DIAL)
    bare.on_host("00" * 8, DIAL)
