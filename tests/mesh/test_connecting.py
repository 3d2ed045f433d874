"""Dials between members, with a dialer that only remembers."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from atmosphere.credentials import DialSecret
from atmosphere.errors import LinkError, Refused, Unreachable
from atmosphere.ice.candidate import Candidate
from atmosphere.ice.mobility import Order
from atmosphere.identity import Identity
from atmosphere.mesh import contacts, signals
from atmosphere.mesh.connecting import RESTART_TIMEOUT, Connecting
from atmosphere.mesh.dialer import Dialer
from atmosphere.mesh.linktable import UFRAG_PREFIX, dial_rank
from atmosphere.mesh.peer import Peer
from atmosphere.mesh.peerlink import PeerLink
from atmosphere.mesh.restart import Restarts
from atmosphere.mesh.signaler import Signaler
from tests.mesh.fakes import HOST, RELAY, FakeLink, FakeSession, founder, hello, member
from tests.mesh.nodes import Mesh, connected, until
from tests.mesh.people import CAROL


class FakeDialer:
    def __init__(self) -> None:
        self.listened: dict[str, DialSecret] = {"invite:one": DialSecret(bytes(16))}
        self.accepters: dict[str, Any] = {}
        self.begun: list[tuple[DialSecret, list[Candidate], str]] = []
        self.send: Any = None
        self.link: FakeLink | None = None
        self.greets: list[Any] = []
        self.answers: list[signals.Message] = []
        self.signaled: list[tuple[str, signals.Message, Any]] = []
        self.session = FakeSession()
        self.followed: list[float] = []
        self.disowned: list[Any] = []
        self.ending: Callable[[], None] = lambda: None

    def listening(self) -> set[str]:
        return set(self.listened)

    def listen(self, key: str, secret: DialSecret, accepted: Any) -> None:
        self.listened[key], self.accepters[key] = secret, accepted

    def unlisten(self, key: str) -> None:
        del self.listened[key]

    def begin(self, secret: DialSecret, known: list[Candidate], send: Any, *, ufrag: str) -> object:
        self.begun.append((secret, known, ufrag))
        self.send = send
        return SimpleNamespace(session=self.session, answered=True)

    def disown(self, session: Any) -> None:
        self.disowned.append(session)

    async def follow(self, exchange: object, timeout: float) -> None:
        self.followed.append(timeout)
        self.ending()

    async def finish(self, exchange: object, greet: Any) -> FakeLink:
        assert self.link is not None
        await greet(self.link)
        return self.link

    def accept(self, session: object, greet: Any, greeted: Any) -> None:
        self.greets.append(greet)

    def answered(self, message: signals.Message) -> None:
        self.answers.append(message)

    def dialed(self, key: str, message: signals.Message, send: Any) -> None:
        self.signaled.append((key, message, send))


class FakeSignaler:
    def __init__(self) -> None:
        self.sent: list[tuple[str, signals.Message]] = []

    async def to_member(self, node_id: str, message: signals.Message) -> None:
        self.sent.append((node_id, message))


class Setting:
    """A founder that connects to a member of its mesh."""

    def __init__(self, folder: Path) -> None:
        self.home, self.roster = founder(folder)
        self.beta_home, self.beta_roster = member(folder, "beta", self.roster)
        self.beta = self.beta_home.identity
        self.dialer, self.signaler = FakeDialer(), FakeSignaler()
        self.installed: list[PeerLink] = []
        self.connecting = Connecting(
            self.home.identity,
            self.roster,
            cast("Dialer", self.dialer),
            cast("Signaler", self.signaler),
            hello=lambda: hello(self.roster),
            install=self.installed.append,
        )

    def peer(self, node_id: str = "") -> Peer:
        return Peer(node_id or self.beta.node_id, self.roster, cast("Any", None))


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    return Setting(tmp_path)


def test_every_member_is_listened_for_and_no_former_one(setting: Setting) -> None:
    setting.connecting.follow_roster()
    assert setting.dialer.listening() == {"invite:one", setting.beta.node_id}
    setting.roster.revoke(setting.beta.node_id)
    setting.connecting.follow_roster()
    assert setting.dialer.listening() == {"invite:one"}


async def test_both_ends_know_the_secret_of_their_pair(setting: Setting) -> None:
    setting.connecting.follow_roster()
    dialer = FakeDialer()
    dialer.link = FakeLink(setting.home.identity, hello(setting.roster))
    other = Connecting(
        setting.beta,
        setting.beta_roster,
        cast("Dialer", dialer),
        cast("Signaler", setting.signaler),
        hello=lambda: hello(setting.beta_roster),
        install=setting.installed.append,
    )
    await other.attempt(Peer(setting.roster.own_id, setting.beta_roster, cast("Any", None)))
    assert dialer.begun[0][0] == setting.dialer.listened[setting.beta.node_id]


async def test_an_attempt_goes_where_the_member_was_last_seen(setting: Setting) -> None:
    contact = contacts.Contact(setting.beta.node_id, time.time(), [HOST.to_sdp(), "noise"], [])
    setting.roster.add_contacts([contacts.sign(contact, setting.beta.sign)])
    setting.dialer.link = FakeLink(setting.beta, hello(setting.beta_roster))
    await setting.connecting.attempt(setting.peer())
    [(_, known, ufrag)] = setting.dialer.begun
    assert [one.endpoint for one in known] == [HOST.endpoint]
    assert ufrag.startswith(UFRAG_PREFIX[dial_rank(setting.roster.own_id, setting.beta.node_id)])
    assert setting.installed == [setting.dialer.link.real]
    dial = signals.Dial("name", [])
    await setting.dialer.send(dial)
    assert setting.signaler.sent == [(setting.beta.node_id, dial)]


async def test_before_a_member_says_where_it_is_it_is_tried_where_the_last_link_led(setting: Setting) -> None:
    setting.dialer.link = FakeLink(setting.beta, *[hello(setting.beta_roster)] * 3)
    peer, last = setting.peer(), FakeLink(setting.beta)
    last.session.pairs = [SimpleNamespace(remote=HOST), SimpleNamespace(remote=RELAY), SimpleNamespace(remote=HOST)]
    peer.attach(last.real)
    last.established = False  # it has ended, and nobody has noticed yet
    await setting.connecting.attempt(peer)
    peer.detach(last.real)
    await setting.connecting.attempt(peer)
    contact = contacts.Contact(setting.beta.node_id, time.time(), [RELAY.to_sdp()], [])
    setting.roster.add_contacts([contacts.sign(contact, setting.beta.sign)])
    await setting.connecting.attempt(peer)
    places = [[one.endpoint for one in known] for _, known, _ in setting.dialer.begun]
    assert places == [[HOST.endpoint, RELAY.endpoint], [HOST.endpoint, RELAY.endpoint], [RELAY.endpoint]]


async def test_a_link_that_breaks_before_contacts_were_told_is_made_again(mesh: Mesh) -> None:
    alpha, beta = await mesh.found(), await mesh.fresh("beta")
    await beta.join(str(await alpha.invite()))
    ends = [*await connected(beta, "alpha"), *await connected(alpha, "beta")]
    former = [peer.link for peer in ends]
    for node, link in zip((beta, alpha), former, strict=True):
        node._parts.roster.contacts.keep_only([node.id])
        assert link is not None
        link.abort("cut")
    await until(beta, lambda: all(peer.link not in (None, *former) for peer in ends))


async def test_an_attempt_that_meets_somebody_else(setting: Setting) -> None:
    setting.dialer.link = FakeLink(CAROL, hello(setting.beta_roster))
    with pytest.raises(Refused, match="somebody else"):
        await setting.connecting.attempt(setting.peer())
    assert setting.installed == []


async def test_nobody_dials_who_is_no_member(setting: Setting) -> None:
    with pytest.raises(Refused, match="not a member"):
        await setting.connecting.attempt(setting.peer(CAROL.node_id))


async def test_a_member_that_dials_us_is_greeted_as_itself(setting: Setting) -> None:
    dialed: list[str] = []
    setting.connecting.follow_roster()
    accept = setting.dialer.accepters[setting.beta.node_id]
    accept(FakeSession().real)
    setting.connecting.on_dialed = dialed.append
    accept(FakeSession().real)
    assert dialed == [setting.beta.node_id]
    link = FakeLink(setting.beta, hello(setting.beta_roster))
    await setting.dialer.greets[0](link)
    assert link.said == [hello(setting.roster)]
    with pytest.raises(Refused, match="used the credentials of"):
        await setting.dialer.greets[0](FakeLink(CAROL))


class KeptLink(FakeLink):
    """A link that both ends have, and that lost its path."""

    def __init__(self, peer: Identity) -> None:
        super().__init__(peer)
        self.restarts = Restarts(bytes(32), client=True)
        self.path = self
        self.attached: list[tuple[Any, Order]] = []
        self.let_gone: list[Any] = []

    def attach(self, session: Any, order: Order) -> None:
        self.attached.append((session, order))

    def let_go(self, session: Any) -> None:
        self.let_gone.append(session)


async def test_a_link_that_is_kept_gets_another_session(setting: Setting) -> None:
    peer, link = setting.peer(), KeptLink(setting.beta)
    peer.attach(link.real)
    contact = contacts.Contact(setting.beta.node_id, time.time(), [HOST.to_sdp()], [])
    await setting.connecting.attempt(peer)
    setting.roster.add_contacts([contacts.sign(contact, setting.beta.sign)])
    await setting.connecting.attempt(peer)
    assert [[one.endpoint for one in known] for _, known, _ in setting.dialer.begun] == [[], [HOST.endpoint]]
    other = Restarts(bytes(32), client=False)
    places = [other.recognise(ufrag) for _, _, ufrag in setting.dialer.begun]
    assert link.attached == [(setting.dialer.session, place) for place in places]
    assert setting.dialer.followed == [RESTART_TIMEOUT] * 2
    assert setting.installed == []


async def test_an_attempt_without_a_path_is_a_failure_while_the_link_is_kept(setting: Setting) -> None:
    peer, link = setting.peer(), KeptLink(setting.beta)
    peer.attach(link.real)

    def fail() -> None:
        raise Unreachable("no path")

    setting.dialer.ending = fail
    with pytest.raises(Unreachable):
        await setting.connecting.attempt(peer)
    assert link.let_gone == [setting.dialer.session]


async def test_when_the_link_ends_meanwhile_a_new_one_is_dialed_at_once(setting: Setting) -> None:
    peer, link = setting.peer(), KeptLink(setting.beta)
    peer.attach(link.real)
    setting.dialer.link = FakeLink(setting.beta, hello(setting.beta_roster))

    def end() -> None:
        link.established = False
        raise Unreachable("the session was closed")

    setting.dialer.ending = end
    await setting.connecting.attempt(peer)
    assert setting.installed == [setting.dialer.link.real]


async def test_a_restart_is_for_the_link_that_it_proves_and_else_for_none(setting: Setting) -> None:
    setting.connecting.follow_roster()
    accept = setting.dialer.accepters[setting.beta.node_id]
    dialed: list[str] = []
    setting.connecting.on_dialed = dialed.append
    link, theirs = KeptLink(setting.beta), Restarts(bytes(32), client=False)

    def come(ufrag: str) -> Any:
        session = FakeSession(ufrag)
        accept(session.real)
        return session

    nobodys = [come(theirs.begin(1)[0])]
    setting.connecting.link_of = lambda node_id: link.real
    ufrag, order = theirs.begin(1)
    ours = come(ufrag)
    assert link.attached == [(ours, order)]
    nobodys += [come(ufrag), come(Restarts(bytes(31), client=False).begin(1)[0])]
    link.established = False
    nobodys.append(come(theirs.begin(1)[0]))
    assert setting.dialer.disowned == nobodys
    assert dialed == [setting.beta.node_id] * len(nobodys)
    assert (len(link.attached), setting.dialer.greets) == (1, [])


async def test_signals_of_members(setting: Setting) -> None:
    answer, dial = signals.Candidates("name", []), signals.Dial("name", [])
    setting.connecting.signal_received(setting.beta.node_id, answer)
    assert setting.dialer.answers == [answer]
    setting.connecting.signal_received(setting.beta.node_id, dial)
    [(key, message, send)] = setting.dialer.signaled
    assert (key, message) == (setting.beta.node_id, dial)
    await send(answer)
    assert setting.signaler.sent == [(setting.beta.node_id, answer)]


async def test_how_an_attempt_failed_is_remembered(setting: Setting) -> None:
    setting.connecting.follow_roster()
    setting.dialer.link = FakeLink(CAROL, hello(setting.beta_roster))
    with pytest.raises(Refused):
        await setting.connecting.attempt(setting.peer())
    found = setting.connecting.attempts.of(setting.beta.node_id, 0.0)
    assert found is not None
    assert (found[0].layer, found[0].answered) == ("refused", True)
    assert "somebody else" in (found[0].error or "")
    setting.roster.revoke(setting.beta.node_id)
    setting.connecting.follow_roster()
    assert setting.connecting.attempts.of(setting.beta.node_id, 0.0) is None


async def test_a_handshake_that_came_to_nothing_after_the_greeting_began(setting: Setting) -> None:
    setting.dialer.link = FakeLink(setting.beta)
    with pytest.raises(LinkError):
        await setting.connecting.attempt(setting.peer())
    found = setting.connecting.attempts.of(setting.beta.node_id, 0.0)
    assert found is not None
    assert found[0].layer == "greeting"
