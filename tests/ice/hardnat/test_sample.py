"""Ports of fresh sockets, as a STUN server sees them."""

from __future__ import annotations

from atmosphere.ice.hardnat.allocation import allocation_of
from atmosphere.ice.hardnat.sample import SAMPLES, sample_ports
from atmosphere.mesh import wire
from tests.ice.hardnat.stun import FakeStun


async def test_the_ports_come_in_order() -> None:
    server = FakeStun()
    server.spoils = True
    try:
        given = await sample_ports("127.0.0.1", server.address)
    finally:
        server.close()
    assert [public for _, public in given] == [4000 + number for number in range(SAMPLES)]
    assert allocation_of(given).step == 1
    assert len({local for local, _ in given}) == SAMPLES


async def test_a_lost_answer_is_asked_for_again() -> None:
    server = FakeStun()
    server.drops = lambda number: number == 2
    try:
        given = await sample_ports("127.0.0.1", server.address)
    finally:
        server.close()
    assert len(given) == SAMPLES
    assert server.asked == SAMPLES + 1


async def test_what_is_never_answered_is_left_out() -> None:
    server = FakeStun()
    server.drops = lambda number: number % SAMPLES == 3
    try:
        given = await sample_ports("127.0.0.1", server.address, patience=0.1)
    finally:
        server.close()
    assert [public for _, public in given] == [4000, 4001, 4003, 4004, 4005]


async def test_port_0_is_a_lie_that_no_peer_would_take_from_us() -> None:
    server = FakeStun(lambda number: 4000 + number if number else 0)
    try:
        given = await sample_ports("127.0.0.1", server.address, patience=0.1)
    finally:
        server.close()
    ports = [public for _, public in given]
    assert ports == [4001, 4002, 4003, 4004, 4005]
    wire.decode(wire.encode(wire.Punch("ready", 1, "ufrag", ports=ports)))


async def test_without_a_socket_there_is_nothing() -> None:
    assert await sample_ports("192.0.2.1", ("192.0.2.2", 3478)) == []
