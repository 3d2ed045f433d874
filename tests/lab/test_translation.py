"""The NAT's table against RFC 4787: every mapping, filter and allocation, timeouts, strays."""

from __future__ import annotations

import random

import pytest

from tests.lab.translation import DEPENDENCES, EVERY_KIND, FIRST_PORT, LAST_PORT, Mapping, NatKind, Table

INSIDE = ("192.168.1.10", 7777)
SERVER = ("198.51.100.10", 3478)
OTHER_PORT = ("198.51.100.10", 3479)
OTHER_HOST = ("198.51.100.11", 3478)


def table(name: str, **changes: object) -> Table:
    kind = NatKind.parse(name)
    return Table(NatKind(kind.mapping, kind.filtering, kind.allocation, **changes), random.Random(5))  # type: ignore[arg-type]


def sent(nat: Table, *destinations: tuple[str, int], inside: tuple[str, int] = INSIDE, now: float = 0.0) -> list[int]:
    """The outside ports that packets to `destinations` leave from."""
    ports = [nat.outbound("udp", inside, destination, now) for destination in destinations]
    assert all(port is not None for port in ports)
    return [port or 0 for port in ports]


@pytest.mark.parametrize("kind", EVERY_KIND, ids=str)
def test_names_are_read_back(kind: NatKind) -> None:
    assert NatKind.parse(str(kind)) == kind


@pytest.mark.parametrize("name", ["", "EI", "EI-EI", "EI-EI-odd", "XX-EI-random", "EI-EI-random-more"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not a"):
        NatKind.parse(name)


@pytest.mark.parametrize("kind", EVERY_KIND, ids=str)
def test_a_mapping_depends_on_what_it_is_said_to(kind: NatKind) -> None:
    nat = Table(kind, random.Random(7))
    one, port, host, again = sent(nat, SERVER, OTHER_PORT, OTHER_HOST, SERVER)
    assert one == again
    assert (one == port) is (kind.mapping != "address-and-port-dependent")
    assert (one == host) is (kind.mapping == "endpoint-independent")
    assert len(nat) == 1 + DEPENDENCES.index(kind.mapping)


@pytest.mark.parametrize("kind", EVERY_KIND, ids=str)
def test_a_filter_looks_at_what_it_is_said_to(kind: NatKind) -> None:
    nat = Table(kind, random.Random(7))
    (port,) = sent(nat, SERVER)
    passed = [nat.inbound("udp", source, port, 0.0) for source in (SERVER, OTHER_PORT, OTHER_HOST)]
    strict = DEPENDENCES.index(kind.filtering)
    assert passed == [INSIDE, INSIDE if strict < 2 else None, INSIDE if strict < 1 else None]


def test_a_preserved_port_is_the_inside_port_or_the_next_free_one() -> None:
    nat = table("APD-APD-preserved")
    assert sent(nat, SERVER, OTHER_HOST) == [7777, 7778]
    assert sent(nat, SERVER, inside=("192.168.1.11", 7777)) == [7779]
    assert sent(nat, SERVER, inside=("192.168.1.11", 80)) == [FIRST_PORT]


def test_sequential_ports_follow_each_other_whoever_asks() -> None:
    nat = table("APD-APD-sequential", step=2)
    first, second = sent(nat, SERVER, OTHER_HOST)
    (third,) = sent(nat, SERVER, inside=("192.168.1.11", 7777))
    assert (second - first, third - second) == (2, 2)


def test_sequential_ports_begin_anew_after_the_last() -> None:
    nat = table("APD-APD-sequential")
    nat._last = LAST_PORT - 1
    assert sent(nat, SERVER, OTHER_HOST) == [LAST_PORT, FIRST_PORT]


def test_random_ports_are_spread() -> None:
    nat = table("APD-APD-random")
    ports = sent(nat, *((f"198.51.100.{number}", 1) for number in range(200)))
    assert len(set(ports)) == 200
    assert max(ports) - min(ports) > 50_000


def test_protocols_do_not_share_ports() -> None:
    nat = table("EI-EI-preserved")
    assert [nat.outbound(protocol, INSIDE, SERVER, 0.0) for protocol in ("udp", "tcp", "icmp")] == [7777] * 3
    assert nat.inbound("tcp", SERVER, 7777, 0.0) == INSIDE
    assert table("EI-EI-preserved").inbound("tcp", SERVER, 7777, 0.0) is None


def test_an_unused_mapping_is_gone_after_its_timeout() -> None:
    nat = table("EI-EI-random", timeout=30.0)
    (port,) = sent(nat, SERVER)
    assert nat.inbound("udp", SERVER, port, 30.0) == INSIDE
    assert nat.inbound("udp", SERVER, port, 60.0) == INSIDE  # each packet counts, whichever way it goes
    assert nat.inbound("udp", SERVER, port, 90.5) is None
    assert nat.owner("udp", port, 90.5) is None
    assert sent(nat, SERVER, now=90.5) != [port]
    assert len(nat) == 1


def test_a_filters_memory_is_as_long_as_the_mappings() -> None:
    nat = table("EI-APD-preserved", timeout=30.0)
    sent(nat, SERVER)
    sent(nat, OTHER_HOST, now=29.0)
    assert nat.inbound("udp", SERVER, 7777, 31.0) is None
    assert nat.inbound("udp", OTHER_HOST, 7777, 31.0) == INSIDE


def test_a_port_whose_mapping_timed_out_is_free() -> None:
    nat = table("EI-EI-preserved", timeout=30.0)
    sent(nat, SERVER)
    assert sent(nat, SERVER, inside=("192.168.1.11", 7777), now=31.0) == [7777]


def test_expiring_gives_the_memory_back() -> None:
    nat = table("EI-EI-preserved", timeout=30.0)
    sent(nat, SERVER)
    nat.expire(30.0)
    assert len(nat) == 1
    nat.expire(30.1)
    assert len(nat) == 0


def test_strays_leave_no_trace() -> None:
    nat = table("EI-APD-preserved")
    assert nat.inbound("udp", SERVER, 7777, 0.0) is None
    assert len(nat) == 0
    assert sent(nat, SERVER) == [7777]
    assert nat.inbound("udp", OTHER_HOST, 7777, 0.0) is None
    assert nat.inbound("udp", OTHER_HOST, 7777, 0.0) is None


def test_a_restart_forgets_everything() -> None:
    nat = table("EI-EI-sequential")
    (port,) = sent(nat, SERVER)
    nat.forget()
    assert nat.inbound("udp", SERVER, port, 0.0) is None
    assert sent(nat, SERVER) != [port]


def test_when_no_port_is_free_there_is_no_mapping() -> None:
    nat = table("APD-APD-preserved", timeout=30.0)
    for number in range(LAST_PORT - FIRST_PORT + 1):
        nat._by_port["udp", FIRST_PORT + number] = nat._by_port.get(("udp", 7777)) or _mapped(nat)
    assert nat.outbound("udp", INSIDE, OTHER_HOST, 1.0) is None
    sequential = table("APD-APD-sequential")
    sequential._by_port = nat._by_port
    assert sequential.outbound("udp", INSIDE, OTHER_HOST, 1.0) is None


def _mapped(nat: Table) -> Mapping:
    sent(nat, SERVER)
    return nat._by_port["udp", 7777]


def test_an_icmp_error_comes_from_anybody() -> None:
    nat = table("EI-APD-preserved")
    sent(nat, SERVER)
    assert nat.owner("udp", 7777, 0.0) == INSIDE
    assert nat.owner("udp", 7778, 0.0) is None
