"""Clients of one relay that share one port on each of its addresses."""

from __future__ import annotations

import pytest

from atmosphere.stun.message import Class, Method
from atmosphere.turn.server.settings import TurnSettings
from tests.turn.server.script import LOCAL, NUMBER, PUBLIC, Client, World, channel_data

PORT = 3479
SECOND_LOCAL, SECOND_PUBLIC = "192.0.2.2", "198.51.100.2"
HERE, THERE = (PUBLIC, PORT), (SECOND_PUBLIC, PORT)


@pytest.fixture
def world() -> World:
    return World(TurnSettings(addresses={LOCAL: PUBLIC, SECOND_LOCAL: SECOND_PUBLIC}, single_relay_port=PORT))


def at(world: World, local: str, port: int) -> Client:
    """A client whose relayed address is on this local one."""
    client = world.client(port=port)
    client.flow.local = (local, 3478)
    assert client.allocate(lifetime=3600).message_class is Class.RESPONSE
    return client


def test_clients_on_two_addresses_reach_each_other(world: World) -> None:
    anna, ben = at(world, LOCAL, 1), at(world, SECOND_LOCAL, 2)
    assert (anna.relayed(), ben.relayed()) == (HERE, THERE)
    assert anna.bind(NUMBER, THERE).message_class is Class.RESPONSE
    assert ben.bind(NUMBER + 1, HERE).message_class is Class.RESPONSE
    anna.say(channel_data(NUMBER, b"lost: nobody is there yet"))
    ben.say(channel_data(NUMBER + 1, b"hello anna"))
    anna.say(channel_data(NUMBER, b"hello ben"))
    assert anna.heard() == [channel_data(NUMBER, b"hello anna")]
    assert ben.heard() == [channel_data(NUMBER + 1, b"hello ben")]
    assert world.count("dropped_nobody") == 1
    assert all(relay.sent == [] for relay in world.host.relays)


def test_one_client_has_a_partner_on_each_address(world: World) -> None:
    anna, ben, cleo = at(world, LOCAL, 1), at(world, SECOND_LOCAL, 2), at(world, LOCAL, 3)
    anna.bind(NUMBER, THERE)
    anna.bind(NUMBER + 1, HERE)
    ben.bind(NUMBER, HERE)
    cleo.bind(NUMBER, HERE)
    for number in (NUMBER, NUMBER + 1):
        anna.say(channel_data(number, b"waits"))
    ben.say(channel_data(NUMBER, b"from there"))
    cleo.say(channel_data(NUMBER, b"from here"))
    assert anna.heard() == [channel_data(NUMBER, b"from there"), channel_data(NUMBER + 1, b"from here")]
    anna.say(channel_data(NUMBER, b"to ben"))
    anna.say(channel_data(NUMBER + 1, b"to cleo"))
    assert ben.heard() == [channel_data(NUMBER, b"to ben")]
    assert cleo.heard() == [channel_data(NUMBER, b"to cleo")]


def test_nothing_is_left_of_who_is_gone(world: World) -> None:
    anna, ben, cleo = at(world, LOCAL, 1), at(world, SECOND_LOCAL, 2), at(world, SECOND_LOCAL, 3)
    anna.permit(THERE)
    for client in (ben, cleo):
        client.permit(HERE)
    anna.send(b"waits", THERE)
    ben.send(b"paired", HERE)
    ben.ask(Method.REFRESH, {"LIFETIME": 0})
    anna.heard()
    anna.send(b"waits again", THERE)
    cleo.send(b"the next", HERE)
    assert [one.attributes["DATA"] for one in anna.answers()] == [b"the next"]
    world.core.close()
    pairs = world.core._opener._pairs
    assert (pairs._waiting, pairs._partners, pairs.addresses) == ({}, {}, set())


def test_two_addresses_seen_as_one() -> None:
    world = World(TurnSettings(addresses={LOCAL: PUBLIC, SECOND_LOCAL: PUBLIC}, single_relay_port=PORT))
    anna, ben = at(world, LOCAL, 1), at(world, SECOND_LOCAL, 2)
    anna.permit(HERE)
    ben.permit(HERE)
    anna.send(b"waits", HERE)
    ben.send(b"paired", HERE)
    assert [one.attributes["DATA"] for one in anna.answers()] == [b"paired"]
