from __future__ import annotations

import ifaddr
import pytest

from atmosphere.udp import addresses
from atmosphere.udp.addresses import LIMIT, LocalAddress, Quality, choose, every_own_address, local_addresses
from atmosphere.udp.interfaces import quality_of

TEMPORARY, DEPRECATED, TENTATIVE = 0x01, 0x20, 0x40


def at(name: str, address: str) -> LocalAddress:
    return LocalAddress(name, address, 6 if ":" in address else 4, quality_of(name))


def names(found: list[LocalAddress]) -> list[str]:
    return [item.address for item in found]


LOOPBACK = [at("lo", "127.0.0.1"), at("lo", "127.0.0.2"), at("lo", "::1")]


@pytest.mark.parametrize(
    ("name", "found", "flags", "expected"),
    [
        ("nothing", [], {}, []),
        ("loopback only", LOOPBACK, {}, ["::1", "127.0.0.1"]),
        ("loopback is left out", [*LOOPBACK, at("eth0", "192.168.0.2")], {}, ["192.168.0.2"]),
        (
            "the better interface first",
            [at("tun0", "10.8.0.2"), at("wwan0", "10.1.0.2"), at("wlan0", "10.2.0.2"), at("eth0", "10.3.0.2")],
            {},
            ["10.3.0.2", "10.2.0.2", "10.1.0.2", "10.8.0.2"],
        ),
        (
            "public IPv6, IPv4, local IPv6",
            [at("eth0", "fd00::2"), at("eth0", "192.0.2.2"), at("eth0", "2001:db8::2")],
            {},
            ["2001:db8::2", "192.0.2.2", "fd00::2"],
        ),
        ("IPv6 only", [at("eth0", "2001:db8::2"), at("eth0", "fe80::2")], {}, ["2001:db8::2"]),
        ("link-local IPv6 alone", [at("eth0", "fe80::2"), *LOOPBACK], {}, ["::1", "127.0.0.1"]),
        ("a bare cable", [at("eth0", "169.254.3.4"), *LOOPBACK], {}, ["169.254.3.4"]),
        ("a cable beside a network", [at("eth0", "169.254.3.4"), at("wlan0", "10.0.0.2")], {}, ["10.0.0.2"]),
        (
            "stable instead of temporary",
            [at("eth0", "2001:db8::a"), at("eth0", "2001:db8::b")],
            {"2001:db8::a": TEMPORARY},
            ["2001:db8::b"],
        ),
        ("temporary where there is no other", [at("eth0", "2001:db8::a")], {"2001:db8::a": TEMPORARY}, ["2001:db8::a"]),
        (
            "neither deprecated nor tentative",
            [at("eth0", "2001:db8::a"), at("eth0", "2001:db8::b"), at("eth0", "10.0.0.2")],
            {"2001:db8::a": DEPRECATED, "2001:db8::b": TENTATIVE},
            ["10.0.0.2"],
        ),
        ("carrier-grade NAT", [at("eth0", "100.64.1.2")], {}, ["100.64.1.2"]),
        (
            "old notations",
            [at("eth0", "::ffff:10.0.0.1"), at("eth0", "fec0::1"), at("eth0", "2001::5"), at("eth0", "10.0.0.2")],
            {},
            ["10.0.0.2"],
        ),
        ("no duplicates", [at("eth0", "10.0.0.2"), at("eth0", "10.0.0.2")], {}, ["10.0.0.2"]),
    ],
)
def test_choose(name: str, found: list[LocalAddress], flags: dict[str, int], expected: list[str]) -> None:
    assert names(choose(found, flags)) == expected


def test_there_is_a_limit() -> None:
    assert len(choose([at("eth0", f"10.0.0.{n}") for n in range(1, 100)], {})) == LIMIT


def test_a_loopback_address_has_the_lowest_quality() -> None:
    assert choose([at("eth0", "127.0.0.1")], {})[0].quality is Quality.LOOPBACK


def test_this_machine() -> None:
    found = local_addresses()
    assert found, "a machine that runs tests has loopback at least"
    assert names(found) == list(dict.fromkeys(names(found)))
    assert [item.quality for item in found] == sorted((item.quality for item in found), reverse=True)


def test_adapters_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    adapters = [
        ifaddr.Adapter("docker0", "docker0", [ifaddr.IP("172.17.0.1", 16, "docker0")]),
        ifaddr.Adapter("down0", "down0", [ifaddr.IP("10.9.0.2", 24, "down0")]),
        ifaddr.Adapter(
            "eth0", "eth0", [ifaddr.IP("10.0.0.2", 24, "eth0"), ifaddr.IP(("2001:db8::2", 0, 0), 64, "eth0")]
        ),
    ]
    monkeypatch.setattr(ifaddr, "get_adapters", lambda: adapters)
    monkeypatch.setattr(addresses, "_is_up", lambda name: name != "down0")
    assert names(local_addresses()) == ["2001:db8::2", "10.0.0.2"]


def test_every_address_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    many = [f"10.0.0.{number}" for number in range(1, 40)]
    adapters = [
        ifaddr.Adapter("docker0", "docker0", [ifaddr.IP("172.17.0.1", 16, "docker0")]),
        ifaddr.Adapter("eth0", "eth0", [ifaddr.IP(address, 24, "eth0") for address in many]),
        ifaddr.Adapter("down0", "down0", [ifaddr.IP(("2001:db8::2", 0, 3), 64, "down0")]),
    ]
    monkeypatch.setattr(ifaddr, "get_adapters", lambda: adapters)
    assert every_own_address() == {"172.17.0.1", "2001:db8::2", "127.0.0.1", "::1", *many}


def test_the_kernels_ipv6_table() -> None:
    line = "20010db8000000000000000000000002 02 40 00 21 eth0\n"
    assert addresses._ipv6_flags(lambda: line) == {"2001:db8::2": 0x21}
    assert addresses._ipv6_flags(lambda: "zz 02 40 00 21 eth0\n") == {}


def test_other_systems_have_no_such_table() -> None:
    def missing() -> str:
        raise FileNotFoundError

    assert addresses._ipv6_flags(missing) == {}


def test_an_interface_nobody_knows_counts_as_up(monkeypatch: pytest.MonkeyPatch) -> None:
    assert addresses._is_up("no-such-if0")
    monkeypatch.setattr("sys.platform", "darwin")
    assert addresses._is_up("en0")
