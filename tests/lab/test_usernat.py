"""The router in user space: what becomes of whole packets."""

from __future__ import annotations

import random

from tests.lab import packets
from tests.lab.test_packets import echo, error, tcp, udp
from tests.lab.translation import NatKind, Table
from tests.lab.usernat import INSIDE, OUTSIDE, Translator

HOST, OTHER, SERVER = ("192.168.1.10", 7777), ("192.168.1.11", 8888), ("198.51.100.10", 3478)
PUBLIC = "198.51.100.20"


def translator(name: str = "EI-APD-preserved", hairpin: bool = False) -> Translator:
    kind = NatKind.parse(name)
    return Translator(PUBLIC, Table(NatKind(kind.mapping, kind.filtering, kind.allocation, hairpin), random.Random(1)))


def hop(packet: bytearray) -> bytearray:
    packets.one_more_hop(packet)
    return packet


def test_there_and_back() -> None:
    nat = translator()
    for make in (udp, tcp):
        assert nat.outgoing(make(HOST, SERVER), 0.0) == (OUTSIDE, hop(make((PUBLIC, 7777), SERVER)))
        assert nat.incoming(make(SERVER, (PUBLIC, 7777)), 0.0) == (INSIDE, hop(make(SERVER, HOST)))
        assert nat.incoming(make(OTHER, (PUBLIC, 7777)), 0.0) is None


def test_an_echo_and_its_answer() -> None:
    nat = translator("APD-APD-sequential")
    out = nat.outgoing(echo(packets.ECHO, HOST[0], SERVER[0], 9), 0.0)
    assert out is not None
    flow = packets.flow_of(out[1])
    assert flow is not None
    answer = echo(packets.ECHO_REPLY, SERVER[0], PUBLIC, flow.source[1])
    assert nat.incoming(answer, 0.0) == (INSIDE, hop(echo(packets.ECHO_REPLY, SERVER[0], HOST[0], 9)))


def test_an_error_finds_who_it_is_for() -> None:
    nat = translator()
    nat.outgoing(udp(HOST, SERVER), 0.0)
    told = error("203.0.113.1", PUBLIC, udp((PUBLIC, 7777), SERVER)[:28])
    assert nat.incoming(told, 0.0) == (INSIDE, hop(error("203.0.113.1", HOST[0], udp(HOST, SERVER)[:28])))
    for stray in (udp((PUBLIC, 9), SERVER), udp(SERVER, (PUBLIC, 7777)), bytes(28)):
        assert nat.incoming(error("203.0.113.1", PUBLIC, bytes(stray)[:28]), 0.0) is None


def test_hairpinning_or_not() -> None:
    nat = translator(hairpin=True)
    nat.outgoing(udp(OTHER, SERVER), 0.0)
    assert nat.outgoing(udp(HOST, (PUBLIC, 8888)), 0.0) is None  # the filter holds inside too
    nat.outgoing(udp(OTHER, (PUBLIC, 7777)), 0.0)
    assert nat.outgoing(udp(HOST, (PUBLIC, 8888)), 0.0) == (INSIDE, hop(udp((PUBLIC, 7777), OTHER)))
    plain = translator("EI-EI-preserved")
    plain.outgoing(udp(OTHER, SERVER), 0.0)
    assert plain.outgoing(udp(HOST, (PUBLIC, 8888)), 0.0) is None


def test_what_is_no_flow_goes_nowhere() -> None:
    nat = translator()
    assert nat.outgoing(bytearray(40), 0.0) is None
    assert nat.incoming(bytearray(40), 0.0) is None


def test_orders() -> None:
    nat = translator("EI-EI-preserved")
    nat.outgoing(udp(HOST, SERVER), 0.0)
    assert nat.obey({"do": "count"}) == 1
    assert nat.obey({"do": "forget"}) == 0
    assert nat.incoming(udp(SERVER, (PUBLIC, 7777)), 0.0) is None
    nat.outgoing(udp(HOST, SERVER), 0.0)
    assert nat.obey({"do": "move", "address": "198.51.100.99"}) == 0
    assert nat.outgoing(udp(HOST, SERVER), 0.0) == (OUTSIDE, hop(udp(("198.51.100.99", 7777), SERVER)))


def test_when_no_port_is_free() -> None:
    nat = translator()
    nat.table._free_port = lambda *_: None  # type: ignore[method-assign]
    assert nat.outgoing(udp(HOST, SERVER), 0.0) is None
