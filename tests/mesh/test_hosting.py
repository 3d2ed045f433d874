"""The host's side of join codes, with a dialer that only remembers."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from atmosphere.credentials import DialSecret
from atmosphere.errors import CodeError, DecodeError, Refused, StateError, Unreachable
from atmosphere.ice.candidate import Candidate
from atmosphere.ice.portmapping.model import Grant
from atmosphere.ice.portmapping.outside import mapped_candidate
from atmosphere.ice.session import IceSession
from atmosphere.joincode import JoinCode
from atmosphere.mesh import invites, signals, wire
from atmosphere.mesh.dialer import Dialer
from atmosphere.mesh.hosting import MAX_CODE_CANDIDATES, Hosting, JoinerWait, code_candidates
from atmosphere.mesh.peerlink import PeerLink
from atmosphere.mesh.roster import Roster
from atmosphere.mesh.signaler import Signaler
from atmosphere.mesh.store import Home
from atmosphere.replycode import ReplyCode
from tests.mesh.fakes import HOST, RELAY, SRFLX, TCP, FakeLink, FakeSession, founder, hello, member
from tests.mesh.people import CAROL


class FakeDialer:
    def __init__(self) -> None:
        self.listened: dict[str, DialSecret] = {}
        self.accepters: dict[str, Callable[[IceSession], None]] = {}
        self.signaled: list[tuple[str, signals.Dial, Any]] = []
        self.accepted: list[tuple[Any, Any]] = []

    def listen(self, key: str, secret: DialSecret, accepted: Callable[[IceSession], None]) -> None:
        self.listened[key], self.accepters[key] = secret, accepted

    def unlisten(self, key: str) -> None:
        self.listened.pop(key)

    def listening(self) -> set[str]:
        return set(self.listened)

    def dialed(self, key: str, message: signals.Dial, send: Any) -> None:
        self.signaled.append((key, message, send))

    def accept(self, session: IceSession, greet: Any, greeted: Any, *, invited: bool = False) -> None:
        self.accepted.append((greet, greeted))


class FakeSignaler:
    """Opens what it is told to; remembers answers."""

    def __init__(self) -> None:
        self.answers: list[tuple[str, signals.Message]] = []
        self.by_hand: Callable[[str], None] = lambda invite_id: None

    async def to_joiner(self, joiner: str, secret: DialSecret, message: signals.Message) -> None:
        self.answers.append((joiner, message))

    def open_by_hand(self, invite_id: str, sealed: bytes) -> None:
        self.by_hand(invite_id)


class Setting:
    def __init__(self, home: Home, roster: Roster) -> None:
        self.home, self.roster = home, roster
        self.dialer, self.signaler = FakeDialer(), FakeSignaler()
        self.installed: list[PeerLink] = []
        self.hosting = Hosting(
            home,
            roster,
            cast("Dialer", self.dialer),
            cast("Signaler", self.signaler),
            hello=lambda: hello(roster),
            install=self.installed.append,
        )

    def invite(self, uses: int = 1, expires: float = 60.0) -> JoinCode:
        return self.hosting.invite(uses, expires, [HOST], ["ws://192.0.2.9"])

    def redeem(self, code: JoinCode, name: str = "carol", invite_id: str = "") -> wire.Redeem:
        """What a joiner with this code says, on a link whose exporter is all zeros."""
        proof = invites.prove(code.dial_secret, bytes(invites.EXPORTER_BYTES), CAROL.public_key)
        return wire.Redeem(wire.PROTOCOL, invite_id or code.invite_id, proof, name)

    def comes(self, code: JoinCode, ufrag: str = "dial") -> tuple[Any, Any]:
        """Somebody's session under the code: how it is greeted, and what happens then."""
        self.dialer.accepters[f"invite:{code.invite_id}"](FakeSession(ufrag).real)
        return self.dialer.accepted[-1]


class Clock:
    def __init__(self) -> None:
        self.now = time.time()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """What hosting takes for the time."""
    clock = Clock()
    monkeypatch.setattr("atmosphere.mesh.hosting.time", SimpleNamespace(time=lambda: clock.now))
    return clock


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    return Setting(*founder(tmp_path))


def test_a_code_opens_our_relay_as_long_as_it_can_be_used(setting: Setting) -> None:
    ended: list[str] = []
    setting.hosting.on_revoked = ended.append
    code, other = setting.invite(), setting.invite()
    assert setting.hosting.usable_secret(code.invite_id) == code.dial_secret
    assert setting.hosting.usable_secret("00" * 8) is None
    setting.hosting.revoke(code.invite_id)
    assert ended == [code.invite_id]
    assert setting.hosting.usable_secret(code.invite_id) is None
    assert setting.hosting.usable_secret(other.invite_id) == other.dial_secret


def test_what_is_held_by_an_expired_code_ends(setting: Setting, clock: Clock) -> None:
    ended: list[str] = []
    setting.hosting.on_revoked = ended.append
    code, other = setting.invite(), setting.invite(expires=1e6)
    setting.hosting.sweep()
    assert ended == []
    clock.now += 60
    setting.hosting.sweep()
    setting.hosting.sweep()
    assert ended == [code.invite_id]
    setting.hosting.revoke(other.invite_id)
    setting.hosting.sweep()
    assert ended == [code.invite_id, other.invite_id]
    # And it is not told again when they are forgotten.
    clock.now += invites.KEPT + 60
    setting.hosting.sweep()
    assert ended == [code.invite_id, other.invite_id]


@pytest.mark.parametrize(("expires", "grace"), [(1e6, invites.REPEAT), (60.0, invites.MOVING)])
async def test_what_a_joiner_holds_by_a_code_ends_when_it_has_had_time_to_move(
    setting: Setting, clock: Clock, expires: float, grace: float
) -> None:
    ended: list[str] = []
    setting.hosting.on_revoked = ended.append
    code = setting.invite(expires=expires)
    greet, _ = setting.comes(code)
    await greet(FakeLink(CAROL, setting.redeem(code), hello(setting.roster)).real)
    clock.now += grace - 1
    setting.hosting.sweep()
    assert ended == []
    clock.now += 1
    setting.hosting.sweep()
    setting.hosting.sweep()
    assert ended == [code.invite_id]


def test_a_code_is_on_disk_and_listened_for(setting: Setting) -> None:
    code = setting.invite()
    assert (code.host_id, code.mesh_name, code.signaling) == (setting.roster.own_id, "home", ("ws://192.0.2.9",))
    assert setting.dialer.listened == {f"invite:{code.invite_id}": code.dial_secret}
    assert setting.hosting.secret_of(code.invite_id) == code.dial_secret
    assert setting.hosting.secret_of("00" * 8) is None
    again = Setting(Home.load(setting.home.path), setting.roster)
    assert again.dialer.listened == setting.dialer.listened
    [info] = again.hosting.invites()
    assert (info.id, info.uses, info.used) == (code.invite_id, 1, 0)


def test_who_may_not_invite(setting: Setting, tmp_path: Path) -> None:
    beta = Setting(*member(tmp_path, "beta", setting.roster))
    with pytest.raises(Refused, match="only the founder and admins"):
        beta.invite()
    for uses, expires in ((0, 60.0), (1, 0.0)):
        with pytest.raises(Refused, match="at least one use"):
            setting.invite(uses, expires)


def test_who_belongs_to_no_mesh_may_not_invite(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setting.roster, "role", lambda node_id: "none")
    with pytest.raises(Refused, match="a member of no mesh"):
        setting.invite()


def test_taking_back(setting: Setting) -> None:
    code = setting.invite()
    with pytest.raises(CodeError):
        setting.hosting.revoke("nothing")
    setting.hosting.revoke(code.invite_id[:6])
    assert setting.hosting.invites() == []
    # It is still listened for, so that a late joiner hears what is wrong.
    assert setting.dialer.listened
    assert Home.load(setting.home.path).invites.all()[0].revoked


def test_codes_that_were_over_long_ago_are_let_go(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    setting.dialer.listened["a member"] = DialSecret(bytes(16))
    setting.invite()
    later = time.time() + invites.KEPT + 120
    monkeypatch.setattr("atmosphere.mesh.hosting.time.time", lambda: later)
    setting.hosting.sweep()
    assert setting.dialer.listening() == {"a member"}
    assert Home.load(setting.home.path).invites.all() == []


async def test_a_signaled_dial_is_answered_to_whoever_sent_it(setting: Setting) -> None:
    code, dial = setting.invite(), signals.Dial("name", [])
    setting.hosting.signal_received(code.invite_id, "joiner", dial)
    setting.hosting.signal_received(code.invite_id, "joiner", signals.Candidates("name", []))
    setting.hosting.signal_received("00" * 8, "joiner", dial)
    [(key, message, send)] = setting.dialer.signaled
    assert (key, message) == (f"invite:{code.invite_id}", dial)
    answer = signals.Candidates("name", [])
    await send(answer)
    assert setting.signaler.answers == [("joiner", answer)]
    setting.hosting.signal_received(code.invite_id, "", dial)
    await setting.dialer.signaled[-1][2](answer)
    assert len(setting.signaler.answers) == 1


async def test_a_joiner_is_made_a_member(setting: Setting, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    code = setting.invite()
    greet, greeted = setting.comes(code)
    link = FakeLink(CAROL, setting.redeem(code), hello(setting.roster))
    await greet(link.real)
    greeted(link.real)
    assert setting.roster.name(CAROL.node_id) == "carol"
    assert setting.installed == [link.real]
    assert setting.hosting.granting == set()
    assert isinstance(link.said[0], wire.Granted)
    assert setting.roster.own_chain()[0] in link.said[0].chain
    assert Home.load(setting.home.path).invites.all()[0].used == 1
    assert setting.hosting.invites() == []
    setting.hosting.revoke_used_by(CAROL.node_id)
    assert Home.load(setting.home.path).invites.all()[0].revoked


@pytest.mark.parametrize(("wanted", "called"), [("my/\x1b[2J laptop", "my-[2J laptop"), ("\x00 \u200b", "")])
async def test_what_a_joiner_calls_itself_is_made_a_name(setting: Setting, wanted: str, called: str) -> None:
    code = setting.invite()
    greet, _ = setting.comes(code)
    await greet(FakeLink(CAROL, setting.redeem(code, wanted), hello(setting.roster)).real)
    assert setting.roster.name(CAROL.node_id) == (called or CAROL.node_id[:8])


async def test_a_use_that_is_not_granted_is_given_back_on_disk(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = setting.invite()
    greet, _ = setting.comes(code)

    def fail(*_: object) -> list[bytes]:
        raise StateError("no room")

    monkeypatch.setattr(setting.roster, "issue", fail)
    with pytest.raises(CodeError, match="no room"):
        await greet(FakeLink(CAROL, setting.redeem(code)).real)
    assert Home.load(setting.home.path).invites.all()[0].used == 0


async def test_a_code_is_redeemed_where_it_was_dialed(setting: Setting) -> None:
    code, other = setting.invite(), setting.invite()
    greet, _ = setting.comes(code)
    with pytest.raises(CodeError) as caught:
        await greet(FakeLink(CAROL, setting.redeem(code, invite_id=other.invite_id)).real)
    assert caught.value.reason == "unknown"
    assert setting.roster.member(CAROL.node_id) is None


@pytest.mark.parametrize("error", [OSError("the disk is full"), StateError("no room")])
async def test_what_cannot_be_written_is_not_granted(
    setting: Setting, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = setting.invite()
    greet, _ = setting.comes(code)

    def fail() -> None:
        raise error

    monkeypatch.setattr(setting.home, "save_invites", fail)
    link = FakeLink(CAROL, setting.redeem(code))
    with pytest.raises(CodeError, match="could not keep"):
        await greet(link.real)
    assert isinstance(link.said[0], wire.Denied)
    assert setting.home.invites.all()[0].used == 0
    assert setting.roster.member(CAROL.node_id) is None
    assert setting.hosting.granting == set()


# --- by hand ----------------------------------------------------------------------------------------------------------


def reply_to(code: JoinCode) -> str:
    return str(ReplyCode(code.invite_id, bytes(40)))


async def test_a_reply_waits_for_its_joiner(setting: Setting) -> None:
    code = setting.invite()
    wait = setting.hosting.accept_reply(reply_to(code))
    greet, greeted = setting.comes(code)
    link = FakeLink(CAROL, setting.redeem(code), hello(setting.roster))
    await greet(link.real)
    greeted(link.real)
    assert await wait.node_id(5) == CAROL.node_id
    wait.joined("somebody later")
    assert await wait.node_id(5) == CAROL.node_id


async def test_a_reply_that_comes_after_its_joiner(setting: Setting) -> None:
    code = setting.invite()
    _, greeted = setting.comes(code, "the dial")
    greeted(FakeLink(CAROL).real)
    setting.signaler.by_hand = lambda invite_id: setting.hosting.signal_received(
        invite_id, "", signals.Dial("the dial", [])
    )
    wait = setting.hosting.accept_reply(reply_to(code))
    assert await wait.node_id(5) == CAROL.node_id
    assert setting.dialer.signaled == []


def test_dials_of_former_joiners_are_remembered_for_a_while(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atmosphere.mesh.hosting.MAX_REMEMBERED", 2)
    code = setting.invite()
    for number in range(4):
        setting.comes(code, f"dial{number}")[1](FakeLink(CAROL).real)
    assert list(setting.hosting._joined) == ["dial2", "dial3"]


async def test_replies_that_cannot_be_used(setting: Setting) -> None:
    with pytest.raises(CodeError) as caught:
        setting.hosting.accept_reply(str(ReplyCode("00" * 8, bytes(40))))
    assert caught.value.reason == "unknown"

    def garbled(invite_id: str) -> None:
        raise DecodeError("noise")

    setting.signaler.by_hand = garbled
    with pytest.raises(CodeError, match="noise") as caught:
        setting.hosting.accept_reply(reply_to(setting.invite()))
    assert caught.value.reason == "malformed"


async def test_nobody_came() -> None:
    with pytest.raises(Unreachable, match="did not get through"):
        await JoinerWait().node_id(0.01)


# --- candidates -------------------------------------------------------------------------------------------------------


def near(number: int) -> Candidate:
    return Candidate.from_sdp(f"f 1 udp {2000 - number} 192.0.2.{number} 7777 typ host")


def test_each_endpoint_once_best_first() -> None:
    twice = Candidate.from_sdp(f"x 1 udp 1 {HOST.address} {HOST.port} typ srflx raddr 0.0.0.0 rport 0")
    assert [(one.type, one.address) for one in code_candidates([RELAY, twice, SRFLX, HOST])] == [
        ("host", HOST.address),
        ("srflx", SRFLX.address),
        ("relay", RELAY.address),
    ]


def test_a_port_that_the_router_opened_is_always_in_a_code() -> None:
    """A node with eight addresses, each seen by servers in its own way: what needs no hole comes before those."""
    host = near(1)
    mapped = mapped_candidate(host, Grant("203.0.113.9", 7777, 7200.0), frozenset())
    assert mapped is not None
    seen = [replace(SRFLX, port=number) for number in range(1, 9)]
    found = code_candidates([*seen, *(near(number) for number in range(1, 9)), mapped])
    assert [one.type for one in found] == ["host"] * 4 + ["srflx"] * 4
    assert (found[4].address, found[4].port) == mapped.endpoint


def test_what_a_lying_server_claims_does_not_spoil_a_code() -> None:
    lies = [replace(SRFLX, port=0), replace(RELAY, port=0), replace(SRFLX, address="224.0.0.1")]
    assert [one.type for one in code_candidates([*lies, HOST])] == ["host"]


def test_many_addresses_do_not_crowd_out_those_that_reach_far() -> None:
    found = code_candidates([*(near(number) for number in range(1, 20)), SRFLX, RELAY])
    assert len(found) == MAX_CODE_CANDIDATES
    assert [one.type for one in found[-2:]] == ["srflx", "relay"]
    assert found[0].address == "192.0.2.1"


def test_of_tcp_a_code_has_only_what_it_does_not_say_anyway() -> None:
    beyond = [
        Candidate.from_sdp(f"i 1 tcp {port} 198.51.100.1 {port} typ srflx raddr 192.0.2.1 rport 7777 tcptype passive")
        for port in (7777, 40000, 40001)
    ]
    found = code_candidates([HOST, SRFLX, TCP, *beyond])
    assert [(one.type, one.port, one.protocol) for one in found] == [
        ("host", 7777, "udp"),
        ("srflx", 7777, "udp"),
        ("srflx", 40001, "tcp"),
    ]
    full = code_candidates([*(near(number) for number in range(1, 20)), SRFLX, RELAY, beyond[1]])
    assert len(full) == MAX_CODE_CANDIDATES
    assert all(one.protocol == "udp" for one in full)
