"""Our contact, signed anew whenever we can be reached elsewhere."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import cast

import pytest

from atmosphere.ice.candidate import Candidate
from atmosphere.ice.endpoint import IceEndpoint
from atmosphere.mesh import announcing as module
from atmosphere.mesh import contacts
from atmosphere.mesh.announcing import MAX_CANDIDATES, Announcing
from atmosphere.mesh.contacts import MAX_AHEAD
from atmosphere.mesh.gossip import Gossip
from atmosphere.mesh.meeting import Meeting
from atmosphere.mesh.roster import Roster
from atmosphere.mesh.store import Home
from tests.mesh.fakes import HOST, SRFLX, founder
from tests.until import until


class Around:
    """The endpoint, the servers and the neighbours of a node, as far as announcing looks at them."""

    def __init__(self, home: Home) -> None:
        self.candidates: list[Candidate] = [HOST]
        self.on_candidate: Callable[[Candidate], None] | None = None
        self.on_change: list[Callable[[], None]] = []
        self.shared: list[bytes] = []
        self.servers = [f"ws://192.0.2.{number}" for number in range(20)]
        self.relays: list[str] = []
        self.roster = Roster(home)
        self.announcing = Announcing(
            home.identity,
            self.roster,
            cast("IceEndpoint", self),
            cast("Meeting", self),
            cast("Gossip", self),
            lambda: self.relays,
        )

    def public_servers(self) -> list[str]:
        return self.servers

    def share_contact(self, contact: bytes) -> None:
        self.shared.append(contact)

    def told(self) -> list[contacts.Contact]:
        return [contacts.decode(data)[0] for data in self.shared]

    def gather(self, candidate: Candidate) -> None:
        self.candidates = [*self.candidates, candidate]
        assert self.on_candidate is not None
        self.on_candidate(candidate)


@pytest.fixture
async def around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Around]:
    monkeypatch.setattr(module, "SETTLE", 0.01)
    made = Around(founder(tmp_path)[0])
    yield made
    await made.announcing.close()


async def test_at_the_start_and_at_each_change_once(around: Around) -> None:
    heard: list[bool] = []
    around.announcing.start()
    [contact] = around.told()
    assert contact.candidates == [HOST.to_sdp()]
    assert contact.signaling == around.servers[:8]
    assert around.roster.contacts.get(around.roster.own_id) == contact
    around.announcing.on_candidates = lambda: heard.append(True)
    around.announcing.now()
    assert len(around.shared) == 1
    around.gather(SRFLX)
    assert heard == [True]
    await until(lambda: len(around.shared) == 2)
    assert around.told()[1].candidates == [HOST.to_sdp(), SRFLX.to_sdp()]


async def test_a_change_of_the_network_is_told_though_no_candidate_is_new(around: Around) -> None:
    heard: list[bool] = []
    around.candidates = [HOST, SRFLX]
    around.announcing.start()
    around.announcing.on_candidates = lambda: heard.append(True)
    around.candidates = [HOST]
    [changed] = around.on_change
    changed()
    assert heard == [True]
    await until(lambda: len(around.shared) == 2)
    assert around.told()[1].candidates == [HOST.to_sdp()]


async def test_changes_together_are_one_contact(around: Around) -> None:
    around.announcing.start()
    for number in range(30):
        around.gather(Candidate.from_sdp(f"f 1 udp {number + 1} 192.0.2.{number + 100} 1 typ host"))
    await until(lambda: len(around.shared) == 2)
    assert len(around.told()[1].candidates) == MAX_CANDIDATES
    await asyncio.sleep(0.05)
    assert len(around.shared) == 2


async def test_who_belongs_to_no_mesh_tells_nothing(tmp_path: Path) -> None:
    around = Around(Home.init_identity_only(tmp_path, "laptop"))
    around.announcing.start()
    around.announcing.on_candidates()
    assert around.shared == []
    await around.announcing.close()


async def test_a_relay_that_we_offer_is_told(around: Around) -> None:
    around.announcing.start()
    around.relays = ["turn:198.51.100.1:7777"]
    around.announcing.soon()
    await until(lambda: len(around.shared) == 2)
    assert [contact.relays for contact in around.told()] == [[], around.relays]


async def test_a_clock_that_was_set_back_silences_nobody(around: Around, monkeypatch: pytest.MonkeyPatch) -> None:
    around.announcing.start()
    [first] = around.told()
    monkeypatch.setattr("time.time", lambda: first.stamp - 3600)
    around.relays = ["turn:198.51.100.1:7777"]
    around.announcing.now()
    assert around.told()[1].stamp > first.stamp
    assert around.roster.contacts.get(around.roster.own_id) == around.told()[1]


@pytest.mark.parametrize("ahead", [86_000.0, 3e7])
async def test_a_clock_that_was_wrong_for_a_while_silences_nobody(
    around: Around, monkeypatch: pytest.MonkeyPatch, ahead: float
) -> None:
    """A machine that woke up in another year, said so, and was told the time then."""
    right = time.time()
    monkeypatch.setattr("time.time", lambda: right + ahead)
    around.announcing.start()
    monkeypatch.setattr("time.time", lambda: right)
    around.relays = ["turn:198.51.100.1:7777"]
    around.announcing.now()
    assert len(around.shared) == 2
    assert around.told()[1].stamp <= right + MAX_AHEAD
    assert around.roster.contacts.get(around.roster.own_id) == around.told()[1]


async def test_what_the_address_book_did_not_take_is_told_later(
    around: Around, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AGAIN", 0.01)
    taken, took = around.roster.add_contacts, list[int]()

    def full(signed: Iterable[bytes]) -> list[bytes]:
        took.append(1)
        return [] if len(took) < 3 else taken(signed)

    monkeypatch.setattr(around.roster, "add_contacts", full)
    around.announcing.start()
    assert around.shared == []
    around.announcing.soon()
    await until(lambda: len(around.shared) == 1)
    assert len(took) == 3
