"""No reflection: whatever a source sends, it is answered with no more bytes than it sent, plus one small burst."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from atmosphere.stun.message import Class, Message, Method
from atmosphere.turn.server.guard import ReflectionGuard
from atmosphere.turn.server.settings import TurnSettings
from tests.turn.server.script import SETTINGS, UDP, World

HOST = "203.0.113.1"


@given(st.lists(st.tuples(st.integers(0, 1500), st.integers(0, 1500), st.floats(0, 100))))
def test_the_bound_holds(exchanges: list[tuple[int, int, float]]) -> None:
    guard = ReflectionGuard(burst=2000, rate=1e9, size=10)
    received = answered = 0
    now = 0.0
    for request, answer, wait in exchanges:
        now += wait
        received += request
        answered += answer if guard.permits(HOST, request, answer, now) else 0
        assert answered <= received + 2000


def test_a_first_allocate_is_answered_and_a_flood_of_them_is_not_amplified() -> None:
    world = World()
    client = world.client()
    request = bytes(Message(Method.ALLOCATE, Class.REQUEST, attributes={"REQUESTED-TRANSPORT": UDP}))
    assert len(request) == 28
    client.say(request)
    (answer,) = client.heard()
    assert len(answer) <= 120
    received, answered = len(request), len(answer)
    for _ in range(5000):
        client.say(request)
        received += len(request)
    answered += sum(map(len, client.heard()))
    assert received < answered <= received + 2000
    assert world.count("unanswered") > 3000


def test_other_ways_to_be_answered_do_not_help() -> None:
    world = World()
    client = world.client()
    forged = Message(Method.REFRESH, Class.REQUEST, attributes={"USERNAME": "a", "REALM": "b", "NONCE": b"c"})
    forged.add_message_integrity(b"key")
    incomplete = Message(Method.REFRESH, Class.REQUEST)
    incomplete.add_message_integrity(b"key")
    received = 0
    for _ in range(2000):
        for message in (forged, incomplete):
            client.say(bytes(message))
            received += len(bytes(message))
    assert sum(map(len, client.heard())) <= received + 2000


def test_a_source_that_shows_its_nonce_is_not_held_back() -> None:
    world = World()
    for number in range(200):  # of one address, as behind a NAT
        client = world.client(port=1000 + number)
        client.user, client.password = "nobody", "x"
        assert client.ask(Method.ALLOCATE, {"REQUESTED-TRANSPORT": UDP}).error_code == 401
        if number % 40 == 39:
            world.passes(10)


def test_many_sources_are_bounded_together() -> None:
    guard = ReflectionGuard(burst=2000, rate=1000, size=4)
    answered = [guard.permits(f"203.0.113.{number}", 30, 100, 0.0) for number in range(100)]
    assert sum(answered) == 14  # 70 bytes of excess each, of 1,000
    assert len(guard) == 4
    assert guard.permits("203.0.113.200", 30, 100, 1.0)
    guard.proved("203.0.113.200")
    assert len(guard) == 3


def test_connections_have_no_such_bound() -> None:
    world = World(TurnSettings(addresses=SETTINGS.addresses, unproven_bytes=0))
    request = bytes(Message(Method.ALLOCATE, Class.REQUEST))
    over_udp, over_tcp = world.client(), world.client(transport="tcp")
    for client in (over_udp, over_tcp):
        client.say(request)
    assert (len(over_udp.heard()), len(over_tcp.heard())) == (0, 1)


def test_a_flood_of_forged_sources_does_not_keep_new_clients_out() -> None:
    world = World()
    request = bytes(Message(Method.ALLOCATE, Class.REQUEST, attributes={"REQUESTED-TRANSPORT": UDP}))
    answered = 0
    for number in range(5_000):  # 140 kB of requests, within one second
        client = world.client(f"203.0.{number >> 8}.{number & 0xFF}")
        client.say(request)
        answered += sum(map(len, client.heard()))
    assert answered <= 5_000 * len(request) + world.core.settings.unproven_bytes_per_second
    assert world.client("198.51.100.77").allocate().message_class is Class.RESPONSE
