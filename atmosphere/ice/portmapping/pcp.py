"""Port Control Protocol (RFC 6887): MAP and ANNOUNCE, to the gateway's UDP port 5351. Pure.

request   version 2 | opcode (8) | reserved (16) | lifetime (32) | our address (128)
answer    version 2 | 1, opcode (7) | reserved (8) | result (8) | lifetime (32) | epoch (32) | reserved (96)
MAP adds  nonce (96) | protocol (8) | reserved (24) | our port (16) | outer port (16) | outer address (128)

IPv4 addresses are written mapped into IPv6 (§5). A MAP of lifetime 0 takes the mapping back (§15).
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass

from atmosphere.errors import DecodeError
from atmosphere.ice.portmapping.model import IP_PROTOCOL, Address, Wish

PORT = 5351
ANNOUNCE, MAP = 0, 1
MAX_SIZE = 1100

SUCCESS, UNSUPPORTED_VERSION, CANNOT_PROVIDE_EXTERNAL = 0, 1, 11
RESULTS: dict[int, str] = {
    1: "the router speaks another version of PCP",
    2: "the router does not allow it",
    3: "the router did not understand the request",
    4: "the router does not offer this",
    5: "the router does not know an option",
    6: "the router did not understand an option",
    7: "the router has no connection to the internet",
    8: "the router has no room for more",
    9: "the router does not map this protocol",
    10: "this machine has as many ports as the router allows",
    11: "the router cannot give that port",
    12: "there is another NAT between this machine and the router",
    13: "the router would let too many others in",
}
"""Result codes (RFC 6887 §7.4), for people."""

_REQUEST = struct.Struct("!BBHI16s")
_ANSWER = struct.Struct("!BBBBII12x")
_MAP = struct.Struct("!12sB3xHH16s")


@dataclass(frozen=True)
class PcpMapping:
    """The MAP part of an answer."""

    nonce: bytes
    protocol: int
    internal_port: int
    external: Address


@dataclass(frozen=True)
class PcpAnswer:
    """A PCP router's answer: `result` 0 is success. A NAT-PMP router's is of version 0 and "unsupported version".

    `lifetime` (seconds) is the mapping's, or after an error how long it will stay; `epoch` the router's clock.
    """

    version: int
    opcode: int
    result: int
    lifetime: int = 0
    epoch: int = 0
    mapping: PcpMapping | None = None


def packed(address: str) -> bytes:
    """The 16 bytes of an address; raises ValueError for what is none."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    return ip.packed if ip.version == 6 else b"\0" * 10 + b"\xff\xff" + ip.packed


def unpacked(data: bytes) -> str:
    """The address in 16 bytes."""
    ip = ipaddress.IPv6Address(data)
    return str(ip.ipv4_mapped or ip)


def announce_request(our_address: str) -> bytes:
    """The question whether the router is there, and what its epoch is (§14.1)."""
    return _REQUEST.pack(2, ANNOUNCE, 0, 0, packed(our_address))


def map_request(wish: Wish, nonce: bytes, lifetime: int, suggested: Address | None = None) -> bytes:
    """The request to open a port (§11.1), or with lifetime 0 to close it. `nonce` is 12 bytes, the same each time."""
    nowhere = "::" if ":" in wish.address else "0.0.0.0"  # noqa: S104 - "any", in a message
    address, port = suggested or (nowhere, 0)
    return _REQUEST.pack(2, MAP, 0, lifetime, packed(wish.address)) + _MAP.pack(
        nonce, IP_PROTOCOL[wish.transport], wish.port, port, packed(address)
    )


def decode(data: bytes) -> PcpAnswer:
    """The answer in `data`, or DecodeError; options after it are not read."""
    if len(data) >= 4 and data[0] in (0, 1) and data[1] & 0x80 and data[2:4] == b"\0\1":
        return PcpAnswer(data[0], data[1] & 0x7F, UNSUPPORTED_VERSION)
    if not _ANSWER.size <= len(data) <= MAX_SIZE or len(data) % 4 or data[0] < 2 or data[1] & 0x80 == 0:
        raise DecodeError("not a PCP answer")
    version, opcode, _, result, lifetime, epoch = _ANSWER.unpack_from(data)
    opcode &= 0x7F
    mapping = None
    if opcode == MAP and len(data) >= _ANSWER.size + _MAP.size:
        nonce, protocol, internal, port, address = _MAP.unpack_from(data, _ANSWER.size)
        mapping = PcpMapping(nonce, protocol, internal, (unpacked(address), port))
    elif opcode == MAP and result == SUCCESS:
        raise DecodeError("a PCP answer without its mapping")
    return PcpAnswer(version, opcode, result, lifetime, epoch, mapping)
