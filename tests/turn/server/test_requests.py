"""What the scripts of test_core leave: tables that are full."""

from __future__ import annotations

import pytest

from atmosphere.stun.integrity import sha256_code
from atmosphere.stun.message import Class, Method
from atmosphere.turn.server.settings import TurnSettings
from tests.turn.server.script import NUMBER, PEER, SETTINGS, World, channel_data, code, several_peers


@pytest.fixture
def world() -> World:
    return World(TurnSettings(addresses=SETTINGS.addresses, permissions=2, channels=2))


def test_too_many_permissions_are_508_until_old_ones_end(world: World) -> None:
    client = world.client()
    client.allocate(lifetime=3600)
    assert client.permit(("203.0.113.1", 1), ("203.0.113.2", 1)).message_class is Class.RESPONSE
    assert code(client.permit(("203.0.113.3", 1))) == 508
    assert client.permit(("203.0.113.2", 9)).message_class is Class.RESPONSE
    assert code(client.bind(NUMBER, ("203.0.113.3", 1))) == 508
    client.say(channel_data(NUMBER, b"not bound"))
    assert world.count("dropped_channel") == 1
    world.passes(301)
    assert client.permit(("203.0.113.3", 1)).message_class is Class.RESPONSE


def test_too_many_channels_are_508(world: World) -> None:
    client = world.client()
    client.allocated()
    for number in (0, 1):
        assert client.bind(NUMBER + number, (PEER[0], number + 1)).message_class is Class.RESPONSE
    assert code(client.bind(NUMBER + 2, (PEER[0], 3))) == 508


def test_a_peer_address_that_cannot_be_read_is_400(world: World) -> None:
    client = world.client()
    client.allocated()
    # Of several peers the codec reads the first; this second one has a family that there is not.
    data = bytearray(bytes(client.signed(Method.CREATE_PERMISSION, several_peers((PEER, PEER)))))
    assert (bytes(data[32:34]), data[37]) == (b"\x00\x12", 1)
    data[37] = 9
    assert client.challenge is not None
    client.say(signed_again(bytes(data), client.challenge.key("anna", "secret")))
    assert code(client.answers()[0]) == 400


def signed_again(data: bytes, key: bytes) -> bytes:
    """`data` with its MESSAGE-INTEGRITY-SHA256 made right, and without FINGERPRINT."""
    end = len(data) - 8 - 36
    body = data[:2] + (end + 36 - 20).to_bytes(2) + data[4:end]
    return body + b"\x00\x1c\x00\x20" + sha256_code(body, key)
