"""The table of peers: who comes and goes, which link stays, and what is told of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from atmosphere.errors import UnknownPeer, Unreachable
from atmosphere.ice.candidate import Candidate
from atmosphere.ice.events import ConsentExpired, IceFailed, PathLost, PathRestored, PathSelected, RemoteSeen
from atmosphere.ice.route import Path as IcePath
from atmosphere.ice.route import PathEnd
from atmosphere.identity import Identity
from atmosphere.mesh import contacts, events
from atmosphere.mesh.peer import Peer
from atmosphere.mesh.peerlink import PeerLink
from atmosphere.mesh.peers import Peers
from tests.mesh.fakes import HOST, RELAY, FakeLink, founder
from tests.mesh.people import CAROL, DAVE
from tests.until import until

HERE, THERE = PathEnd("host", "192.0.2.1", 7777), PathEnd("relay", "203.0.113.1", 50000)


class Ending(FakeLink):
    """A link that ends when the test, or the table, says so."""

    def __init__(self, peer: Identity, boot: bytes = b"boot") -> None:
        super().__init__(peer)
        self.boot = boot
        self.invited = True
        self.over: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.moved = 0
        self.streams: Any = None
        self.doubted = self.packets_received = 0
        self.verified = self.stayed = 0
        self.alarmed = False
        self.on_datagram: Any = None
        self.on_believed: Any = None
        self.on_alarmed: Any = None
        self.on_suspected: Any = None

    async def close(self, reason: str, *, say: bool = True) -> None:
        await super().close(reason)
        self.end(reason)

    def abort(self, reason: str) -> None:
        self.end(reason)

    def end(self, reason: str) -> None:
        self.alive = False
        if not self.over.done():
            self.over.set_result(reason)

    async def wait_closed(self) -> str:
        return await asyncio.shield(self.over)

    async def ended(self) -> None:
        self.session.close()

    def accept_streams(self, on_stream: Any, on_channel: Any) -> None:
        self.streams = on_stream, on_channel

    def path_changed(self, *, moved: bool = True) -> None:
        self.moved += moved
        self.stayed += not moved

    def doubt(self) -> None:
        self.doubted += 1

    def verify(self) -> None:
        self.verified += 1

    def believe(self) -> None:
        self.doubted = 0


class Table:
    """Peers of a founder, the attempts they make, and what was told."""

    def __init__(self, folder: Path) -> None:
        _, self.roster = founder(folder)
        self.told: list[events.Event] = []
        self.tried: list[str] = []
        self.peers = Peers(
            self.roster.own_id, self.roster, ping=self._ping, attempt=self._attempt, emit=self.told.append
        )

    async def _ping(self, link: PeerLink, timeout: float) -> float:
        return 0.001

    async def _attempt(self, peer: Peer) -> None:
        self.tried.append(peer.name)
        raise Unreachable("nobody there")

    def add(self, identity: Identity, name: str) -> Peer:
        self.roster.issue(identity.public_key, name)
        self.peers.update()
        peer = self.peers.get(identity.node_id)
        assert peer is not None
        return peer

    def kinds(self) -> list[str]:
        return [type(event).__name__ for event in self.told]


@pytest.fixture
async def table(tmp_path: Path) -> AsyncIterator[Table]:
    made = Table(tmp_path)
    yield made
    await made.peers.close("over")


async def test_members_come_and_go(table: Table) -> None:
    carol = table.add(CAROL, "carol")
    assert table.peers.update() == ([], [])
    assert table.peers.all() == [carol]
    table.roster.revoke(carol.id)
    assert table.peers.update() == ([], [carol])
    assert table.told == [events.MemberAdded(carol), events.MemberRemoved(carol)]
    assert table.peers.get(carol.id) is None


async def test_a_removed_member_loses_its_link(table: Table) -> None:
    carol, link = table.add(CAROL, "carol"), Ending(CAROL)
    table.peers.install(link.real)
    table.roster.revoke(carol.id)
    table.peers.update()
    assert await asyncio.wait_for(link.wait_closed(), 5) == "removed"


async def test_names_ids_and_neither(table: Table) -> None:
    carol, dave = table.add(CAROL, "carol"), table.add(DAVE, "dave")
    assert table.peers.find("carol") is carol
    assert table.peers.find(dave.id[:12].upper()) is dave
    for text in ("eve", ""):
        with pytest.raises(UnknownPeer, match=rf"no member is called .*carol \({carol.id[:8]}\), dave"):
            table.peers.find(text)


async def test_nobody_yet(table: Table) -> None:
    with pytest.raises(UnknownPeer, match="nobody yet"):
        table.peers.find("carol")


async def test_two_of_one_name(table: Table) -> None:
    table.add(CAROL, "twin")
    table.add(DAVE, "twin")
    with pytest.raises(UnknownPeer, match="several"):
        table.peers.find("twin")


async def test_a_node_that_just_started_waits_for_nobody(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atmosphere.mesh.peers.FIRST_WAIT", 3600.0)
    table.add(CAROL, "carol")
    await until(lambda: table.tried == ["carol"])


async def test_why_nobody_was_reached(table: Table) -> None:
    carol = table.add(CAROL, "carol")
    await until(lambda: table.peers.reason(carol))
    assert table.peers.reason(carol) == "nobody there"
    now = asyncio.get_running_loop().time()
    assert table.peers.next_try(carol, now - 1.0) == pytest.approx(1.0 + (table.peers.next_try(carol, now) or 0.0))
    assert table.peers.next_try(carol, now + 60.0) == 0.0
    before = len(table.tried)
    table.peers.wake_all()
    await until(lambda: len(table.tried) > before)
    table.roster.revoke(carol.id)
    table.peers.update()
    assert table.peers.reason(carol) is None
    assert table.peers.next_try(carol, now) is None


async def test_a_link_comes_and_ends(table: Table) -> None:
    carol, link = table.add(CAROL, "carol"), Ending(CAROL)
    linked: list[PeerLink] = []
    table.peers.on_linked = linked.append
    assert table.peers.install(link.real) is carol
    assert linked == [link.real] == table.peers.neighbours()
    link.alive = False
    assert table.peers.neighbours() == []
    link.end("the peer went away")
    await until(lambda: carol.link is None)
    assert table.told[1:] == [events.PeerConnected(carol), events.PeerDisconnected(carol, "the peer went away")]
    assert carol.history.left == "the peer went away"
    assert link.session.closed.is_set()


async def test_streams_and_channels_name_their_peer(table: Table) -> None:
    carol, link = table.add(CAROL, "carol"), Ending(CAROL)
    table.peers.install(link.real)
    link.streams[0]("nobody is assigned yet")
    arrived: list[tuple[Peer, object]] = []
    table.peers.on_stream = lambda peer, stream: arrived.append((peer, stream))
    table.peers.on_channel = lambda peer, channel: arrived.append((peer, channel))
    link.streams[0]("stream")
    link.streams[1]("channel")
    assert arrived == [(carol, "stream"), (carol, "channel")]


async def test_a_link_of_nobody_is_closed(table: Table) -> None:
    link = Ending(DAVE)
    assert table.peers.install(link.real) is None
    assert await asyncio.wait_for(link.wait_closed(), 5) == "removed"


async def test_of_two_links_the_better_stays(table: Table) -> None:
    carol, first, second, third = table.add(CAROL, "carol"), Ending(CAROL), Ending(CAROL), Ending(CAROL)
    third.invited = False
    table.peers.install(first.real)
    table.peers.install(second.real)
    assert await asyncio.wait_for(first.wait_closed(), 5) == "duplicate"
    assert table.peers.install(third.real) is carol
    assert await asyncio.wait_for(third.wait_closed(), 5) == "duplicate"
    assert carol.link is second.real
    assert "PeerDisconnected" not in table.kinds()


async def test_a_path_that_moves_is_told(table: Table) -> None:
    carol, link = table.add(CAROL, "carol"), Ending(CAROL)
    table.peers.install(link.real)
    event = cast("Any", link.session.on_event)
    event(RemoteSeen(1, ("192.0.2.1", 1)))
    assert "PathChanged" not in table.kinds()
    link.alive = False
    event(PathLost(3.0))
    assert table.told[-1] == events.PathChanged(carol, None, None, "no answer for 3 s")
    link.alive = True
    session: Any = link.session
    session.path = IcePath("relay", "udp", 4, HERE, THERE)
    event(PathRestored())
    assert link.moved == 2
    session.path = IcePath("direct", "udp", 4, HERE, THERE)
    event(PathSelected(cast("Any", None), None))
    last = table.told[-1]
    assert isinstance(last, events.PathChanged)
    assert (last.path and last.path.kind, last.previous and last.previous.kind) == ("direct", "relay")
    assert last.reason == "direct works"
    assert carol.history.path == last.path
    await until(lambda: not link.doubted)


async def test_after_each_move_the_new_path_is_asked_and_a_restored_link_hears_the_news(table: Table) -> None:
    carol, link = table.add(CAROL, "carol"), Ending(CAROL)
    table.peers.install(link.real)
    restored: list[PeerLink] = []
    table.peers.on_restored = restored.append
    event = cast("Any", link.session.on_event)
    first, second, again = (cast("Any", SimpleNamespace(key=key)) for key in (1, 2, 2))
    event(PathSelected(first, None))
    assert link.verified == 0
    link.alarmed = True
    event(PathSelected(second, first))
    assert (link.verified, link.alarmed, link.moved, link.stayed) == (1, False, 2, 0)
    event(PathSelected(again, second))
    assert (link.verified, link.moved, link.stayed) == (2, 2, 1)
    link.on_believed()
    assert restored == [link.real]
    assert (table.peers.link(carol.id), table.peers.link(DAVE.node_id)) == (link.real, None)
    newer = Ending(CAROL)
    table.peers.install(newer.real)
    link.on_believed()
    assert restored == [link.real]


async def test_a_path_of_a_link_that_was_replaced_is_nobodys(table: Table) -> None:
    _, first, second = table.add(CAROL, "carol"), Ending(CAROL), Ending(CAROL)
    table.peers.install(first.real)
    event = cast("Any", first.session.on_event)
    table.peers.install(second.real)
    told = len(table.told)
    event(PathLost(3.0))
    assert (len(table.told), first.moved) == (told, 0)


@pytest.mark.parametrize("end", [IceFailed("no way"), ConsentExpired()])
async def test_a_dead_path_ends_the_link(table: Table, end: IceFailed | ConsentExpired) -> None:
    carol, link = table.add(CAROL, "carol"), Ending(CAROL)
    table.peers.install(link.real)
    cast("Any", link.session.on_event)(end)
    await until(lambda: carol.link is None)
    assert table.told[-1] == events.PeerDisconnected(carol, "the path is dead")


async def test_a_member_that_dials_us_is_asked_on_the_link_we_have(table: Table) -> None:
    asked: list[PeerLink] = []

    async def ping(link: PeerLink, timeout: float) -> float:
        asked.append(link)
        return 0.001

    table.peers._doubts._ping = ping
    link = Ending(CAROL)
    table.add(CAROL, "carol")
    table.peers.dialed_by(DAVE.node_id)
    table.peers.dialed_by(CAROL.node_id)
    table.peers.install(link.real)
    table.peers.dialed_by(CAROL.node_id)
    await until(lambda: asked)
    assert asked == [link.real]


async def test_everybody_hears_goodbye(table: Table) -> None:
    links = [Ending(CAROL), Ending(DAVE)]
    for identity, name, link in zip((CAROL, DAVE), ("carol", "dave"), links, strict=True):
        table.add(identity, name)
        table.peers.install(link.real)
    await table.peers.close("stopped")
    assert [link.closed_because for link in links] == ["stopped", "stopped"]


async def test_a_link_hears_where_its_peer_says_it_is(table: Table) -> None:
    """Whatever stood only after the link did: a relay over WebSocket, say."""

    def contact(stamp: float, *candidates: Candidate) -> bytes:
        lines = [candidate.to_sdp() for candidate in candidates]
        return contacts.sign(contacts.Contact(CAROL.node_id, stamp, lines, []), CAROL.sign)

    table.roster.on_contacts = table.peers.contacts_changed
    table.add(CAROL, "carol")
    table.add(DAVE, "dave")
    table.roster.add_contacts([contact(1.0, HOST)])
    link = Ending(CAROL)
    table.peers.install(link.real)
    remotes = cast("Any", link.session).remotes
    assert remotes == [HOST]
    table.roster.add_contacts([contact(2.0, HOST, RELAY)])
    table.peers.contacts_changed()
    assert remotes == [HOST, HOST, RELAY]
    newer = Ending(CAROL, b"other")
    table.peers.install(newer.real)
    assert cast("Any", newer.session).remotes == [HOST, RELAY]
