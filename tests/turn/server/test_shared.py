"""One relayed port for all: whose peer is it?"""

from __future__ import annotations

import errno

import pytest

from atmosphere.stun.message import Class, Method
from atmosphere.turn.server import shared
from atmosphere.turn.server.settings import TurnSettings
from tests.turn.server.script import IPV6, NUMBER, PEER, PUBLIC, SETTINGS, Client, PaperRelay, World, channel_data, code

PORT = 3479
SHARED = (PUBLIC, PORT)


@pytest.fixture
def world() -> World:
    return World(TurnSettings(addresses=SETTINGS.addresses, single_relay_port=PORT))


def clients(world: World, count: int = 2) -> list[Client]:
    made = [world.client(port=number + 1) for number in range(count)]
    for client in made:
        assert client.allocate(lifetime=3600).attributes["XOR-RELAYED-ADDRESS"] == SHARED
    return made


def relay(world: World) -> PaperRelay:
    return next(one for one in world.host.relays if one.local == "192.0.2.1")


def test_one_socket_for_all(world: World) -> None:
    anna, _ = clients(world)
    assert len(world.host.living) == 2  # one of each family, from the start
    anna.ask(Method.REFRESH, {"LIFETIME": 0})
    assert len(world.host.living) == 2
    world.core.close()
    assert world.host.living == []


def test_who_permitted_first_hears_a_peer_that_nobody_has_spoken_to(world: World) -> None:
    anna, ben = clients(world)
    relay(world).arrives(PEER, b"nobody", now=world.now)
    ben.permit(PEER)
    anna.permit(PEER)
    relay(world).arrives(PEER, b"x", now=world.now)
    assert (len(anna.heard()), len(ben.heard())) == (0, 1)
    world.core.close_flow(ben.flow)
    relay(world).arrives(PEER, b"x", now=world.now)
    assert len(anna.heard()) == 1


def test_who_sends_first_has_the_peer_as_long_as_it_permits_it(world: World) -> None:
    anna, ben = clients(world)
    ben.permit(PEER)
    anna.permit(PEER)
    anna.send(b"mine")
    ben.send(b"mine too")
    relay(world).arrives(PEER, b"x", now=world.now)
    assert (len(anna.heard()), len(ben.heard())) == (1, 0)
    assert world.count("dropped_claimed") == 1
    assert code(ben.bind(peer=PEER)) == 403
    assert ben.bind(peer=(PEER[0], 1)).message_class is Class.RESPONSE
    relay(world).arrives((PEER[0], 1), b"x", now=world.now)
    assert (len(anna.heard()), len(ben.heard())) == (0, 1)
    world.passes(301)
    ben.permit(PEER)
    ben.send(b"now mine")
    relay(world).arrives(PEER, b"x", now=world.now)
    assert (len(anna.heard()), len(ben.heard())) == (0, 1)


def test_a_channel_has_its_peer_alone(world: World) -> None:
    anna, ben = clients(world)
    anna.bind(peer=PEER)
    assert code(ben.bind(peer=PEER)) == 403
    anna.ask(Method.REFRESH, {"LIFETIME": 0})
    assert ben.bind(peer=PEER).message_class is Class.RESPONSE


def test_two_allocations_are_paired_and_a_third_waits(world: World) -> None:
    anna, ben, cleo, dora = clients(world, 4)
    for client in (anna, ben, cleo, dora):
        assert client.bind(NUMBER, SHARED).message_class is Class.RESPONSE
    anna.say(channel_data(NUMBER, b"lost: nobody is there yet"))
    anna.say(channel_data(NUMBER, b"and not to myself"))
    ben.say(channel_data(NUMBER, b"hello anna"))
    assert anna.heard() == [channel_data(NUMBER, b"hello anna")]
    anna.say(channel_data(NUMBER, b"hello ben"))
    assert ben.heard() == [channel_data(NUMBER, b"hello ben")]
    cleo.say(channel_data(NUMBER, b"anybody?"))
    dora.say(channel_data(NUMBER, b"me"))
    assert cleo.heard() == [channel_data(NUMBER, b"me")]
    assert (anna.heard(), ben.heard(), dora.heard()) == ([], [], [])
    world.core.close_flow(ben.flow)
    anna.say(channel_data(NUMBER, b"alone again"))
    assert relay(world).sent == []


def test_a_partner_that_stops_permitting_is_given_up(world: World) -> None:
    anna, ben, cleo = clients(world, 3)
    anna.permit(SHARED)
    ben.permit(SHARED)
    anna.send(b"waits", SHARED)
    ben.send(b"paired", SHARED)
    assert len(anna.heard()) == 1
    world.passes(200)
    anna.permit(SHARED)
    cleo.permit(SHARED)
    world.passes(150)
    cleo.send(b"waits", SHARED)
    anna.send(b"to cleo", SHARED)
    assert (len(ben.heard()), len(cleo.heard())) == (0, 1)


def test_a_waiting_one_that_stopped_permitting_is_passed_over(world: World) -> None:
    anna, ben = clients(world)
    anna.permit(SHARED)
    anna.send(b"waits", SHARED)
    world.passes(301)
    ben.permit(SHARED)
    ben.send(b"nobody", SHARED)
    assert anna.heard() == []


def test_claims_and_permissions_are_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "MAX_CLAIMS", 3)
    monkeypatch.setattr(shared, "MAX_PERMITTED", 2)
    anna, _ = clients(world)
    anna.permit(PEER)
    for port in range(1, 10):
        anna.send(b"x", (PEER[0], port))
    one = world.core._opener._shared["192.0.2.1"]
    assert len(one._claims) == 3
    assert len(one) == 2
    for number in range(20):
        anna.permit((f"203.0.113.{number}", 1))
        world.passes(200)
    assert len(one._hosts) <= 4
    world.core.close()
    assert (one._claims, one._hosts, one._permitted) == ({}, {}, {})


def test_a_channel_that_is_refused_leaves_the_peer_to_others() -> None:
    world = World(TurnSettings(addresses=SETTINGS.addresses, single_relay_port=PORT, permissions=1))
    anna, ben = clients(world)
    anna.permit(("203.0.113.77", 1))
    assert code(anna.bind(peer=PEER)) == 508
    world.passes(301)
    assert anna.permit((PEER[0], 1)).message_class is Class.RESPONSE
    assert ben.bind(peer=PEER).message_class is Class.RESPONSE


def test_what_one_port_cannot_be(world: World) -> None:
    assert code(world.client().allocate(even_port=0)) == 508
    assert code(world.client().allocate(even_port=0x80)) == 508
    answer = world.client().allocate(requested_address_family=IPV6)
    assert answer.attributes["XOR-RELAYED-ADDRESS"][1] == PORT


def test_it_is_opened_later_where_an_address_comes_later() -> None:
    world = World(TurnSettings(single_relay_port=PORT))
    world.core.move(SETTINGS.addresses, {})
    world.host.broken = errno.EMFILE
    assert code(world.client().allocate()) == 508
    world.host.broken = None
    assert world.client().allocate().message_class is Class.RESPONSE
