from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.udp.address_class import address_class, carried, is_usable_remote


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("8.8.8.8", "public"),
        ("0.0.0.0", "unspecified"),
        ("10.1.2.3", "private"),
        ("172.15.255.255", "public"),
        ("172.16.0.0", "private"),
        ("172.31.255.255", "private"),
        ("172.32.0.0", "public"),
        ("192.168.0.1", "private"),
        ("100.63.255.255", "public"),
        ("100.64.0.1", "shared"),
        ("100.127.255.255", "shared"),
        ("127.0.0.2", "loopback"),
        ("169.254.169.254", "link-local"),
        ("192.0.2.1", "documentation"),
        ("198.51.100.7", "documentation"),
        ("203.0.113.9", "documentation"),
        ("198.18.0.1", "benchmarking"),
        ("224.0.0.1", "multicast"),
        ("255.255.255.255", "broadcast"),
        ("250.0.0.1", "reserved"),
        ("::", "unspecified"),
        ("::1", "loopback"),
        ("::127.0.0.1", "reserved"),
        ("2606:4700::1", "public"),
        ("fd00::2", "private"),
        ("fe80::1", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("fec0::1", "site-local"),
        ("ff02::1", "multicast"),
        ("2001:db8::1", "documentation"),
        ("2001::1", "teredo"),
        ("100::1", "discard"),
        ("::ffff:10.0.0.1", "private"),
        ("::ffff:8.8.8.8", "public"),
        ("::ffff:0:10.0.0.1", "private"),
        ("::ffff:0:127.0.0.1", "loopback"),
        ("::ffff:0:8.8.8.8", "public"),
        ("64:ff9b::7f00:1", "loopback"),
        ("64:ff9b:1::1", "private"),
        ("2002:a00:1::1", "private"),
        ("2002:808:808::1", "public"),
    ],
)
def test_the_table(address: str, expected: str) -> None:
    assert address_class(address) == expected


@pytest.mark.parametrize("spelling", ["::ffff:{}", "::ffff:0:{}", "64:ff9b::{}"])
@given(inner=st.ip_addresses(v=4))
def test_an_ipv4_address_in_an_ipv6_one(spelling: str, inner: ipaddress.IPv4Address) -> None:
    outer = ipaddress.ip_address(spelling.format(inner))
    assert carried(outer) == inner
    assert address_class(outer) == address_class(inner)


def test_what_carries_no_ipv4_address() -> None:
    assert carried(ipaddress.ip_address("203.0.113.9")) is carried(ipaddress.ip_address("2001:db8::1")) is None


@given(st.ip_addresses())
def test_every_address_has_a_class(address: object) -> None:
    assert address_class(str(address))


@pytest.mark.parametrize("text", ["", "host.example", "1.2.3", "1.2.3.4.5", "::g", "0x7f000001", "127.1"])
def test_what_is_not_an_address(text: str) -> None:
    with pytest.raises(ValueError, match="does not appear"):
        address_class(text)
    assert not is_usable_remote(text)


@pytest.mark.parametrize(
    ("address", "usable"),
    [("203.0.113.9", True), ("127.0.0.1", True), ("fe80::1", True), ("224.0.0.251", False), ("::", False)],
)
def test_what_a_datagram_may_be_sent_to(address: str, usable: bool) -> None:
    assert is_usable_remote(address) is usable
