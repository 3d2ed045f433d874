"""Packets read and rewritten: the checksums are those of packets made that way from the start."""

from __future__ import annotations

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.lab import packets
from tests.lab.packets import ICMP, TCP, UDP, Flow, checksum, error_inside, flow_of
from tests.lab.translation import Endpoint

A, B, C = ("192.168.1.10", 7777), ("198.51.100.10", 3478), ("198.51.100.20", 60001)
addresses = st.ip_addresses(v=4).map(str)
endpoints = st.tuples(addresses, st.integers(0, 65535))


def ip(protocol: int, source: str, destination: str, body: bytes, ttl: int = 64) -> bytearray:
    packet = bytearray(struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 1, 0, ttl, protocol, 0))
    packet += socket.inet_aton(source) + socket.inet_aton(destination) + body
    packets.renew_header_checksum(packet)
    return packet


def pseudo(protocol: int, source: str, destination: str, length: int) -> bytes:
    return socket.inet_aton(source) + socket.inet_aton(destination) + struct.pack("!BBH", 0, protocol, length)


def udp(source: Endpoint, destination: Endpoint, data: bytes = b"hello", summed: bool = True) -> bytearray:
    header = struct.pack("!HHHH", source[1], destination[1], 8 + len(data), 0)
    total = checksum(pseudo(UDP, source[0], destination[0], 8 + len(data)) + header + data) or 0xFFFF
    header = header[:6] + (total if summed else 0).to_bytes(2)
    return ip(UDP, source[0], destination[0], header + data)


def tcp(source: Endpoint, destination: Endpoint, data: bytes = b"hello") -> bytearray:
    header = struct.pack("!HHIIBBHHH", source[1], destination[1], 1, 2, 0x50, 0x18, 1000, 0, 0)
    total = checksum(pseudo(TCP, source[0], destination[0], 20 + len(data)) + header + data)
    return ip(TCP, source[0], destination[0], header[:16] + total.to_bytes(2) + header[18:] + data)


def echo(kind: int, source: str, destination: str, identifier: int) -> bytearray:
    body = struct.pack("!BBHHH", kind, 0, 0, identifier, 1) + b"ping"
    return ip(ICMP, source, destination, body[:2] + checksum(body).to_bytes(2) + body[4:])


def error(source: str, destination: str, about: bytes | bytearray) -> bytearray:
    body = struct.pack("!BBHI", packets.UNREACHABLE, 4, 0, 1280) + bytes(about)
    return ip(ICMP, source, destination, body[:2] + checksum(body).to_bytes(2) + body[4:])


@given(endpoints, endpoints, endpoints, st.binary(max_size=50))
def test_a_rewritten_source_is_as_if_it_had_been_sent_from_there(
    one: Endpoint, other: Endpoint, new: Endpoint, data: bytes
) -> None:
    for make in (udp, tcp):
        packet = make(one, other, data)
        packets.replace_source(packet, new)
        assert packet == make(new, other, data)


@given(endpoints, endpoints, endpoints, st.binary(max_size=50))
def test_a_rewritten_destination_likewise(one: Endpoint, other: Endpoint, new: Endpoint, data: bytes) -> None:
    for make in (udp, tcp):
        packet = make(one, other, data)
        packets.replace_destination(packet, new)
        assert packet == make(one, new, data)


@given(endpoints, addresses, endpoints)
def test_an_echo_has_its_identifier_rewritten(one: Endpoint, other: str, new: Endpoint) -> None:
    asked = echo(packets.ECHO, one[0], other, one[1])
    packets.replace_source(asked, new)
    assert asked == echo(packets.ECHO, new[0], other, new[1])
    answered = echo(packets.ECHO_REPLY, other, one[0], one[1])
    packets.replace_destination(answered, new)
    assert answered == echo(packets.ECHO_REPLY, other, new[0], new[1])


def test_without_a_checksum_none_is_made() -> None:
    packet = udp(A, B, summed=False)
    packets.replace_source(packet, C)
    assert packet == udp(C, B, summed=False)


def test_flows_are_read() -> None:
    assert flow_of(udp(A, B)) == Flow("udp", A, B)
    assert flow_of(tcp(A, B)) == Flow("tcp", A, B)
    assert flow_of(echo(packets.ECHO, A[0], B[0], 9)) == Flow("icmp", (A[0], 9), (B[0], 0))
    assert flow_of(echo(packets.ECHO_REPLY, B[0], A[0], 9)) == Flow("icmp", (B[0], 0), (A[0], 9))


def fragment() -> bytearray:
    packet = udp(A, B)
    packet[6:8] = (185).to_bytes(2)
    return packet


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        bytes(28),
        bytes(19),
        b"\x60" + bytes(60),
        fragment(),
        ip(47, A[0], B[0], bytes(20)),
        error(B[0], A[0], udp(A, B)),
    ],
    ids=["empty", "version 0", "short", "IPv6", "later fragment", "GRE", "error"],
)
def test_what_is_no_flow(packet: bytes | bytearray) -> None:
    assert flow_of(packet) is None


@given(st.binary(max_size=100))
def test_any_bytes_are_read_without_an_exception(data: bytes) -> None:
    flow_of(data)
    error_inside(data)
    flow_of(b"\x45" + data)
    error_inside(b"\x45" + data)


def test_an_error_is_sent_on_as_if_about_the_inside_packet() -> None:
    for make in (udp, tcp):
        told = error("198.51.100.99", C[0], make(C, B)[:28])
        start = error_inside(told)
        assert start == 28
        packets.redirect_error(told, start, A)
        quoted = make(A, B)[:28]
        if make is udp:
            assert told == error("198.51.100.99", A[0], quoted)
        assert told[28:] == quoted
    assert error_inside(udp(A, B, bytes(80))) is None
    assert error_inside(echo(packets.ECHO, A[0], B[0], 1) + bytes(40)) is None


def test_a_hop_more() -> None:
    packet = udp(A, B)
    packets.one_more_hop(packet)
    assert packet[8] == 65
    assert checksum(packet[:20]) == 0
    packet[8] = 255
    packets.one_more_hop(packet)
    assert packet[8] == 255
