from __future__ import annotations

import errno

import pytest

from atmosphere.stun.message import Class, Message, Method
from atmosphere.turn.server.allocate import wish
from atmosphere.turn.server.errors import TurnError
from atmosphere.turn.server.settings import TurnSettings
from tests.turn.server.script import (
    IPV4,
    IPV6,
    LOCAL,
    LOCAL6,
    PEER,
    PUBLIC,
    PUBLIC6,
    SETTINGS,
    UDP,
    World,
    code,
)


@pytest.fixture
def world() -> World:
    return World()


TOKEN = b"12345678"
REFUSED = [
    ({}, 400),
    ({"REQUESTED-TRANSPORT": 6 << 24}, 442),
    ({"REQUESTED-TRANSPORT": UDP, "DONT-FRAGMENT": None}, 420),
    ({"REQUESTED-TRANSPORT": UDP, "REQUESTED-ADDRESS-FAMILY": IPV6, "ADDITIONAL-ADDRESS-FAMILY": IPV6}, 400),
    ({"REQUESTED-TRANSPORT": UDP, "REQUESTED-ADDRESS-FAMILY": 3 << 24}, 440),
    ({"REQUESTED-TRANSPORT": UDP, "ADDITIONAL-ADDRESS-FAMILY": IPV4}, 400),
    ({"REQUESTED-TRANSPORT": UDP, "ADDITIONAL-ADDRESS-FAMILY": IPV6, "EVEN-PORT": 0x80}, 400),
    ({"REQUESTED-TRANSPORT": UDP, "RESERVATION-TOKEN": TOKEN, "EVEN-PORT": 0}, 400),
    ({"REQUESTED-TRANSPORT": UDP, "RESERVATION-TOKEN": TOKEN, "REQUESTED-ADDRESS-FAMILY": IPV4}, 400),
    ({"REQUESTED-TRANSPORT": UDP, "RESERVATION-TOKEN": TOKEN, "ADDITIONAL-ADDRESS-FAMILY": IPV6}, 400),
]


@pytest.mark.parametrize(("attributes", "expected"), REFUSED)
def test_what_is_refused(attributes: dict[str, object], expected: int) -> None:
    with pytest.raises(TurnError) as caught:
        wish(Message(Method.ALLOCATE, Class.REQUEST, attributes=dict(attributes)), dont_fragment=False)
    assert caught.value.code == expected


def test_what_cannot_be_sent_whole_is_named(world: World) -> None:
    assert world.client(port=1).allocate(dont_fragment=None).message_class is Class.RESPONSE
    world = World()
    world.core.allocator._dont_fragment = False
    answer = world.client().allocate(dont_fragment=None)
    assert (code(answer), answer.attributes["UNKNOWN-ATTRIBUTES"]) == (420, (0x001A,))


def test_a_family_that_is_not_relayed_is_440() -> None:
    only4 = World(TurnSettings(addresses={LOCAL: PUBLIC}))
    assert code(only4.client().allocate(requested_address_family=IPV6)) == 440
    only6 = World(TurnSettings(addresses={LOCAL6: PUBLIC6}))
    assert code(only6.client().allocate()) == 440
    assert only6.core.quotas.total == 0


@pytest.mark.parametrize("name", ["additional_address_family", "additional_address_family_old"])
def test_both_families_at_once(world: World, name: str) -> None:
    client = world.client()
    answer = client.allocate(**{name: IPV6})
    assert answer.message_class is Class.RESPONSE
    assert client.flow.allocation is not None
    hosts = {one.address[0] for one in client.flow.allocation.relayed.values()}
    assert hosts == {PUBLIC, PUBLIC6}
    assert "ADDRESS-ERROR-CODE" not in answer.attributes
    client.permit(("203.0.113.9", 1), ("2001:db8:9::9", 1))
    for relay, peer in zip(world.host.relays, (("203.0.113.9", 1), ("2001:db8:9::9", 1)), strict=True):
        client.send(b"x", peer)
        assert relay.sent == [([b"x"], peer, False)]
    client.ask(Method.REFRESH, {"LIFETIME": 0})
    assert world.host.living == []


def test_both_relayed_addresses_are_told(world: World) -> None:
    client = world.client()
    client.say(bytes(client.signed(Method.ALLOCATE, {"REQUESTED-TRANSPORT": UDP, "ADDITIONAL-ADDRESS-FAMILY": IPV6})))
    (data,) = client.heard()
    assert data.count(b"\x00\x16\x00\x08\x00\x01") == data.count(b"\x00\x16\x00\x14\x00\x02") == 1


def test_one_family_of_two_is_a_success_with_a_note() -> None:
    world = World(TurnSettings(addresses={LOCAL: PUBLIC}))
    client = world.client()
    client.say(bytes(client.signed(Method.ALLOCATE, {"REQUESTED-TRANSPORT": UDP, "ADDITIONAL-ADDRESS-FAMILY": IPV6})))
    (data,) = client.heard()
    assert b"\x80\x01" in data
    assert bytes([2, 0, 4, 40]) in data  # ADDRESS-ERROR-CODE: IPv6, 440
    assert client.flow.allocation is not None
    world.core.close()
    world.host.broken = errno.EMFILE
    assert code(world.client(port=6000).allocate(additional_address_family=IPV6)) == 440
    assert world.core.quotas.total == 0


def test_an_even_port_and_the_next_one_kept(world: World) -> None:
    client = world.client()
    answer = client.allocate(even_port=0x80)
    port = answer.attributes["XOR-RELAYED-ADDRESS"][1]
    token = answer.attributes["RESERVATION-TOKEN"]
    assert port % 2 == 0
    assert [relay.port for relay in world.host.living] == [port, port + 1]
    kept = world.host.relays[1]
    kept.arrives(("203.0.113.9", 1), b"nobody is here yet", now=world.now)
    second = world.client(port=5001)
    answer = second.allocate(reservation_token=token)
    assert answer.attributes["XOR-RELAYED-ADDRESS"][1] == port + 1
    assert code(world.client(port=5002).allocate(reservation_token=token)) == 508
    assert world.core.quotas.total == 2
    world.core.close()
    assert (world.core.quotas.total, world.host.living) == (0, [])


def test_a_reservation_lasts_thirty_seconds_and_is_its_users(world: World) -> None:
    token = world.client().allocate(even_port=0x80).attributes["RESERVATION-TOKEN"]
    ben = world.client(port=5001)
    ben.user, ben.password = "ben", "other"
    assert code(ben.allocate(reservation_token=token)) == 508
    world.passes(31)
    assert len(world.host.living) == 1
    assert code(world.client(port=5002).allocate(reservation_token=token)) == 508


def test_an_even_port_alone(world: World) -> None:
    answer = world.client().allocate(even_port=0)
    assert answer.attributes["XOR-RELAYED-ADDRESS"][1] % 2 == 0
    assert "RESERVATION-TOKEN" not in answer.attributes


def test_quotas_are_486_and_a_full_server_508() -> None:
    world = World(TurnSettings(addresses=SETTINGS.addresses, allocations=3, allocations_per_user=2))
    first = world.client(port=1)
    first.allocated()
    assert world.client(port=2).allocate().message_class is Class.RESPONSE
    assert code(world.client(port=3).allocate()) == 486
    ben = world.client(port=4)
    ben.user, ben.password = "ben", "other"
    assert code(ben.allocate(even_port=0x80)) == 508
    ben.allocated()
    assert code(world.client(port=5).allocate()) == 508
    first.ask(Method.REFRESH, {"LIFETIME": 0})
    assert world.client(port=6).allocate().message_class is Class.RESPONSE
    assert (world.count("refused_quota"), world.count("refused_capacity")) == (1, 2)


def test_an_address_has_a_quota_and_a_reservation_moves_with_its_user() -> None:
    world = World(TurnSettings(addresses=SETTINGS.addresses, allocations_per_address=2))
    token = world.client(port=1).allocate(even_port=0x80).attributes["RESERVATION-TOKEN"]
    assert code(world.client(port=2).allocate()) == 486
    for port in (1, 2):
        assert world.client("203.0.113.2", port).allocate().message_class is Class.RESPONSE
    assert code(world.client("203.0.113.2", 3).allocate(reservation_token=token)) == 486
    assert world.core.quotas.total == 3
    assert world.client(port=4).allocate().message_class is Class.RESPONSE


def test_nothing_is_left_of_a_pair_that_failed() -> None:
    world = World(TurnSettings(addresses=SETTINGS.addresses, min_port=50000, max_port=50001))
    world.host.taken = {50001}
    assert code(world.client().allocate(even_port=0x80)) == 508
    assert (world.core.quotas.total, world.host.living) == (0, [])
    assert world.client().allocate().message_class is Class.RESPONSE
    assert code(world.client(port=2).allocate()) == 508


def test_a_reservation_that_moves_does_not_forgive_what_was_used() -> None:
    world = World(TurnSettings(addresses=SETTINGS.addresses, bytes_per_second=1000))
    client = world.client(port=1)
    token = client.allocate(even_port=0x80).attributes["RESERVATION-TOKEN"]
    client.permit(PEER)
    client.send(bytes(10_000))
    client.ask(Method.REFRESH, {"LIFETIME": 0})
    second = world.client(port=2)
    assert second.allocate(reservation_token=token).message_class is Class.RESPONSE
    second.permit(PEER)
    second.send(b"x")
    assert world.count("dropped_rate") == 1
