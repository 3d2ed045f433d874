"""atmosphere.ice.mux: tables, limits and who gets what. The whole of it, on sockets, is in test_endpoint."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atmosphere.ice import checklist
from atmosphere.ice import mux as module
from atmosphere.ice.base import Base
from atmosphere.ice.candidate import Candidate
from atmosphere.ice.checklist import MAX_PEER_REFLEXIVE
from atmosphere.ice.credentials import IceCredentials
from atmosphere.ice.events import IceFailed, Transmit
from atmosphere.ice.gather import Gatherer
from atmosphere.ice.listener import Listener
from atmosphere.ice.mux import SUPERSEDED, Mux
from atmosphere.ice.session import IceSession
from atmosphere.ice.settings import HALF_OPEN, HALF_OPEN_OF_ONE, NEW_BURST, NEW_BURST_OF_SOURCE
from atmosphere.stun.message import Class, Message, Method, binding_request, binding_response, decode, encode
from atmosphere.udp.socket import UdpSocket
from tests.until import until

LOCAL = IceCredentials("HostUfrag", "p" * 22)
HOST_CANDIDATE = Candidate.from_sdp("f 1 udp 1000 192.0.2.1 7777 typ host")
SOURCE = ("192.0.2.50", 5000)


class Wire(Base):
    """A base that keeps what is sent."""

    def __init__(self, number: int = 1) -> None:
        self.sent: list[tuple[bytes, tuple[str, int]]] = []
        super().__init__(number, HOST_CANDIDATE, lambda data, destination: self.sent.append((data, destination)))


def check(remote: str, password: str = LOCAL.password, local: str = LOCAL.ufrag) -> bytes:
    attributes: dict[str, Any] = {"USERNAME": f"{local}:{remote}", "PRIORITY": 1, "ICE-CONTROLLING": 1}
    message = Message(Method.BINDING, Class.REQUEST, attributes=attributes)
    message.add_message_integrity(password.encode())
    return encode(message)


def nominating(remote: str) -> bytes:
    """A dialer's check that nominates."""
    attributes = {"USERNAME": f"{LOCAL.ufrag}:{remote}", "PRIORITY": 1, "ICE-CONTROLLING": 1, "USE-CANDIDATE": None}
    message = Message(Method.BINDING, Class.REQUEST, attributes=attributes)
    message.add_message_integrity(LOCAL.key)
    return encode(message)


def make() -> tuple[Mux, Wire, list[IceSession]]:
    """A mux with one base that listens, and the sessions it made."""
    mux, base, met = Mux("any", Gatherer()), Wire(), list[IceSession]()
    mux.add_base(base)
    mux.listen(Listener(mux, LOCAL, lambda ufrag: "q" * 22, met.append))
    return mux, base, met


async def test_one_session_a_dialer_however_often_it_asks() -> None:
    mux, base, met = make()
    for _ in range(3):
        mux.receive(base, check("dialer01"), SOURCE)
    mux.receive(base, check("dialer02"), ("192.0.2.51", 5000))
    assert [session.key for session in met] == [("HostUfrag", "dialer01"), ("HostUfrag", "dialer02")]
    assert [session.origin for session in met] == ["192.0.2.50", "192.0.2.51"]
    mux.close()
    assert mux.sessions == []


async def test_data_goes_to_whoever_proved_the_address() -> None:
    mux, base, met = make()
    got: list[bytes] = []
    mux.receive(base, b"\x16early", SOURCE)
    mux.receive(base, check("dialer01"), SOURCE)
    met[0].on_datagram = got.append
    mux.receive(base, b"\x16data", SOURCE)
    mux.receive(base, b"\x16other port", (SOURCE[0], 5001))
    mux.receive(Wire(2), b"\x16other base", SOURCE)
    mux.receive(base, b"", SOURCE)
    assert got == [b"\x16data"]
    assert mux.dropped == {"stranger": 3, "empty": 1}
    met[0].close()
    mux.receive(base, b"\x16after", SOURCE)
    assert mux.dropped["stranger"] == 4


async def test_a_remote_that_checks_from_ever_new_ports_fills_no_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checklist, "DISCOVERED_FOR", 0.0)
    mux, base, met = make()
    got: list[bytes] = []
    for number in range(10 * MAX_PEER_REFLEXIVE):
        mux.receive(base, check("dialer01"), (SOURCE[0], 5000 + number))
        met[0].on_datagram = got.append
    [session] = mux.sessions
    assert session.claims.keys() == mux._routes.keys()
    assert len(mux._routes) <= MAX_PEER_REFLEXIVE
    mux.receive(base, b"\x16the newest", (SOURCE[0], 5000 + number))
    mux.receive(base, b"\x16the oldest", SOURCE)
    assert got == [b"\x16the newest"]
    # Where it shows itself again, it is heard again.
    mux.receive(base, check("dialer01"), SOURCE)
    mux.receive(base, b"\x16back", SOURCE)
    assert got == [b"\x16the newest", b"\x16back"]
    mux.close()
    assert not mux._routes


async def test_what_one_session_forgets_stays_another_ones() -> None:
    mux, base, met = make()
    mux.receive(base, check("dialer01"), SOURCE)
    mux.receive(base, check("dialer02"), SOURCE)
    owner = mux._routes[base.id, SOURCE]
    for session in met:
        if session is not owner:
            mux.forget(session, base.id, SOURCE)
            mux.forget(session, base.id, SOURCE)
    assert mux._routes == {(base.id, SOURCE): owner}
    mux.close()


async def test_an_ended_session_is_not_started_anew_by_late_checks_for_a_while() -> None:
    mux, base, met = make()
    mux.receive(base, check("dialer01"), SOURCE)
    met[0].close()
    mux.receive(base, check("dialer01"), SOURCE)
    assert len(met) == 1
    mux._turned -= module.GENERATION
    mux._turn(mux._loop.time())
    mux.receive(base, check("dialer01"), SOURCE)
    assert len(met) == 1
    mux._turned -= module.GENERATION
    mux.receive(base, check("dialer01"), SOURCE)
    assert len(met) == 2
    mux.close()


async def test_new_sessions_have_a_rate_for_each_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HALF_OPEN_OF_ONE", HALF_OPEN)
    mux, base, met = make()
    for number in range(200):
        mux.receive(base, check(f"dialer{number}"), SOURCE)
    few = len(met)
    assert few <= NEW_BURST_OF_SOURCE + 10
    assert mux.dropped["rate"] == 200 - few
    mux.receive(base, check("neighbor"), ("192.0.2.51", 5000))
    assert len(met) == few + 1
    mux.close()


async def test_sessions_that_are_not_connected_are_few_and_have_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HALF_OPEN_SECONDS", 0.05)
    monkeypatch.setattr(module, "HALF_OPEN_OF_ONE", HALF_OPEN)
    mux, base, met = make()
    for number in range(HALF_OPEN + 10):
        mux.receive(base, check(f"dialer{number}"), (f"192.0.2.{number % 100 + 1}", 5000))
    assert len(met) == HALF_OPEN
    assert mux.dropped["refused"] == 10
    events: list[Any] = []
    met[0].on_event = events.append
    await until(lambda: not mux.sessions)
    assert events == [IceFailed("not connected within 0.05 s")]
    assert not mux._half_open


async def test_whoever_knows_one_secret_shuts_out_nobody_else() -> None:
    mux, base, met = make()
    other: list[IceSession] = []
    mux.listen(Listener(mux, IceCredentials("OtherUfrag", LOCAL.password), lambda ufrag: "q" * 22, other.append))
    for number in range(int(NEW_BURST)):
        mux.receive(base, check(f"dialer{number}"), (f"192.0.2.{number % 100 + 1}", 5000))
    assert len(met) == HALF_OPEN_OF_ONE
    mux.receive(base, check("honest", local="OtherUfrag"), SOURCE)
    assert [session.remote_ufrag for session in other] == ["honest"]
    mux.close()


def answer(mux: Mux, base: Wire, remote: str, source: tuple[str, int] = SOURCE) -> None:
    """The dialer `remote` answers the last check that went to it."""
    requests = [decode(data) for data, _ in base.sent if data[:2] == b"\x00\x01"]
    request = [one for one in requests if one.attributes["USERNAME"].startswith(f"{remote}:")][-1]
    response = binding_response(request, ("192.0.2.1", 7777))
    response.add_message_integrity(b"q" * 22)
    mux.receive(base, encode(response), source)


def repeat(session: IceSession, seconds: float) -> None:
    """Let the session's agent do what is due some time from now."""
    now = session._loop.time() + seconds
    session._agent.handle_timer(now)
    session._flush()


@pytest.mark.parametrize("order", [("dialerA", "dialerB"), ("dialerB", "dialerA")])
async def test_of_two_that_live_the_smaller_dialer_stays(order: tuple[str, str]) -> None:
    mux, base, met = make()
    for remote in order:
        mux.receive(base, check(remote), SOURCE)
    by_name = {session.remote_ufrag: session for session in met}
    events: list[Any] = []
    by_name["dialerB"].on_event = events.append
    answer(mux, base, order[0])
    assert len(mux.sessions) == 2
    answer(mux, base, order[1])
    assert mux.sessions == [by_name["dialerA"]]
    assert events[-1] == IceFailed(SUPERSEDED)
    got: list[bytes] = []
    by_name["dialerA"].on_datagram = got.append
    mux.receive(base, b"\x16to the one", SOURCE)
    assert got == [b"\x16to the one"]
    mux.close()


@pytest.mark.parametrize("order", [("dialerA", "dialerB"), ("dialerB", "dialerA")])
async def test_no_later_dial_cuts_a_link(order: tuple[str, str]) -> None:
    mux, base, met = make()
    for remote in order:
        mux.receive(base, check(remote), SOURCE)
    met[0].created_at -= module.CLEARLY_OLDER
    answer(mux, base, order[0])
    answer(mux, base, order[1])
    assert mux.sessions == [met[0]]
    mux.close()


async def test_a_restarted_remote_takes_its_address_back_and_the_dead_session_stays_harmless() -> None:
    mux, base, met = make()
    mux.receive(base, check("dialerA"), SOURCE)
    answer(mux, base, "dialerA")
    mux.receive(base, nominating("dialerA"), SOURCE)
    assert met[0].state == "connected"
    mux.receive(base, check("dialerB"), SOURCE)
    answer(mux, base, "dialerB")
    got: list[bytes] = []
    met[1].on_datagram = got.append
    mux.receive(base, b"\x16to the newer", SOURCE)
    assert got == [b"\x16to the newer"]
    assert len(mux.sessions) == 2
    # It lives after all, and so both do.
    repeat(met[0], 3.0)
    answer(mux, base, "dialerA")
    assert mux.sessions == [met[0]]
    mux.close()


async def test_a_forged_source_takes_no_address_from_a_session_with_a_path() -> None:
    mux, base, met = make()
    mux.receive(base, check("victim"), SOURCE)
    answer(mux, base, "victim")
    mux.receive(base, nominating("victim"), SOURCE)
    assert met[0].state == "connected"
    mux.receive(base, check("AAAA"), SOURCE)  # from an invited attacker, who writes the victim's address
    mux.receive(base, check("AAAA"), ("192.0.2.66", 6666))
    answer(mux, base, "AAAA", ("192.0.2.66", 6666))
    repeat(met[1], 0.5)
    answer(mux, base, "AAAA", ("192.0.2.66", 6666))
    got: list[bytes] = []
    met[0].on_datagram = got.append
    mux.receive(base, b"\x16data", SOURCE)
    assert got == [b"\x16data"]
    assert met[0] in mux.sessions
    mux.close()


async def test_questions_are_answered_by_sockets_alone() -> None:
    mux, base, _ = make()
    mux.receive(base, encode(binding_request()), SOURCE)
    assert len(base.sent) == 1
    relayed = Wire(2)
    relayed.candidate = Candidate.from_sdp("f 1 udp 1 192.0.2.9 5 typ relay")
    mux.receive(relayed, encode(binding_request()), SOURCE)
    assert relayed.sent == []


async def test_a_base_that_goes_takes_its_routes_along() -> None:
    mux, base, met = make()
    mux.receive(base, check("dialer01"), SOURCE)
    mux.remove_base(base.id)
    assert mux._routes == {}
    assert met[0].claims == {}
    mux.transmit(met[0], Transmit(base.id, b"\x00\x01" + bytes(18), SOURCE))
    assert mux.base(base.id) is None
    mux.close()


async def test_a_listener_that_has_closed_starts_nothing() -> None:
    mux, base, met = make()
    listener = mux._listeners[LOCAL.ufrag]
    listener.close()
    mux.receive(base, check("dialer01"), SOURCE)
    assert listener.session("dialer01") is None
    assert met == []


async def test_a_relay_only_node_has_no_ears_but_its_relay() -> None:
    mux = Mux("relay", Gatherer())
    base = Wire()
    mux.add_base(base)
    met: list[IceSession] = []
    mux.listen(Listener(mux, LOCAL, lambda ufrag: "q" * 22, met.append))
    mux.receive(base, check("dialer01"), SOURCE)
    assert (met, base.sent) == ([], [])
    assert mux.useful([HOST_CANDIDATE]) == []
    mux.close()


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=50)
@given(st.lists(st.binary(max_size=100) | st.binary(max_size=60).map(lambda tail: b"\x00\x01\x00" + tail), max_size=20))
def test_any_datagram_is_survived_and_nothing_is_kept(datagrams: list[bytes]) -> None:
    async def feed() -> None:
        mux, base, met = make()
        for datagram in datagrams:
            mux.receive(base, datagram, SOURCE)
        assert mux.size == 0
        assert met == []
        mux.close()

    asyncio.run(feed())


async def test_answers_that_were_asked_for_long_ago_are_forgotten() -> None:
    mux, base, met = make()
    mux.receive(base, check("dialer01"), SOURCE)
    mux.transmit(met[0], Transmit(base.id, b"\x00\x01\x00\x00\x21\x12\xa4\x42" + b"t" * 12, SOURCE))
    for _ in range(2):
        assert b"t" * 12 in mux._asked[0] | mux._asked[1]
        mux._turned -= module.GENERATION
        mux._turn(mux._loop.time())
    assert b"t" * 12 not in mux._asked[0] | mux._asked[1]
    mux.close()


async def test_an_answered_question_is_forgotten_at_once() -> None:
    mux, base, met = make()
    mux.receive(base, check("dialer01"), SOURCE)
    [question] = [data for data, _ in base.sent if data[:2] == b"\x00\x01"]
    for password, remembered in (("wrong" * 5, True), ("q" * 22, False)):
        response = binding_response(decode(question), ("192.0.2.1", 7777))
        response.add_message_integrity(password.encode())
        mux.receive(base, encode(response), SOURCE)
        assert (question[8:20] in mux._asked[0]) is remembered
    assert met[0].key == ("HostUfrag", "dialer01")
    mux.close()


# --- the node's own TURN server, and who can reach it -----------------------------------------------------------------


class Taken(list[tuple[bytes, int, tuple[str, int]]]):
    """What the TURN server of a node would get."""

    def __call__(self, sock: object, data: bytes, segment: int, source: tuple[str, int]) -> None:
        self.append((data, segment, source))


def turn_message(method: Method, message_class: Class) -> bytes:
    return encode(Message(method, message_class))


FOR_TURN = [
    turn_message(Method.ALLOCATE, Class.REQUEST),
    turn_message(Method.CHANNEL_BIND, Class.REQUEST),
    turn_message(Method.SEND, Class.INDICATION),
    b"\x40\x00\x00\x04data",
    b"\x4f\xff\x00\x00",
]
NOT_FOR_TURN = [
    check("dialer01"),
    turn_message(Method.BINDING, Class.INDICATION),
    turn_message(Method.ALLOCATE, Class.RESPONSE),
    turn_message(Method.REFRESH, Class.ERROR),
    b"\x16dtls",
    b"\x3f",
    b"\x50quic",
    b"",
]


async def test_turn_goes_to_the_nodes_turn_server_and_nothing_else_does() -> None:
    mux, base, _ = make()
    taken = mux.on_turn = Taken()
    sock = base.socket = UdpSocket.bind("127.0.0.1")
    for data in (*FOR_TURN, *NOT_FOR_TURN):
        mux.receive(base, data, SOURCE)
    assert list(taken) == [(data, len(data), SOURCE) for data in FOR_TURN]
    sock.close()
    mux.close()


async def test_without_a_turn_server_turn_is_dropped() -> None:
    mux, base, _ = make()
    for data in FOR_TURN:
        mux.receive(base, data, SOURCE)
    assert mux.dropped == {"method": 2, "stranger": 2}
    # A relayed address is no place to ask for another one.
    taken = mux.on_turn = Taken()
    mux.receive(base, FOR_TURN[0], SOURCE)
    assert (list(taken), base.sent) == ([], [])
    mux.close()


async def test_a_burst_stays_one_for_the_turn_server_and_is_datagrams_for_others() -> None:
    mux, base, met = make()
    taken = mux.on_turn = Taken()
    sock = base.socket = UdpSocket.bind("127.0.0.1")
    channels = b"\x40\x00\x00\x04data" * 3
    mux.receive_burst(base, channels, 8, SOURCE)
    mux.receive_burst(base, b"", 0, SOURCE)
    first, second = check("dialer01"), check("dialer02")
    mux.receive_burst(base, first + second, len(first), SOURCE)
    mux.receive_burst(base, check("dialer03"), len(first), SOURCE)
    assert list(taken) == [(channels, 8, SOURCE)]
    assert [session.remote_ufrag for session in met] == ["dialer01", "dialer02", "dialer03"]
    assert mux.dropped == {"empty": 1}
    # One socket's bursts may hold both.
    allocate = turn_message(Method.ALLOCATE, Class.REQUEST)
    mux.receive_burst(base, allocate + channels[:8], len(allocate), SOURCE)
    assert list(taken)[1:] == [(allocate, len(allocate), SOURCE), (channels[:8], 8, SOURCE)]
    mux.on_turn = None
    mux.receive_burst(base, channels, 8, ("192.0.2.99", 1))
    assert mux.dropped["stranger"] == 3
    sock.close()
    mux.close()


def reached(mux: Mux) -> list[tuple[int, tuple[str, int]]]:
    """Where strangers got in, from now on."""
    found = list[tuple[int, tuple[str, int]]]()
    mux.on_reached = lambda base, source: found.append((base.id, source))
    return found


async def test_a_check_that_gets_in_by_itself_shows_that_we_can_be_reached() -> None:
    mux, base, met = make()
    found = reached(mux)
    mux.receive(base, check("dialer00", password="x" * 22), SOURCE)
    assert found == []
    for _ in range(3):
        mux.receive(base, check("dialer01"), SOURCE)
    assert (len(met), found) == (1, [(1, SOURCE)])
    # A session that signaling began shows it as well, as long as we knew nothing of that place.
    mux.receive(base, check("dialer01", password="x" * 22), ("192.0.2.98", 1))
    mux.receive(base, check("dialer01"), ("192.0.2.99", 1))
    mux.receive(base, check("dialer01"), (SOURCE[0], 1))
    assert found[1:] == [(1, ("192.0.2.99", 1)), (1, (SOURCE[0], 1))]
    mux.close()


async def test_what_our_own_packets_let_in_shows_nothing() -> None:
    mux, base, met = make()
    found = reached(mux)
    mux.spoke_to(Transmit(1, b"", SOURCE))
    mux.receive(base, check("dialer01"), SOURCE)
    assert (len(met), found) == (1, [])
    # Nor does a packet that our own router turned round.
    mux.receive(base, check("dialer02"), (HOST_CANDIDATE.address, 9))
    assert (len(met), found) == (2, [])
    mux.close()


async def test_what_a_relay_lets_in_shows_nothing() -> None:
    mux, _, met = make()
    base = Wire(2)
    base.candidate = Candidate.from_sdp("f 1 udp 1000 192.0.2.1 50000 typ relay raddr 0.0.0.0 rport 9")
    mux.add_base(base)
    found = reached(mux)
    mux.receive(base, check("dialer01"), SOURCE)
    assert (len(met), found) == (1, [])
    mux.close()


async def test_checks_that_we_sent_are_remembered() -> None:
    mux, base, _ = make()
    session = mux.dial(IceCredentials("OwnUfrag", "p" * 22), IceCredentials("TheirUfrag", "q" * 22), controlling=True)
    session.add_remote(Candidate.from_sdp(f"f 1 udp 1000 {SOURCE[0]} {SOURCE[1]} typ host"))
    await until(lambda: base.sent)
    found = reached(mux)
    mux.receive(base, check("dialer01"), SOURCE)
    assert found == []
    mux.close()


async def test_a_base_of_one_session_is_no_other_sessions() -> None:
    mux, _, _ = make()
    one = mux.dial(IceCredentials("one", "o" * 22), LOCAL, controlling=True)
    own = Wire(7)
    own.shared = False
    mux.add_base_of(one, own)
    other = mux.dial(IceCredentials("other", "o" * 22), LOCAL, controlling=True)
    there = Candidate.from_sdp("f 1 udp 1 192.0.2.9 9 typ host")
    for session in (one, other):
        session.add_remote(there)
    assert {pair.base for pair in one.report()} == {1, 7}
    assert {pair.base for pair in other.report()} == {1}
    released: list[IceSession] = []
    mux.on_release = released.append
    mux.close()
    assert set(released) == {one, other}
