"""The joiner's side of a join code: where it looks, what it asks, and what it says when nothing came of it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from atmosphere.credentials import DialSecret
from atmosphere.errors import CodeError, LinkError, Refused, Unreachable
from atmosphere.ice.candidate import Candidate
from atmosphere.joincode import CodeCandidate, JoinCode
from atmosphere.mesh import joining as module
from atmosphere.mesh import signals, wire
from atmosphere.mesh.dialer import Dialer
from atmosphere.mesh.exchange import Exchange
from atmosphere.mesh.joining import Joining, also_over_tcp, code_candidates, meeting_places, relays_of, stun_of, why
from atmosphere.mesh.meeting import Meeting
from atmosphere.mesh.peer import Peer
from atmosphere.mesh.peerlink import PeerLink
from atmosphere.mesh.signaler import Signaler
from atmosphere.replycode import ReplyCode
from tests.mesh.fakes import BOB, HOST, FakeLink, FakeSession, code_of, founder, granted
from tests.mesh.people import CAROL
from tests.until import until

THE_HOST = cast("Peer", object())


class FakeDialer:
    """Attempts that end as the test says."""

    def __init__(self) -> None:
        self.begun: list[tuple[list[Candidate], str]] = []
        self.answers: list[signals.Candidates] = []
        self.link: FakeLink | None = None
        self.links: list[FakeLink] = []
        self.later: list[Exception] = []
        self.outcomes: list[Exception] = []
        self.finishing = asyncio.Event()
        self.sends: list[Callable[[signals.Message], Awaitable[None]]] = []

    def begin(self, secret: DialSecret, known: list[Candidate], send: Any, *, ufrag: str) -> Exchange:
        self.begun.append((known, ufrag))
        self.sends.append(send)
        return Exchange(FakeSession().real, ufrag, list, send, dialing=True)

    async def finish(self, exchange: Exchange, greet: Any, timeout: float = 1.0, *, invited: bool = False) -> PeerLink:
        self.finishing.set()
        assert invited
        if self.outcomes:
            raise self.outcomes.pop(0)
        if self.links:
            self.link = self.links.pop(0)
            self.outcomes, self.later = self.later, []
        if self.link is None:
            await asyncio.Event().wait()
        link = cast("FakeLink", self.link)
        await greet(link.real)
        return link.real

    def answered(self, message: signals.Candidates) -> None:
        self.answers.append(message)

    def candidates(self) -> list[Candidate]:
        return [HOST]


class FakeSignaler:
    def __init__(self) -> None:
        self.sent: list[signals.Message] = []

    async def to_host(self, host_id: str, secret: DialSecret, message: signals.Message) -> None:
        self.sent.append(message)

    def seal_by_hand(self, secret: DialSecret, message: signals.Message) -> bytes:
        return signals.encode(message)


class FakeMeeting:
    def __init__(self) -> None:
        self.places: list[str] = []

    @asynccontextmanager
    async def also_at(self, urls: list[str]) -> AsyncIterator[None]:
        self.places = urls
        yield

    def failures(self, urls: Iterable[str]) -> list[str]:
        return [f"{url}: it is away" for url in urls]


class Setting:
    def __init__(self, folder: Path) -> None:
        self.home, self.host = founder(folder)
        self.code = code_of(self.host, candidates=(CodeCandidate("host", "192.0.2.1", 7777),))
        self.dialer, self.signaler, self.meeting = FakeDialer(), FakeSignaler(), FakeMeeting()
        self.adopted: list[tuple[wire.Granted, str]] = []
        self.joining = Joining(
            CAROL,
            cast("Dialer", self.dialer),
            cast("Signaler", self.signaler),
            cast("Meeting", self.meeting),
            adopt=self._adopt,
        )

    async def _adopt(self, link: PeerLink, grant: wire.Granted, code: JoinCode, name: str) -> Peer:
        self.adopted.append((grant, name))
        return THE_HOST

    async def join(self, steps: list[str] | None = None) -> Peer:
        return await self.joining.join(self.code, "carol", (steps if steps is not None else []).append, 5)


@pytest.fixture
async def setting(tmp_path: Path) -> AsyncIterator[Setting]:
    made = Setting(tmp_path)
    yield made
    await made.joining.close()


async def test_a_code_is_redeemed_with_its_host(setting: Setting) -> None:
    grant = granted(setting.host, CAROL)
    setting.dialer.link = link = FakeLink(setting.home.identity, grant)
    steps: list[str] = []
    assert await setting.join(steps) is THE_HOST
    assert setting.adopted == [(grant, "carol")]
    [request] = link.said
    assert isinstance(request, wire.Redeem)
    assert (request.invite_id, request.name) == (setting.code.invite_id, "carol")
    assert steps == ["checking the host's addresses", "no path"]
    assert setting.meeting.places == ["ws://192.0.2.1:7777"]
    known = setting.dialer.begun[0][0]
    assert [(one.transport, one.endpoint) for one in known] == [(way, ("192.0.2.1", 7777)) for way in ("udp", "tcp")]
    assert setting.joining.secret_of(setting.code.invite_id) is None


async def test_the_secret_is_known_while_it_is_redeemed(setting: Setting) -> None:
    joining = asyncio.ensure_future(setting.join())
    await asyncio.wait_for(setting.dialer.finishing.wait(), 5)
    assert setting.joining.secret_of(setting.code.invite_id) == setting.code.dial_secret
    answer = signals.Candidates("name", [])
    setting.joining.signal_received(setting.code.invite_id, answer)
    setting.joining.signal_received(setting.code.invite_id, signals.Dial("name", []))
    assert setting.dialer.answers == [answer]
    await setting.dialer.sends[0](answer)
    assert setting.signaler.sent == [answer]
    joining.cancel()
    await asyncio.gather(joining, return_exceptions=True)


async def test_the_secret_is_known_until_the_last_join_with_it_ends(setting: Setting) -> None:
    first, second = (asyncio.ensure_future(setting.join()) for _ in range(2))
    await until(lambda: len(setting.dialer.begun) == 2)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert setting.joining.secret_of(setting.code.invite_id) == setting.code.dial_secret
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    assert setting.joining.secret_of(setting.code.invite_id) is None


async def test_somebody_else_answers(setting: Setting) -> None:
    setting.dialer.link = link = FakeLink(BOB)
    steps: list[str] = []
    with pytest.raises(Refused, match="somebody else"):
        await setting.join(steps)
    assert link.said == []
    assert steps[2] == "somebody else answered; checking the code's own addresses alone"
    # The second attempt was told to nobody.
    first, second = setting.dialer.sends
    for send in (first, second):
        await send(signals.Dial("name", []))
    assert len(setting.signaler.sent) == 1


async def test_where_only_somebody_else_answers_that_is_said(setting: Setting) -> None:
    setting.dialer.links = [FakeLink(BOB)]
    setting.dialer.later = [Unreachable("nobody there")]
    with pytest.raises(Refused, match="somebody else"):
        await setting.join()


async def test_who_was_only_quicker_keeps_nobody_out(setting: Setting) -> None:
    setting.dialer.links = [FakeLink(BOB), FakeLink(setting.home.identity, granted(setting.host, CAROL))]
    assert await setting.join() is THE_HOST
    assert len({ufrag for _, ufrag in setting.dialer.begun}) == 2


@pytest.mark.parametrize("error", [Unreachable("no way"), LinkError("it broke"), TimeoutError()])
async def test_what_was_tried_is_said(setting: Setting, error: Exception) -> None:
    setting.dialer.outcomes = [error]
    with pytest.raises(Unreachable, match="no address to send checks to; no word through signaling") as caught:
        await setting.join()
    assert str(error) in str(caught.value)


async def test_servers_that_could_not_be_used_are_named(setting: Setting) -> None:
    setting.code = replace(setting.code, signaling=("mqtts://meet.example",))
    setting.dialer.outcomes = [TimeoutError()]
    with pytest.raises(Unreachable, match=r"no word through signaling; mqtts://meet\.example: it is away"):
        await setting.join()


async def test_a_refusal_is_passed_on(setting: Setting) -> None:
    setting.dialer.link = FakeLink(setting.home.identity, wire.Denied("used", "the join code is used up"))
    with pytest.raises(CodeError) as caught:
        await setting.join()
    assert caught.value.reason == "used"


async def test_by_hand_it_dials_until_the_host_was_told(setting: Setting) -> None:
    setting.dialer.outcomes = [Unreachable("not yet"), LinkError("not yet")]
    setting.dialer.link = FakeLink(setting.home.identity, granted(setting.host, CAROL))
    manual = await setting.joining.join_manual(setting.code, "carol")
    assert await manual.wait() is THE_HOST
    ufrags = {ufrag for _, ufrag in setting.dialer.begun}
    assert len(setting.dialer.begun) == 3
    dial = signals.decode(ReplyCode.parse(manual.reply).sealed)
    assert dial == signals.Dial(ufrags.pop(), [HOST.to_sdp()])
    await setting.dialer.sends[0](dial)
    assert setting.signaler.sent == []


async def test_by_hand_has_an_end(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MANUAL_TIMEOUT", -1.0)
    setting.dialer.outcomes = [Unreachable("never")]
    manual = await setting.joining.join_manual(setting.code, "carol")
    with pytest.raises(Unreachable, match="never"):
        await manual.wait()


async def test_a_node_that_stops_begins_nothing(setting: Setting) -> None:
    await setting.joining.close()
    with pytest.raises(Unreachable, match="stopping"):
        await setting.joining.join_manual(setting.code, "carol")


# --- from the code ----------------------------------------------------------------------------------------------------


async def test_candidates_keep_their_order(setting: Setting) -> None:
    entries = (CodeCandidate("srflx", "198.51.100.1", 1), CodeCandidate("host", "2001:db8::1", 2))
    found = await code_candidates(replace(setting.code, candidates=entries))
    assert [(one.type, one.address, one.port) for one in found] == [
        ("srflx", "198.51.100.1", 1),
        ("host", "2001:db8::1", 2),
    ]
    same = (CodeCandidate("host", "192.0.2.1", 1), CodeCandidate("host", "192.0.2.2", 2))
    first, second = await code_candidates(replace(setting.code, candidates=same))
    assert first.priority > second.priority


async def test_the_hosts_tcp_port_is_tried_too(setting: Setting) -> None:
    entries = (
        CodeCandidate("host", "192.0.2.1", 7777),
        CodeCandidate("srflx", "198.51.100.1", 7777),
        CodeCandidate("relay", "203.0.113.1", 50000),
        CodeCandidate("srflx", "198.51.100.1", 40000, "tcp"),
    )
    known = also_over_tcp(await code_candidates(replace(setting.code, candidates=entries)))
    assert [(one.transport, one.type, one.port) for one in known] == [
        ("udp", "host", 7777),
        ("udp", "srflx", 7777),
        ("udp", "relay", 50000),
        ("tcp", "srflx", 40000),
        ("tcp", "host", 7777),
        ("tcp", "srflx", 7777),
    ]
    assert all(one.is_usable and one.tcp_type == "passive" for one in known if one.transport == "tcp")


async def test_names_are_looked_up(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    async def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        if host != "desk.example":
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [(0, 0, 0, "", (address, port)) for address in ("192.0.2.1", "192.0.2.1", "2001:db8::1")]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    entries = (CodeCandidate("host", "desk.example", 7), CodeCandidate("host", "gone.example", 7))
    found = await code_candidates(replace(setting.code, candidates=entries))
    assert [one.endpoint for one in found] == [("192.0.2.1", 7), ("2001:db8::1", 7)]


def test_word_is_left_at_servers_and_at_the_host_itself(setting: Setting) -> None:
    code = replace(
        setting.code,
        signaling=("wss://meet.example", "ws://192.0.2.1:7777"),
        candidates=(
            CodeCandidate("host", "192.0.2.1", 7777),
            CodeCandidate("srflx", "2001:db8::1", 7777),
            CodeCandidate("relay", "203.0.113.1", 50000),
        ),
    )
    assert meeting_places(code) == ["wss://meet.example", "ws://192.0.2.1:7777", "ws://[2001:db8::1]:7777"]


def test_why_nothing_came_of_it() -> None:
    session = FakeSession()
    session.pairs = [SimpleNamespace(remote=HOST), SimpleNamespace(remote=HOST)]
    exchange = Exchange(session.real, "name", list, FakeSignaler().to_host, dialing=True)  # type: ignore[arg-type]
    assert why(exchange, TimeoutError()) == "checks to 192.0.2.1:7777; no word through signaling"
    exchange.answered = True
    assert why(exchange, Unreachable("it took too long")).endswith(
        "the host answered through signaling; it took too long"
    )


def test_where_a_host_may_relay_for_its_joiner(setting: Setting) -> None:
    candidates = (
        CodeCandidate("host", "192.168.1.5", 7777),
        CodeCandidate("relay", "203.0.113.1", 50000),
        CodeCandidate("host", "198.51.100.1", 7777),
        CodeCandidate("host", "alpha.example.org", 7777),
        CodeCandidate("srflx", "2001:db8::1", 4242),
        CodeCandidate("host", "198.51.100.2", 7777),
    )
    code = code_of(setting.host, candidates=candidates)
    relays = relays_of(code)
    assert [str(relay) for relay in relays] == ["turn:198.51.100.1:7777", "turn:[2001:db8::1]:4242"]
    assert {relay.username for relay in relays} == {code.invite_id}
    assert {relay.lender for relay in relays} == {code.host_id}
    assert {relay.password for relay in relays} == {code.dial_secret.turn_password}


def test_who_may_tell_a_joiner_where_it_is_seen(setting: Setting) -> None:
    urls = ("wss://meet.example", "ws://198.51.100.1:7777/", "ws://relay.example:3478/signal", "ws://192.0.2.1:1")
    found = stun_of(code_of(setting.host, signaling=urls))
    assert [str(uri) for uri in found] == ["stun:198.51.100.1:7777", "stun:relay.example"]
    assert stun_of(code_of(setting.host, signaling=("ws://relay.example",))) == []


async def test_each_code_is_told(setting: Setting) -> None:
    codes: list[JoinCode] = []
    setting.joining.on_code = codes.append
    setting.dialer.link = FakeLink(setting.home.identity, granted(setting.host, CAROL))
    await setting.join()
    assert codes == [setting.code]
