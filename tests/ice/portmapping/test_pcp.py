from __future__ import annotations

import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.errors import DecodeError
from atmosphere.ice.portmapping.model import Wish
from atmosphere.ice.portmapping.pcp import (
    ANNOUNCE,
    MAP,
    PcpAnswer,
    PcpMapping,
    announce_request,
    decode,
    map_request,
    packed,
    unpacked,
)

NONCE = b"twelve bytes"
WISH = Wish("udp", "192.0.2.7", 7777)


def map_answer(result: int = 0, lifetime: int = 7200, epoch: int = 5, mapping: bytes | None = None) -> bytes:
    """What a router says to WISH."""
    body = NONCE + struct.pack("!B3xHH16s", 17, 7777, 4444, packed("203.0.113.9")) if mapping is None else mapping
    return struct.pack("!BBBBII12x", 2, 0x80 | MAP, 0, result, lifetime, epoch) + body


@given(data=st.binary(max_size=1200))
def test_arbitrary_bytes(data: bytes) -> None:
    for whole in (data, b"\x02\x81" + data):
        try:
            answer = decode(whole)
        except DecodeError:
            continue
        assert answer.mapping is None or 0 <= answer.mapping.external[1] < 65536


@given(st.ip_addresses())
def test_addresses_come_back(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    mapped = getattr(ip, "ipv4_mapped", None)
    assert unpacked(packed(str(ip))) == str(mapped or ip)


def test_announce() -> None:
    request = announce_request("192.0.2.7")
    assert len(request) == 24
    assert request[8:] == bytes(10) + b"\xff\xff\xc0\x00\x02\x07"
    assert announce_request("2001:db8::7")[8:12] == b"\x20\x01\x0d\xb8"
    assert decode(b"\x02\x80\x00\x00" + bytes(20)) == PcpAnswer(2, ANNOUNCE, 0)
    assert decode(b"\x02\x80\x00\x02" + bytes(20)) == PcpAnswer(2, ANNOUNCE, 2)


def test_the_bytes_of_a_map_request() -> None:
    """RFC 6887 figures 2 and 9."""
    request = map_request(WISH, NONCE, 7200, ("203.0.113.9", 4444))
    assert request == (
        b"\x02\x01\x00\x00\x00\x00\x1c\x20" + bytes(10) + b"\xff\xff\xc0\x00\x02\x07"
        b"twelve bytes\x11\x00\x00\x00\x1e\x61\x11\x5c" + bytes(10) + b"\xff\xff\xcb\x00\x71\x09"
    )
    assert map_request(WISH, NONCE, 0)[-18:] == b"\x00\x00" + bytes(10) + b"\xff\xff" + bytes(4)
    assert map_request(Wish("tcp", "2001:db8::7", 1), NONCE, 0)[36:] == b"\x06\0\0\0\0\x01\0\0" + bytes(16)


def test_a_map_answer() -> None:
    assert decode(map_answer()) == PcpAnswer(2, MAP, 0, 7200, 5, PcpMapping(NONCE, 17, 7777, ("203.0.113.9", 4444)))
    refused = decode(map_answer(result=8, lifetime=30, mapping=b""))
    assert (refused.result, refused.lifetime, refused.mapping) == (8, 30, None)


def test_a_router_of_nat_pmp_says_so() -> None:
    assert decode(b"\x00\x81\x00\x01\x00\x00\x12\x34") == PcpAnswer(0, MAP, 1)
    with pytest.raises(DecodeError):  # an answer to a NAT-PMP question, and none to us
        decode(b"\x00\x80\x00\x00\x00\x00\x12\x34\xcb\x00\x71\x09")


@pytest.mark.parametrize(
    "wrong",
    [b"", b"\x02\x80\x00\x00", announce_request("192.0.2.7"), b"\x02\x80" + bytes(2000), map_answer(mapping=b"")],
    ids=["empty", "short", "a request", "long", "no mapping"],
)
def test_what_is_no_answer(wrong: bytes) -> None:
    with pytest.raises(DecodeError):
        decode(wrong)
