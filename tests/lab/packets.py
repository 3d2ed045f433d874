"""IPv4 packets as a NAT sees them: two endpoints to read and to replace, checksums kept right (RFC 1624)."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

from tests.lab.translation import Endpoint

ICMP, TCP, UDP = 1, 6, 17
ECHO_REPLY, UNREACHABLE, ECHO, TIME_EXCEEDED, PARAMETER_PROBLEM = 0, 3, 8, 11, 12
ERRORS = (UNREACHABLE, TIME_EXCEEDED, PARAMETER_PROBLEM)
NAMES = {UDP: "udp", TCP: "tcp", ICMP: "icmp"}
_CHECKSUM_AT = {UDP: 6, TCP: 16}


@dataclass(frozen=True, slots=True)
class Flow:
    """What a packet says of itself: an echo's "port" is its identifier, on the side that asked."""

    protocol: str
    source: Endpoint
    destination: Endpoint


def flow_of(packet: bytes | bytearray) -> Flow | None:
    """The endpoints of a UDP, TCP or ICMP echo packet; None for anything else and for later fragments."""
    if len(packet) < 28 or packet[0] >> 4 != 4 or struct.unpack_from("!H", packet, 6)[0] & 0x1FFF:
        return None
    start, number = (packet[0] & 15) * 4, packet[9]
    if number not in NAMES or start < 20 or len(packet) < start + 8:
        return None
    source, destination = socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20])
    if number == ICMP:
        kind, identifier = packet[start], int.from_bytes(packet[start + 4 : start + 6])
        if kind not in (ECHO, ECHO_REPLY):
            return None
        asking = kind == ECHO
        return Flow("icmp", (source, identifier * asking), (destination, identifier * (not asking)))
    from_port, to_port = struct.unpack_from("!HH", packet, start)
    return Flow(NAMES[number], (source, from_port), (destination, to_port))


def error_inside(packet: bytes | bytearray) -> int | None:
    """Where the packet begins that an ICMP error (RFC 792) is about; None when it is no such error."""
    if len(packet) < 56 or packet[0] >> 4 != 4 or packet[9] != ICMP:
        return None
    start = (packet[0] & 15) * 4
    return start + 8 if packet[start] in ERRORS and len(packet) >= start + 36 else None


def replace_source(packet: bytearray, endpoint: Endpoint) -> None:
    """Make a packet come from `endpoint`."""
    _replace(packet, 12, 0, endpoint)


def replace_destination(packet: bytearray, endpoint: Endpoint) -> None:
    """Make a packet go to `endpoint`."""
    _replace(packet, 16, 2, endpoint)


def redirect_error(packet: bytearray, quoted_at: int, endpoint: Endpoint) -> None:
    """Send an ICMP error to `endpoint`, as if the packet that it quotes had come from there (RFC 5508 §4.2)."""
    quoted = packet[quoted_at:]
    replace_source(quoted, endpoint)
    packet[quoted_at:] = quoted
    packet[16:20] = socket.inet_aton(endpoint[0])
    start = quoted_at - 8
    packet[start + 2 : start + 4] = b"\0\0"
    packet[start + 2 : start + 4] = checksum(packet[start:]).to_bytes(2)
    renew_header_checksum(packet)


def one_more_hop(packet: bytearray) -> None:
    """Raise the TTL by one and renew the header's checksum: a router that takes two hops looks like one."""
    packet[8] = min(255, packet[8] + 1)
    renew_header_checksum(packet)


def renew_header_checksum(packet: bytearray) -> None:
    """Compute the IP header's checksum anew."""
    packet[10:12] = b"\0\0"
    packet[10:12] = checksum(packet[: (packet[0] & 15) * 4]).to_bytes(2)


def checksum(data: bytes | bytearray) -> int:
    """RFC 1071's checksum of `data`."""
    if len(data) % 2:
        data = bytes(data) + b"\0"
    return ~_fold(sum(struct.unpack(f"!{len(data) // 2}H", data))) & 0xFFFF


def _replace(packet: bytearray, address_at: int, port_at: int, endpoint: Endpoint) -> None:
    start, number = (packet[0] & 15) * 4, packet[9]
    address, port = socket.inet_aton(endpoint[0]), endpoint[1].to_bytes(2)
    if number == ICMP:
        old, new = bytes(packet[start + 4 : start + 6]), port
        packet[start + 4 : start + 6] = port
        place = start + 2
    else:
        at = start + port_at
        old, new = bytes(packet[address_at : address_at + 4]) + bytes(packet[at : at + 2]), address + port
        packet[at : at + 2] = port
        place = start + _CHECKSUM_AT[number]
    packet[address_at : address_at + 4] = address
    renew_header_checksum(packet)
    if place + 2 > len(packet):
        return  # an ICMP error quotes only the first 8 bytes, and those have no TCP checksum
    before = int.from_bytes(packet[place : place + 2])
    if number == UDP and not before:
        return  # RFC 768: the sender made none
    after = _adjusted(before, old, new)
    packet[place : place + 2] = (0xFFFF if number == UDP and not after else after).to_bytes(2)


def _adjusted(before: int, old: bytes, new: bytes) -> int:
    """RFC 1624, equation 3."""
    form = f"!{len(old) // 2}H"
    return (
        ~_fold(
            (~before & 0xFFFF) + sum(0xFFFF - word for word in struct.unpack(form, old)) + sum(struct.unpack(form, new))
        )
        & 0xFFFF
    )


def _fold(total: int) -> int:
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total
