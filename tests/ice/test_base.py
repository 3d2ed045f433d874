"""atmosphere.ice.base."""

from __future__ import annotations

import sys
from dataclasses import replace

from atmosphere.ice.base import reflexive, relay_base, socket_base
from atmosphere.turn.client import Allocation, TurnEndpoint
from atmosphere.turn.uri import Transport
from atmosphere.udp.socket import UdpSocket


async def test_a_socket_and_what_servers_see_of_it() -> None:
    sock = UdpSocket.bind("127.0.0.1")
    base = socket_base(1, sock, 500)
    assert base.candidate.endpoint == ("127.0.0.1", sock.port)
    assert base.candidate.priority >> 24 == 126
    seen = reflexive(base, ("203.0.113.1", 7), ("192.0.2.1", 3478))
    base.reflexive["192.0.2.1", 3478] = seen
    assert base.candidates == [base.candidate, seen]
    assert seen.priority >> 24 == 100
    assert (seen.priority >> 8) & 0xFFFF == 500
    assert (seen.related_address, seen.related_port) == base.candidate.endpoint
    assert seen.foundation != reflexive(base, ("203.0.113.1", 7), ("192.0.2.2", 3478)).foundation
    assert not base.is_relay
    sock.close()


async def test_only_a_socket_of_ours_promises_not_to_fragment() -> None:
    one, other = UdpSocket.bind("127.0.0.1"), UdpSocket.bind("127.0.0.1")
    socket_base(1, one, 500).send_probe(b"probe", (other.address, other.port))
    assert one.sent == (sys.platform == "linux")
    allocation = relay(1, "udp")
    relayed = relay_base(2, allocation)
    relayed.send_probe(b"probe", ("192.0.2.1", 9))
    assert allocation.dropped == 0
    assert relayed.send_burst(b"aabb", 2, 2, ("192.0.2.1", 9)) == 2  # lost, for it is not open
    relayed.when_writable(lambda: None)
    one.close()
    other.close()


def relay(number: int, transport: Transport) -> Allocation:
    allocation = Allocation(TurnEndpoint(("192.0.2.1", 3478), transport))
    allocation.relayed, allocation.mapped = ("192.0.2.1", 50000 + number), ("203.0.113.1", 7)
    return allocation


async def test_a_port_that_the_router_opened_is_one_of_its_candidates() -> None:
    sock = UdpSocket.bind("127.0.0.1")
    base = socket_base(3, sock, 40000)
    base.mapped = replace(base.candidate, address="203.0.113.9", type="srflx")
    assert base.candidates == [base.candidate, base.mapped]
    sock.close()


async def test_relays_over_udp_come_before_tcp_before_tls_before_websocket_before_younger() -> None:
    transports: tuple[Transport, ...] = ("udp", "udp", "tcp", "tls", "ws", "wss")
    bases = [relay_base(number, relay(number, transport)) for number, transport in enumerate(transports, 1)]
    priorities = [base.candidate.priority for base in bases]
    assert priorities == sorted(set(priorities), reverse=True)
    assert all(base.is_relay and base.candidate.is_usable for base in bases)
    assert [base.candidate.relay_protocol for base in bases[3:]] == ["tls", "ws", "ws"]
    assert bases[0].candidate.related_address == "203.0.113.1"


async def test_a_relay_may_hide_the_address_behind_it() -> None:
    base = relay_base(1, relay(1, "udp"), hide=True)
    assert "203.0.113.1" not in base.candidate.to_sdp()
    assert (base.candidate.related_address, base.candidate.related_port) == ("0.0.0.0", 9)
    six = relay(1, "udp")
    six.relayed = ("2001:db8::1", 5)
    assert relay_base(1, six, hide=True).candidate.related_address == "::"
