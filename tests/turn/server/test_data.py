"""What the scripts of test_core leave of the data path."""

from __future__ import annotations

from atmosphere.stun.message import Method
from tests.turn.server.script import NUMBER, PEER, PUBLIC, World, channel_data


def test_a_program_of_this_machine_is_reached_by_the_address_it_is_known_by() -> None:
    world = World()
    known, own = (PUBLIC, 7777), ("192.0.2.1", 7777)
    world.core.move({"192.0.2.1": PUBLIC}, {known: own})
    client = world.client()
    relay = client.allocated()
    client.bind(NUMBER, known)
    client.say(channel_data(NUMBER, b"to the program"))
    assert relay.sent == [([b"to the program"], own, False)]
    relay.arrives(own, b"back", now=world.now)
    relay.arrives(("192.0.2.1", 7778), b"another program", now=world.now)
    assert client.heard() == [channel_data(NUMBER, b"back")]


def test_a_burst_of_strangers_is_a_burst_of_indications() -> None:
    world = World()
    client = world.client()
    relay = client.allocated()
    client.permit(PEER)
    relay.arrives(PEER, b"aaaa", b"bbbb", b"c", now=world.now)
    answers = client.answers()
    assert [one.attributes["DATA"] for one in answers] == [b"aaaa", b"bbbb", b"c"]
    assert {one.message_method for one in answers} == {Method.DATA}


def test_a_hairpinned_burst_stays_one_and_its_tail_has_its_length() -> None:
    world = World()
    anna, ben = world.client(port=1), world.client(port=2)
    anna.allocated()
    ben.allocated()
    anna.bind(NUMBER, ben.relayed())
    ben.bind(NUMBER + 1, anna.relayed())
    anna.say(channel_data(NUMBER, b"12345678") * 3 + channel_data(NUMBER, b"tail"), 12)
    assert ben.bursts == [4]
    assert ben.heard() == [channel_data(NUMBER + 1, part) for part in (*[b"12345678"] * 3, b"tail")]
    assert world.count("bytes_inside") == 28
