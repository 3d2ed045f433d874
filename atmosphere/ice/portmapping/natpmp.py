"""NAT Port Mapping Protocol (RFC 6886), to the gateway's UDP port 5351. Pure.

outer address   version 0 | opcode 0                                       answer  … | epoch (32) | address (32)
map             version 0 | 1 UDP, 2 TCP | reserved (16) | our port (16)   answer  … | epoch (32) | our port (16)
                | outer port (16) | lifetime (32)                                  | outer port (16) | lifetime (32)
answers begin   version 0 | 128 + opcode | result (16)

A mapping of outer port 0 and lifetime 0 is a deletion (§3.4).
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass

from atmosphere.errors import DecodeError
from atmosphere.ice.portmapping.model import Transport

PORT = 5351
ADDRESS_REQUEST = b"\0\0"
OPCODE: dict[Transport, int] = {"udp": 1, "tcp": 2}

SUCCESS = 0
RESULTS: dict[int, str] = {
    1: "the router speaks another version of NAT-PMP",
    2: "the router does not allow it",
    3: "the router has no connection to the internet",
    4: "the router has no room for more",
    5: "the router does not offer this",
}
"""Result codes (RFC 6886 §3.5), for people."""

_ADDRESS_SIZE, _MAPPING_SIZE, _ERROR_SIZE = 12, 16, 8


@dataclass(frozen=True)
class AddressAnswer:
    """The router's outer address (None unless `result` is success); `epoch` is its clock, in seconds."""

    result: int
    epoch: int
    public: str | None


@dataclass(frozen=True)
class MapAnswer:
    """A mapping, made or refused; `lifetime` in seconds."""

    transport: Transport
    result: int
    epoch: int
    internal_port: int = 0
    external_port: int = 0
    lifetime: int = 0


def map_request(transport: Transport, internal_port: int, external_port: int, lifetime: int) -> bytes:
    """The request to open a port, best under `external_port`; lifetime 0 closes it."""
    return struct.pack("!BBHHHI", 0, OPCODE[transport], 0, internal_port, external_port, lifetime)


def decode(data: bytes) -> AddressAnswer | MapAnswer:
    """The answer in `data`, or DecodeError. An answer that says no may end after its epoch."""
    if len(data) < _ERROR_SIZE or data[0] != 0 or data[1] not in (128, 129, 130):
        raise DecodeError("not a NAT-PMP answer")
    result, epoch = struct.unpack_from("!HI", data, 2)
    if data[1] == 128:
        return _address(data, result, epoch)
    transport: Transport = "udp" if data[1] == 129 else "tcp"
    if len(data) >= _MAPPING_SIZE:
        return MapAnswer(transport, result, epoch, *struct.unpack_from("!HHI", data, _ERROR_SIZE))
    if result == SUCCESS:
        raise DecodeError("a NAT-PMP answer without its mapping")
    return MapAnswer(transport, result, epoch)


def _address(data: bytes, result: int, epoch: int) -> AddressAnswer:
    if result != SUCCESS:
        return AddressAnswer(result, epoch, None)
    if len(data) < _ADDRESS_SIZE:
        raise DecodeError("a NAT-PMP answer without its address")
    return AddressAnswer(result, epoch, str(ipaddress.IPv4Address(data[_ERROR_SIZE:_ADDRESS_SIZE])))
