"""What a node finds out when it is asked why: from parts that are pictures, and from real nodes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from atmosphere.errors import Unreachable
from atmosphere.ice.candidate import Candidate
from atmosphere.ice.health import ServerHealth
from atmosphere.ice.nat import NatBehaviour
from atmosphere.mesh import contacts, events, wire
from atmosphere.mesh.about import Abouts
from atmosphere.mesh.attempts import Attempts
from atmosphere.mesh.info import ServerInfo
from atmosphere.mesh.listeners import NodeSettings
from atmosphere.mesh.node import Node
from atmosphere.mesh.observing import Observer
from atmosphere.mesh.peer import Peer
from tests.mesh.fakes import HOST, RELAY, SRFLX, FakeLink, founder
from tests.mesh.nodes import Mesh, connected, until
from tests.mesh.people import CAROL
from tests.mesh.situations import candidate, pair

STUN_OK = ServerHealth("stun:198.51.100.9:3478", "stun", True)
STUN_DOWN = ServerHealth("stun:198.51.100.9:3478", "stun", False, error="no answer")
STUN_ASKED = ServerHealth("stun:198.51.100.9:3478", "stun")
TURN_OK = ServerHealth("turn:198.51.100.9:3478", "turn", True)
TURN_TCP = ServerHealth("turn:198.51.100.9:3478?transport=tcp", "turn", True)
TURN_ASKED = ServerHealth("turn:198.51.100.9:3478", "turn")
BY_TCP = Candidate.from_sdp(RELAY.to_sdp() + " relay-protocol tcp")
BY_UDP = Candidate.from_sdp(RELAY.to_sdp() + " relay-protocol udp")


class Setting:
    """A founder that looks at carol."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        _, self.roster = founder(folder)
        self.roster.issue(CAROL.public_key, "carol")
        self.peer = Peer(CAROL.node_id, self.roster, cast("Any", None))
        self.candidates: list[Candidate] = [HOST]
        self.servers: list[ServerHealth] = []
        self.sessions: list[Any] = []
        self.neighbours: list[Any] = []
        self.meeting: list[ServerInfo] = []
        self.attempts = Attempts()
        self.abouts = Abouts(wire.About, list)
        self.observer = Observer(
            NodeSettings(**settings),
            self.roster,
            cast("Any", Endpoint(self)),
            meeting=cast("Any", SimpleNamespace(servers=lambda: self.meeting)),
            relaying=cast("Any", SimpleNamespace(findings=lambda: ["no relay to fall back on"])),
            peers=cast("Any", SimpleNamespace(neighbours=lambda: self.neighbours, next_try=lambda peer, now: 5.0)),
            attempts=self.attempts,
            abouts=self.abouts,
        )

    def link(self) -> FakeLink:
        link = FakeLink(CAROL)
        self.peer.attach(link.real)
        return link

    def say(self, *candidates: Candidate) -> None:
        """carol says where she is."""
        contact = contacts.Contact(CAROL.node_id, 1.0, [one.to_sdp() for one in candidates], [])
        self.roster.add_contacts([contacts.sign(contact, CAROL.sign)])


class Endpoint:
    behaviour = NatBehaviour()

    def __init__(self, setting: Setting) -> None:
        self._setting = setting

    def port_mappings(self) -> list[Any]:
        return []

    @property
    def candidates(self) -> list[Candidate]:
        return self._setting.candidates

    @property
    def sessions(self) -> list[Any]:
        return self._setting.sessions

    def servers(self) -> list[ServerHealth]:
        return self._setting.servers


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    return Setting(tmp_path)


PATH_UDP, PATH_TCP = SimpleNamespace(protocol="udp"), SimpleNamespace(protocol="tcp")


@pytest.mark.parametrize(
    ("servers", "candidates", "paths", "udp"),
    [
        ([], [HOST], [], None),
        ([STUN_OK], [HOST], [], True),
        ([STUN_DOWN], [HOST], [], False),
        ([STUN_DOWN, STUN_ASKED], [HOST], [], None),
        ([STUN_DOWN], [HOST, BY_UDP], [], True),
        ([STUN_DOWN], [HOST], [PATH_UDP], True),
        ([STUN_DOWN], [HOST], [None, PATH_TCP], False),
        # A relay that may be reached by UDP and is reached by TCP.
        ([TURN_OK], [HOST, BY_TCP], [], False),
        ([TURN_ASKED], [HOST], [], None),
        ([TURN_TCP], [HOST, BY_TCP], [], None),
    ],
)
async def test_whether_udp_gets_out(
    setting: Setting, servers: list[ServerHealth], candidates: list[Candidate], paths: list[Any], udp: bool | None
) -> None:
    setting.servers, setting.candidates = servers, candidates
    setting.sessions = [SimpleNamespace(path=path) for path in paths]
    assert setting.observer.about() == wire.About("any", udp, "unknown")
    assert setting.observer.situation(setting.peer).here.udp is udp


async def test_ourselves(tmp_path: Path) -> None:
    setting = Setting(tmp_path, path_policy="relay", port_mapping=False)
    setting.candidates = [candidate("host", "fe80::1"), candidate("host", "2001:db8::5"), HOST, SRFLX, RELAY]
    here = setting.observer.situation(setting.peer).here
    assert (here.policy, here.mapping, here.lan, here.families) == ("relay", "off", HOST.endpoint, frozenset({4, 6}))
    assert here.public == {"192.0.2.1", "2001:db8::5", SRFLX.address}
    assert setting.observer.own_side().policy == "relay"
    assert setting.observer.mapped() == []
    setting.candidates = [candidate("host", "fd00::1")]
    here = setting.observer.situation(setting.peer).here
    assert (here.lan, here.families) == (("fd00::1", 7777), frozenset())
    setting.candidates = []
    assert setting.observer.situation(setting.peer).here.lan is None


async def test_the_other_side(setting: Setting) -> None:
    there = setting.observer.situation(setting.peer).there
    assert (there.policy, there.udp, there.mapping, there.lan, there.public) == ("", None, "unknown", None, frozenset())
    setting.say(SRFLX, candidate("host", "192.168.7.20"))
    link = setting.link()
    link.session.pairs = [pair(remote=candidate("prflx", SRFLX.address, 9))]
    setting.abouts.heard(link.real, wire.About("direct", False, "none"))
    there = setting.observer.situation(setting.peer).there
    assert (there.policy, there.udp, there.mapping) == ("direct", False, "none")
    assert (there.lan, set(there.public), set(there.families)) == (("192.168.7.20", 7777), {SRFLX.address}, {4})
    cast("Any", link).remote_nat = NatBehaviour(type="udp-blocked")
    setting.abouts.heard(link.real, wire.About("any", None, "beyond"))
    there = setting.observer.situation(setting.peer).there
    assert (there.udp, there.mapping) == (False, "beyond")
    setting.abouts.heard(link.real, wire.About("new word", True, "new word"))
    assert setting.observer.situation(setting.peer).there.mapping == "unknown"


async def test_a_link(setting: Setting) -> None:
    link = setting.link()
    session: Any = link.session
    session.path = SimpleNamespace(kind="relay", protocol="udp", family=4, local=RELAY, remote=SRFLX)
    session.pairs = [pair()]
    setting.peer.history.connected(None, 0.0)
    setting.servers = [STUN_OK, TURN_OK, TURN_ASKED]
    found = setting.observer.situation(setting.peer)
    assert found.is_relayed
    assert found.pairs == (pair(),)
    assert [(relay.ok, relay.error) for relay in found.relays] == [(True, None), (False, "no answer yet")]
    assert found.attempt is None
    assert setting.observer.explain(setting.peer).relays == ["no relay to fall back on"]
    link.alive = False
    assert not setting.observer.situation(setting.peer).connected


async def test_who_could_carry_a_signal(setting: Setting) -> None:
    def helpers() -> bool:
        return setting.observer.situation(setting.peer).helpers

    assert not helpers()
    setting.neighbours = [SimpleNamespace(peer_id=CAROL.node_id)]
    setting.meeting = [ServerInfo("ws://a", False)]
    assert not helpers()
    setting.neighbours.append(SimpleNamespace(peer_id="somebody else"))
    assert helpers()
    setting.neighbours.clear()
    setting.meeting.append(ServerInfo("ws://b", True))
    assert helpers()


async def test_an_attempt(setting: Setting) -> None:
    exchange: Any = SimpleNamespace(session=SimpleNamespace(report=lambda: [pair()]), answered=False)
    with pytest.raises(Unreachable), setting.attempts.watch(CAROL.node_id):
        setting.attempts.begun(CAROL.node_id, exchange)
        raise Unreachable("no path within 25 s")
    found = setting.observer.situation(setting.peer)
    assert found.attempt is not None
    assert (found.attempt.layer, found.pairs, found.next_try) == ("signaling", (pair(),), 5.0)
    assert setting.observer.explain(setting.peer).cause == "no-messenger"


# --- real nodes -----------------------------------------------------------------------------------------------------


def policy_of(node: Node, name: str) -> str:
    return node.explain(node.peer(name)).there.policy


async def test_nodes_explain_each_other(mesh: Mesh) -> None:
    alpha = await mesh.found(path_policy="direct")
    beta = await mesh.join(alpha, "beta")
    await connected(beta, "alpha")
    await until(beta, lambda: policy_of(beta, "alpha") == "direct")
    found = beta.explain(beta.peer("alpha"))
    assert (found.cause, found.advice) == ("direct", None)
    assert "in use" in {one.outcome for one in found.pairs}
    told = beta.status().network
    assert told is not None
    assert told.policy == "any"
    await alpha.stop()
    await until(beta, lambda: beta.peer("alpha").state != "connected")
    found = beta.explain(beta.peer("alpha"))
    assert found.cause == "stopped"
    assert found.why == "Nothing answers: alpha said goodbye (stopped)."


async def test_a_change_of_addresses_is_an_event(mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    alpha = await mesh.found()
    told: list[events.Event] = []
    monkeypatch.setattr(alpha._parts.feed, "emit", told.append)
    alpha._parts._look_around()
    endpoint = alpha._parts.listeners.endpoint
    monkeypatch.setattr(type(endpoint), "addresses", property(lambda self: ["127.0.0.1", "203.0.113.5"]))
    alpha._parts._look_around()
    assert told == [events.NetworkChanged(("127.0.0.1", "203.0.113.5"), ("203.0.113.5",), ())]
