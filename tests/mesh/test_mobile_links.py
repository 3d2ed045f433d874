"""Links that outlive their ICE sessions: real nodes on loopback, a stream under way, and what happens to the path."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from atmosphere.ice import mobility
from atmosphere.mesh import doubts
from atmosphere.mesh.linktable import dial_rank
from atmosphere.mesh.node import Node
from atmosphere.tasks import Tasks
from tests.mesh.nodes import Mesh, connected, make, until
from tests.mesh.outages import Transfer, deaf_to_data, kill, link_of, silence

SIZE = 4_000_000


class Pair:
    """Two members, a stream of one to the other with bytes on it, and the links that must still be theirs at the
    end."""

    def __init__(self, mesh: Mesh, alpha: Node, beta: Node, tasks: Tasks) -> None:
        self.mesh, self.alpha, self.beta = mesh, alpha, beta
        self.transfer = Transfer(alpha, SIZE)
        self.links = link_of(beta, "alpha"), link_of(alpha, "beta")
        self._tasks = tasks

    async def begin(self) -> None:
        stream = await self.beta.peer("alpha").open_stream("transfer")
        self._tasks.spawn(self.transfer.send(stream), "transfer")
        await self.transfer.reached(SIZE // 8)

    async def arrives_on_the_same_links(self) -> None:
        assert await self.transfer.finished()
        assert (link_of(self.beta, "alpha"), link_of(self.alpha, "beta")) == self.links
        await until(self.alpha, self.settled)

    def settled(self) -> bool:
        """Both ends use the same session, and no other is left."""
        if not all(link.alive and len(link.path.sessions) == 1 for link in self.links):
            return False
        return self.links[0].session.dialer_ufrag == self.links[1].session.dialer_ufrag

    def lost(self) -> bool:
        return all(link.lost for link in self.links)


@pytest.fixture
async def pair(mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pair]:
    monkeypatch.setattr(mobility, "LINGER", 0.3)  # on loopback nothing is late
    alpha = await mesh.found()
    beta = await mesh.join(alpha, "beta")
    await connected(alpha, "beta")
    tasks = Tasks("test")
    yield Pair(mesh, alpha, beta, tasks)
    await tasks.close()


@pytest.mark.parametrize("ends", [(0,), (1,), (0, 1)], ids=["the writer's", "the reader's", "both"])
async def test_a_session_that_ends_is_replaced_and_the_stream_never_notices(pair: Pair, ends: tuple[int, ...]) -> None:
    await pair.begin()
    for end in ends:
        kill(pair.links[end])
    await pair.arrives_on_the_same_links()
    assert pair.transfer.longest_silence < 3.0


async def test_again_and_again(pair: Pair) -> None:
    await pair.begin()
    for part in range(2, 8):
        await pair.transfer.reached(part * SIZE // 8)
        await until(pair.alpha, lambda: all(link.alive for link in pair.links))
        kill(pair.links[part % 2])
    await pair.arrives_on_the_same_links()
    assert pair.transfer.longest_silence < 3.0


async def test_while_nothing_gets_through_the_writer_waits_and_then_it_goes_on(pair: Pair) -> None:
    await pair.begin()
    with silence(pair.alpha, pair.beta):
        for link in pair.links:
            kill(link)
        await until(pair.alpha, lambda: all(len(link.path.sessions) for link in pair.links))
        assert pair.lost()
        assert pair.beta.peer("alpha").state == "connecting"
        held = pair.links[0].link._association.queued
        await asyncio.sleep(0.3)  # the tries of a moment, all in vain
        assert pair.links[0].link._association.queued <= max(held, 512 * 1024)
        before = pair.transfer.received
    async with asyncio.timeout(3.0):
        await pair.transfer.reached(before + 1)
    await pair.arrives_on_the_same_links()


async def test_a_lost_path_that_comes_back_is_the_same_link(pair: Pair) -> None:
    """As by a router's restart: nobody ends anything, ICE itself notices the silence."""
    await pair.begin()
    with silence(pair.alpha, pair.beta):
        await until(pair.beta, pair.lost)
        before = pair.transfer.received
    async with asyncio.timeout(3.0):
        await pair.transfer.reached(before + 1)
    await pair.arrives_on_the_same_links()


async def test_a_pair_that_lets_checks_through_and_no_data_is_left(mesh: Mesh) -> None:
    hosts = ("127.0.0.1", "127.0.0.2")
    alpha = await mesh.found(host=hosts)
    beta = await mesh.fresh("beta", host=hosts)
    await beta.join(await alpha.invite())
    await connected(alpha, "beta")
    tasks = Tasks("test")
    pair = Pair(mesh, alpha, beta, tasks)
    await pair.begin()
    way = pair.links[0].session.path
    with deaf_to_data(beta, pair.links[0]), deaf_to_data(alpha, pair.links[1]):
        assert await pair.transfer.finished()
        assert pair.transfer.longest_silence < 10.0
        assert pair.links[0].session.path not in (None, way)
    assert (link_of(beta, "alpha"), link_of(alpha, "beta")) == pair.links
    await tasks.close()


async def test_what_was_told_meanwhile_is_made_up_for(pair: Pair) -> None:
    """Facts go to whoever can be reached; a link that was kept hears the rest when its path is back."""
    with silence(pair.alpha, pair.beta):
        for link in pair.links:
            kill(link)
        pair.alpha._parts.roster.promote(pair.beta.id)
        assert pair.beta.status().role == "member"
    await until(pair.beta, lambda: pair.beta.status().role == "admin")
    assert (link_of(pair.beta, "alpha"), link_of(pair.alpha, "beta")) == pair.links


@pytest.fixture
def quick_doubts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doubts, "PATIENCE", 0.4)


@pytest.mark.parametrize("forgetful", [0, 1])
async def test_where_one_end_has_forgotten_the_link_there_is_a_new_one(
    pair: Pair, quick_doubts: None, forgetful: int
) -> None:
    with silence(pair.alpha, pair.beta):
        pair.links[forgetful].abort("forgotten")
        kill(pair.links[1 - forgetful])
    nodes = ((pair.beta, "alpha"), (pair.alpha, "beta"))

    def renewed() -> bool:
        links = [node.peer(name).link for node, name in nodes]
        return all(link is not None and link.alive and link not in pair.links for link in links)

    await until(pair.alpha, renewed)
    again = Pair(pair.mesh, pair.alpha, pair.beta, pair._tasks)
    await again.begin()
    await again.arrives_on_the_same_links()


async def test_a_restarted_peer_is_met_anew_at_once(pair: Pair) -> None:
    port = pair.beta.port
    with silence(pair.alpha):
        await pair.beta.stop()
        kill(pair.links[1])
    beta = await pair.mesh.start(make(pair.beta.home, port=port))
    await connected(beta, "alpha")
    await connected(pair.alpha, "beta")
    assert link_of(pair.alpha, "beta") is not pair.links[1]


async def test_a_link_is_not_kept_for_ever(pair: Pair) -> None:
    events = pair.alpha.events()
    waiting = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)
    with silence(pair.alpha, pair.beta):
        for link in pair.links:
            link.path.keep(0.2)
            kill(link)
        await until(pair.alpha, lambda: link_ends(pair))
    waiting.cancel()
    await connected(pair.alpha, "beta")
    assert link_of(pair.alpha, "beta") is not pair.links[1]


def link_ends(pair: Pair) -> bool:
    return all(link.link.closed for link in pair.links)


async def test_who_is_removed_meanwhile_is_cut_at_once(pair: Pair) -> None:
    with silence(pair.alpha, pair.beta):
        kill(pair.links[1])
        await pair.alpha.remove("beta")
        await until(pair.alpha, lambda: pair.links[1].link.closed)


# --- hostile ----------------------------------------------------------------------------------------------------------


class Restarting:
    """A member that dials restarts of its own making."""

    def __init__(self, node: Node, peer: str) -> None:
        self._connecting = node._parts.connecting
        self._peer = node.peer(peer)

    def dial(self, ufrag: str) -> Callable[[], str]:
        """What becomes of a session under that ufrag."""
        known = self._peer.last_seen
        session = self._connecting._begin(self._peer, known, ufrag).session
        return lambda: session.state


async def test_the_tag_of_anothers_link_opens_nothing(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atmosphere.mesh.dialer.DISOWNED", 0.01)
    gamma = await pair.mesh.join(pair.alpha, "gamma")
    await connected(pair.alpha, "gamma")
    stolen, _ = link_of(pair.beta, "alpha").restarts.begin(1)
    before = [link_of(pair.alpha, name).path.sessions for name in ("beta", "gamma")]
    state = Restarting(gamma, "alpha").dial(stolen)
    await until(gamma, lambda: state() != "checking")
    assert [link_of(pair.alpha, name).path.sessions for name in ("beta", "gamma")] == before
    await pair.begin()
    await pair.arrives_on_the_same_links()


async def test_a_member_that_floods_successors_costs_itself_only(pair: Pair) -> None:
    await pair.begin()
    hostile = Restarting(pair.beta, "alpha")
    rank = dial_rank(pair.beta.id, pair.alpha.id)
    states = [hostile.dial(pair.links[0].restarts.begin(rank)[0]) for _ in range(40)]
    await until(pair.alpha, lambda: all(state() != "checking" for state in states[-2:]))
    assert len(pair.links[1].path.sessions) <= 4
    assert pair.alpha.peer("beta").link is pair.links[1]


async def test_a_replayed_restart_is_for_no_link(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atmosphere.mesh.dialer.DISOWNED", 0.01)
    kill(pair.links[0])
    await until(pair.alpha, lambda: all(link.session.dialer_ufrag.startswith("R") for link in pair.links))
    replayed = pair.links[1].session.dialer_ufrag
    await until(pair.alpha, pair.settled)
    alpha = pair.alpha._parts.listeners.endpoint.mux
    alpha._generations._ended[0].clear()  # as after two minutes
    kill(pair.links[0])
    await until(pair.alpha, lambda: pair.links[1].session.dialer_ufrag not in ("", replayed))
    before = pair.links[1].path.sessions
    state = Restarting(pair.beta, "alpha").dial(replayed)
    await until(pair.alpha, lambda: state() != "checking")
    assert {session.dialer_ufrag for session in pair.links[1].path.sessions} <= {one.dialer_ufrag for one in before}
    await pair.begin()
    await pair.arrives_on_the_same_links()
