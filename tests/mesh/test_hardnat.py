"""How two sides agree on a search, over links that only carry what they say to each other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final

import pytest

from atmosphere.ice.hardnat.plan import Plan
from atmosphere.mesh import hardnat as module
from atmosphere.mesh import hardnat_own, wire
from atmosphere.mesh.hardnat import BUSY
from atmosphere.mesh.hardnat_told import FAN_TRIES
from atmosphere.mesh.situation import Search
from tests.mesh.hardnat_fakes import DIRECT, RELAYED, Two, pairs
from tests.mesh.nodes import Mesh, connected
from tests.until import until

EASY: Final = "endpoint-independent"
HARD: Final = "address-and-port-dependent"
UNKNOWN: Final = "unknown"


class Runs:
    """Stands in for every search: who ran which part, and how each ends."""

    def __init__(self) -> None:
        self.plans: list[tuple[str, Plan, wire.Punch]] = []
        self.ends: Callable[[], str] = lambda: "found"
        self.direct = True
        self.running: list[FakeRun] = []


class FakeRun:
    """A search that ends when it is stopped, or at once."""

    runs: Runs

    def __init__(self, endpoint: Any, link: Any, agreed: Plan, theirs: Any, other: wire.Punch, ports: Any) -> None:
        self.runs.plans.append((link.peer_id, agreed, other))
        self.runs.running.append(self)
        self._link = link
        self.stopped = asyncio.Event()
        self.effort = "1.0 s and 100 checks"

    def stop(self) -> None:
        self.stopped.set()

    async def search(self) -> str:
        how = self.runs.ends()
        if how == "waits":
            await self.stopped.wait()
            return "stopped"
        if self.runs.direct:
            self._link.session.path = self._link.other.session.path = DIRECT
        return how

    async def is_direct(self) -> bool:
        return bool(self._link.session.path is DIRECT)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    """Searches that are only pretended, without any pauses before them."""
    runs = FakeRun.runs = Runs()
    monkeypatch.setattr(module, "Run", FakeRun)
    for name, value in {"PATIENCE": 0, "LOOK_AGAIN": 0.01, "LOOK_SELDOM": 0.01, "BUSY_PAUSE": 0.01}.items():
        monkeypatch.setattr(module, name, value)
    for name, value in {"PRESUME": 0.05, "PROOF": 0.02, "PROOF_IF_ASKED": 0.02, "PROOF_LOOK": 0.01}.items():
        monkeypatch.setattr(module, name, value)
    sampled(monkeypatch, [41000, 5000, 60000, 22222])
    return runs


def sampled(monkeypatch: pytest.MonkeyPatch, *ports: list[int]) -> None:
    """What each sample shows, the last again and again."""
    left = list(ports)

    async def sample(address: str, server: tuple[str, int]) -> list[tuple[int, int]]:
        return [(1, port) for port in (left.pop(0) if len(left) > 1 else left[0])]

    monkeypatch.setattr(hardnat_own, "sample_ports", sample)


@asynccontextmanager
async def two(one: Any, other: Any, **options: Any) -> AsyncIterator[Two]:
    both = Two(one, other, **options)
    try:
        yield both
    finally:
        await both.close()


async def looks(both: Two, count: int) -> None:
    """Both sides look that many times more whether something is due."""
    for searches in both.searches:
        seen: list[object] = []
        may = searches._ledger.may

        def counted(peer: str, networks: object, times: int = 1, may: Any = may, seen: Any = seen) -> bool:
            seen.append(networks)
            return bool(may(peer, networks, times))

        searches._ledger.may = counted  # type: ignore[method-assign]
        await until(lambda seen=seen: len(seen) >= count)  # type: ignore[misc]
        searches._ledger.may = may  # type: ignore[method-assign]


async def test_the_easy_side_asks_and_probes_and_the_hard_side_opens(runs: Runs) -> None:
    async with two(HARD, EASY) as both:
        both.link_up()
        await until(lambda: all(both.findings()))
        assert both.findings() == ["found after 1.0 s and 100 checks"] * 2
        hard, easy = both.links
        assert easy.punches == ["start", "stop"]
        assert hard.punches == ["ready", "stop"]
        (_, opening, asked), (_, probing, agreed) = runs.plans
        assert (opening.part, opening.sockets, probing.part, probing.probes) == ("open", 256, "probe", 2000)
        assert (asked.address, asked.port) == ("203.0.113.2", 7777)
        assert agreed.ports == [41000, 5000, 60000, 22222]
        assert easy.remote_nat is not None
        assert easy.remote_nat.type == "symmetric"


async def test_nobody_searches_on_a_direct_path_or_before_plain_checks_failed(runs: Runs) -> None:
    async with two(HARD, EASY) as both:
        trying = replace(both.links[1].session.pairs[1], state="in progress", why="")
        both.links[1].session.pairs[1] = trying
        both.link_up()
        await until(lambda: both.links[1].remote_nat and both.links[0].remote_nat)
        for _ in range(20):
            await asyncio.sleep(0)
        assert not runs.plans
        both.become_direct()
        await until(lambda: not both.searches[1]._considered)
        both.searches[1].network_changed()
        assert not both.searches[1]._considered
        assert both.findings() == [None, None]


async def test_a_search_that_failed_is_not_repeated_until_a_network_changes(runs: Runs) -> None:
    runs.direct, runs.ends = False, lambda: "exhausted"
    async with two(HARD, EASY) as both:
        both.link_up()
        await until(lambda: all(both.findings()))
        assert both.findings() == ["given up after 1.0 s and 100 checks"] * 2
        await looks(both, 3)
        assert len(runs.plans) == 2
        both.endpoints[0].nat.public = ("203.0.113.77", 4000)
        both.links[1].session.pairs += [replace(pair, selected=False) for pair in pairs("203.0.113.77")]
        both.searches[0].network_changed()
        await until(lambda: len(runs.plans) == 4)


async def test_a_path_that_was_found_and_lost_is_searched_for_again(runs: Runs) -> None:
    async with two(HARD, EASY) as both:
        both.link_up()
        await until(lambda: all(both.findings()))
        for link in both.links:
            link.session.path = RELAYED
        both.searches[1].path_changed(both.links[1].real)
        await until(lambda: len(runs.plans) == 4)


async def test_two_random_nats_are_left_alone_and_both_sides_can_say_why(runs: Runs) -> None:
    async with two(HARD, HARD) as both:
        both.link_up()
        await until(lambda: all(both.findings()))
        first, second = both.findings()
        assert first is not None
        assert second is not None
        assert "at random" in first
        assert "at random" in second
        assert not runs.plans


async def test_two_sequences_are_tried_a_few_times(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    sampled(monkeypatch, [5000, 5001, 5002, 5003])
    runs.direct, runs.ends = False, lambda: "exhausted"
    async with two(HARD, HARD) as both:
        both.link_up()
        await until(lambda: len(runs.plans) == 2 * FAN_TRIES)
        await looks(both, 3)
        assert len(runs.plans) == 2 * FAN_TRIES
        assert {plan.part for _, plan, _ in runs.plans} == {"fan"}
        assert both.links[0].punches.count("start") == FAN_TRIES
        assert both.links[1].punches.count("ready") == FAN_TRIES


async def test_what_is_not_known_yet_is_waited_for(runs: Runs) -> None:
    async with two(UNKNOWN, UNKNOWN) as both:
        both.link_up()
        await until(lambda: all(both.findings()))
        assert "too few servers" in str(both.findings())
        both.endpoints[0].nat.behaviour = Two(HARD, EASY).endpoints[0].nat.behaviour
        await until(lambda: len(runs.plans) == 2)


async def test_without_a_server_nothing_is_asked(runs: Runs) -> None:
    async with two(HARD, EASY) as both:
        both.endpoints[1].nat.public = None
        both.link_up()
        await until(lambda: both.findings()[1])
        assert "no STUN server answers" in str(both.findings()[1])


@pytest.mark.parametrize("side", [0, 1])
async def test_either_side_can_opt_out(runs: Runs, side: int) -> None:
    async with two(HARD, EASY, enabled=(side != 0, side != 1)) as both:
        both.link_up()
        wants = 1 - side
        await until(lambda: both.findings()[wants])
        assert "switched off on the other side" in str(both.findings()[wants])
        # Whoever asks all the same is refused.
        both.links[side].searches.handle(both.links[side].real, wire.Punch("start", 7, "dialer"))
        await until(lambda: "stop" in both.links[side].punches)
        assert not runs.plans


async def test_a_busy_side_is_asked_again(runs: Runs) -> None:
    async with two(HARD, EASY) as both:
        await both.searches[0]._searching.acquire()
        both.link_up()
        await until(lambda: both.links[0].punches.count("stop") >= 2)
        assert both.links[0].said[-1].reason == BUSY  # type: ignore[union-attr]
        both.searches[0]._searching.release()
        await until(lambda: len(runs.plans) == 2)


async def test_a_side_that_stays_busy_is_left_alone(runs: Runs) -> None:
    async with two(HARD, EASY) as both:
        await both.searches[0]._searching.acquire()
        both.link_up()
        await until(lambda: both.links[1].punches.count("start") > module.BUSY_TRIES)
        assert not runs.plans


async def test_silence_is_not_waited_for_for_ever(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANSWER", 0.05)
    async with two(HARD, EASY) as both:
        both.link_up()
        both.links[0].hears = lambda message: isinstance(message, wire.Nat)
        await until(lambda: both.findings()[1])
        assert both.findings()[1] == "not tried: the other side did not answer"


async def test_the_other_sides_stop_ends_a_search(runs: Runs) -> None:
    ends = iter(["waits", "found"])
    runs.ends = lambda: next(ends)
    async with two(HARD, EASY) as both:
        both.link_up()
        await until(lambda: all(both.findings()))
        assert [run.stopped.is_set() for run in runs.running] == [True, False]


async def test_a_link_that_ends_takes_its_search_with_it(runs: Runs) -> None:
    runs.ends = lambda: "waits"
    async with two(HARD, EASY) as both:
        both.link_up()
        await until(lambda: len(runs.running) == 2)
        for searches, link in zip(both.searches, both.links, strict=True):
            searches.unlinked(link.real)
            searches.unlinked(link.real)
            searches.handle(link.real, wire.Nat(EASY, "unknown", "random", 0, 0, "", 0, False, True))
        await until(lambda: all(run.stopped.is_set() for run in runs.running))


async def ask(both: Two, ufrag: str = "dialer", number: int = 9, address: str = "203.0.113.2") -> str:
    """What the hard side says to a start that a hostile easy side sends."""
    hard = both.links[0]
    hard.searches.handle(hard.real, wire.Nat(EASY, "unknown", "unknown", 0, 0, address, 7777, False, True))
    before = len(hard.punches)
    hard.searches.handle(hard.real, wire.Punch("start", number, ufrag, address, 7777, [], 256, 2000))
    await until(lambda: len(hard.punches) > before)
    return next(message for message in reversed(hard.said) if isinstance(message, wire.Punch)).reason


@asynccontextmanager
async def hostile(runs: Runs) -> AsyncIterator[Two]:
    """A hard side that searches with nobody of its own accord, since its link counts as not relayed until asked."""
    async with two(HARD, EASY) as both:
        both.links[1].hears = lambda message: False
        both.searches[0].linked(both.links[0].real)
        yield both


async def test_a_victims_address_is_never_searched(runs: Runs) -> None:
    async with hostile(runs) as both:
        assert "nothing was heard from" in await ask(both, address="192.0.2.66")
        assert not runs.plans


async def test_a_start_for_another_session_or_without_need_is_refused(runs: Runs) -> None:
    async with hostile(runs) as both:
        assert "another" in await ask(both, ufrag="someone")
        both.links[0].session.path = DIRECT
        assert "another" in await ask(both)
        assert not runs.plans


async def test_a_start_is_granted_once(runs: Runs) -> None:
    runs.direct, runs.ends = False, lambda: "exhausted"
    async with hostile(runs) as both:
        await ask(both)
        await until(lambda: not both.searches[0]._searching.locked())
        assert len(runs.plans) == 1
        assert "done already" in await ask(both, number=10)
        assert len(runs.plans) == 1


async def test_a_start_by_the_wrong_side_is_refused(runs: Runs) -> None:
    async with two(EASY, HARD) as both:
        both.links[1].hears = lambda message: False
        both.searches[0].linked(both.links[0].real)
        link = both.links[0]
        link.searches.handle(link.real, wire.Nat(HARD, "unknown", "random", 0, 0, "203.0.113.2", 7777, False, True))
        link.searches.handle(link.real, wire.Punch("start", 1, "dialer", "203.0.113.2", 7777, [], 256, 2000))
        await until(lambda: "stop" in link.punches)
        assert "do not agree" in next(m.reason for m in link.said if isinstance(m, wire.Punch) and m.what == "stop")


async def test_an_answer_that_names_a_stranger_ends_it_before_it_begins(runs: Runs) -> None:
    async with two(HARD, EASY) as both:
        both.links[1].session.pairs = pairs("203.0.113.1", proven=False)[:1]
        both.link_up()
        await until(lambda: both.findings()[1])
        assert "nothing was heard from" in str(both.findings()[1])
        assert [peer for peer, _, _ in runs.plans] == ["b"]  # the hard side, whose search is stopped at once


async def test_a_sequence_that_cannot_be_seen_is_not_guessed(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    sampled(monkeypatch, [])
    async with two(HARD, HARD) as both:
        both.link_up()
        await until(lambda: both.findings()[0])
        assert "could not be seen" in str(both.findings()[0])
        assert not runs.plans


async def test_a_start_that_makes_no_sense_here_is_refused_with_the_reason(runs: Runs) -> None:
    async with two(EASY, EASY) as both:
        both.links[1].hears = lambda message: False
        both.searches[0].linked(both.links[0].real)
        assert "firewall" in await ask(both)
        assert "firewall" in str(both.findings()[0])


async def test_a_refusal_is_reported(runs: Runs) -> None:
    async with two(HARD, EASY) as both:
        both.links[0].session.dialer_ufrag = "another session"
        both.link_up()
        await until(lambda: both.findings()[1])
        assert both.findings()[1] == "not tried: the other side says: the path is another by now"


async def test_a_link_that_went_before_servers_answered_is_told_nothing(runs: Runs) -> None:
    async with two(HARD, EASY) as both:
        gathered = asyncio.Event()

        async def wait(timeout: float) -> None:
            await gathered.wait()

        both.endpoints[0].gathered = wait  # type: ignore[method-assign]
        both.links[0].session.path = None
        both.searches[0].linked(both.links[0].real)
        both.searches[0].unlinked(both.links[0].real)
        gathered.set()
        await until(lambda: not len(both.searches[0]._tasks))
        assert not both.links[0].said


async def test_the_other_side_is_given_time_to_show_itself(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PROOF", 10.0)
    monkeypatch.setattr(module, "PROOF_IF_ASKED", 10.0)
    async with two(HARD, EASY) as both:
        proven = [link.session.pairs for link in both.links]
        for link, address in zip(both.links, ("203.0.113.2", "203.0.113.1"), strict=True):
            link.session.pairs = pairs(address, proven=False)
        both.link_up()
        await until(lambda: both.searches[1]._considered)
        for link, known in zip(both.links, proven, strict=True):
            link.session.pairs = known
        await until(lambda: len(runs.plans) == 2)
        assert not any(plan.is_cautious for _, plan, _ in runs.plans)


async def test_whoever_never_shows_itself_is_searched_for_with_caution(runs: Runs) -> None:
    async with two(HARD, EASY) as both:
        for link, address in zip(both.links, ("203.0.113.2", "203.0.113.1"), strict=True):
            link.session.pairs = pairs(address, proven=False)
        both.link_up()
        await until(lambda: len(runs.plans) == 2)
        assert all(plan.is_cautious for _, plan, _ in runs.plans)


async def test_a_path_that_becomes_direct_ends_the_wait(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PROOF", 10.0)
    async with two(HARD, EASY) as both:
        both.links[1].session.pairs = pairs("203.0.113.1", proven=False)
        both.link_up()
        await until(lambda: both.links[1].remote_nat)
        both.become_direct()
        await until(lambda: not both.searches[1]._considered)
        assert not runs.plans


async def test_starts_in_a_burst_begin_one_search(runs: Runs) -> None:
    runs.direct, runs.ends = False, lambda: "exhausted"
    async with hostile(runs) as both:
        hard = both.links[0]
        hard.searches.handle(hard.real, wire.Nat(EASY, "unknown", "unknown", 0, 0, "203.0.113.2", 7777, False, True))
        for number in range(50):
            hard.searches.handle(hard.real, wire.Punch("start", number, "dialer", "203.0.113.2", 7777, [], 256, 2000))
        assert len(both.searches[0]._tasks) <= 3
        assert hard.punches == ["stop"] * 49
        await until(lambda: runs.plans and not both.searches[0]._searching.locked())
        assert len(runs.plans) == 1


async def test_members_tell_each_other_over_real_links(mesh: Mesh) -> None:
    host = await mesh.found()
    node = await mesh.join(host, "beta", hard_nat=False)
    await connected(node, "alpha")
    ours, theirs = host.peer("beta"), node.peer("alpha")
    await until(lambda: all(peer.link is not None and peer.link.remote_nat is not None for peer in (ours, theirs)))
    told = host._parts.hard_nat._links
    await until(lambda: [one.theirs.searches for one in told.values()] == [False])
    assert host._parts.observer.situation(ours).search == Search(pending=True)
    await node.stop()
    await until(lambda: not told)


async def test_what_became_of_a_search_is_explained(mesh: Mesh) -> None:
    host = await mesh.found()
    node = await mesh.join(host, "beta")
    (peer,) = await connected(node, "alpha")
    node._parts.hard_nat._findings[host.id] = "given up after 20.0 s and 2000 checks"
    found = node._parts.observer.situation(peer).search
    assert found == Search(pending=False, finding="given up after 20.0 s and 2000 checks")


async def test_what_is_presumed_waits_for_what_may_become_known(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside a hard NAT an unknown one is taken for easy, but not before peers had time to tell."""
    monkeypatch.setattr(module, "PRESUME", 10.0)
    sampled(monkeypatch, [5000, 5001, 5002, 5003])
    async with two(HARD, UNKNOWN) as both:
        both.link_up()
        await until(lambda: all(link.remote_nat for link in both.links))
        both.endpoints[1].nat.behaviour = both.endpoints[0].nat.behaviour
        await until(lambda: len(runs.plans) == 2)
        assert {plan.part for _, plan, _ in runs.plans} == {"fan"}


async def test_in_the_end_it_is_presumed(runs: Runs) -> None:
    async with two(HARD, UNKNOWN) as both:
        both.link_up()
        await until(lambda: len(runs.plans) == 2)
        assert [plan.part for _, plan, _ in runs.plans] == ["open", "probe"]


async def test_whoever_was_searched_for_too_often_has_to_wait(runs: Runs) -> None:
    async with two(HARD, EASY) as both:
        refused: list[str] = []
        both.searches[1]._ledger.begin = lambda peer, *_: bool(refused.append(peer))  # type: ignore[func-returns-value,method-assign]
        both.link_up()
        await until(lambda: len(refused) >= 2)
        assert not runs.plans
        assert "start" not in both.links[1].punches
