"""atmosphere.udp.netlink: the kernel's own bytes, and any others."""

from __future__ import annotations

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.errors import DecodeError
from atmosphere.udp.netlink import AddressChange, LinkChange, NetworkChange, RouteChange, decode

NEWLINK, DELLINK, NEWADDR, DELADDR, NEWROUTE, DELROUTE, NEWNEIGH = 16, 17, 20, 21, 24, 25, 28
UP, RUNNING = 0x1, 0x40


def attribute(kind: int, value: bytes) -> bytes:
    length = 4 + len(value)
    return struct.pack("=HH", length, kind) + value + bytes(-length % 4)


def message(kind: int, body: bytes) -> bytes:
    length = 16 + len(body)
    return struct.pack("=IHHII", length, kind, 0, 1, 0) + body + bytes(-length % 4)


def link(name: str, flags: int, *, gone: bool = False) -> bytes:
    """RTM_NEWLINK or RTM_DELLINK, the name behind another attribute as the kernel has it."""
    body = struct.pack("=BxHiII", 0, 1, 2, flags, 0) + attribute(13, b"\1") + attribute(3, name.encode() + b"\0")
    return message(DELLINK if gone else NEWLINK, body)


def address(text: str, *, gone: bool = False, peer: str = "") -> bytes:
    """RTM_NEWADDR or RTM_DELADDR; with `peer` of a point-to-point interface."""
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    body = struct.pack("=BBBBI", family, 24, 0, 0, 2)
    if ":" in text:
        body += attribute(1, socket.inet_pton(family, text))
    else:
        body += attribute(1, socket.inet_aton(peer or text)) + attribute(2, socket.inet_aton(text))
    return message(DELADDR if gone else NEWADDR, body)


def route(length: int, family: int = socket.AF_INET, kind: int = 1, *, gone: bool = False) -> bytes:
    """RTM_NEWROUTE or RTM_DELROUTE to a prefix of `length` bits."""
    body = struct.pack("=8BI", family, length, 0, 0, 254, 3, 0, kind, 0) + attribute(15, struct.pack("=I", 254))
    return message(DELROUTE if gone else NEWROUTE, body)


@pytest.mark.parametrize(
    ("name", "data", "found"),
    [
        ("nothing", b"", []),
        ("a link up", link("eth0", UP | RUNNING), [LinkChange("eth0", True)]),
        ("a cable out", link("eth0", UP), [LinkChange("eth0", False)]),
        ("switched off", link("eth0", RUNNING), [LinkChange("eth0", False)]),
        ("taken away", link("wlan0", UP | RUNNING, gone=True), [LinkChange("wlan0", False)]),
        ("a new address", address("192.0.2.7"), [AddressChange("192.0.2.7", False)]),
        ("an address gone", address("192.0.2.7", gone=True), [AddressChange("192.0.2.7", True)]),
        ("point to point", address("192.0.2.7", peer="192.0.2.1"), [AddressChange("192.0.2.7", False)]),
        ("IPv6", address("2001:db8::7", gone=True), [AddressChange("2001:db8::7", True)]),
        ("the default route", route(0), [RouteChange(4, True)]),
        ("IPv6's", route(0, socket.AF_INET6, gone=True), [RouteChange(6, True, gone=True)]),
        ("half of everything", route(1), [RouteChange(4, True)]),
        ("a network", route(24), [RouteChange(4, False)]),
        ("a route to ourselves", route(32, kind=2), []),
        ("a neighbour", message(NEWNEIGH, bytes(12)), []),
        ("a link without a name", message(NEWLINK, bytes(16)), []),
        ("an address without one", message(NEWADDR, bytes(8)), []),
        ("two at once", link("a", UP) + route(0), [LinkChange("a", False), RouteChange(4, True)]),
    ],
)
def test_what_the_kernel_says(name: str, data: bytes, found: list[NetworkChange]) -> None:
    assert decode(data) == found


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a header", bytes(15)),
        ("a length below the header's", struct.pack("=IHHII", 15, NEWLINK, 0, 0, 0)),
        ("a length beyond the end", struct.pack("=IHHII", 99, NEWLINK, 0, 0, 0)),
        ("no body of a link", message(NEWLINK, bytes(12))),
        ("no body of an address", message(NEWADDR, bytes(4))),
        ("no body of a route", message(NEWROUTE, bytes(8))),
        ("an attribute below its head", message(NEWADDR, bytes(8) + struct.pack("=HH", 3, 1))),
        ("an attribute beyond the end", message(NEWADDR, bytes(8) + struct.pack("=HH", 9, 1))),
    ],
)
def test_what_is_cut_short(name: str, data: bytes) -> None:
    with pytest.raises(DecodeError, match="netlink"):
        decode(data)


KINDS = st.sampled_from([NEWLINK, DELLINK, NEWADDR, DELADDR, NEWROUTE, DELROUTE, NEWNEIGH])


@given(st.binary(max_size=200) | st.builds(message, KINDS, st.binary(max_size=100)))
def test_any_bytes_are_changes_or_an_error(data: bytes) -> None:
    try:
        found = decode(data)
    except DecodeError:
        return
    assert all(isinstance(item, LinkChange | AddressChange | RouteChange) for item in found)


@given(st.lists(st.tuples(st.ip_addresses().map(str), st.booleans()), max_size=4))
def test_addresses_come_back(changes: list[tuple[str, bool]]) -> None:
    data = b"".join(address(text, gone=gone) for text, gone in changes)
    assert decode(data) == [AddressChange(text, gone) for text, gone in changes]
