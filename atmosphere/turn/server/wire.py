"""The few message forms that the STUN codec's dictionary of attributes does not cover (RFC 8656). Pure.

A CreatePermission request names several peers in as many XOR-PEER-ADDRESS attributes; an answer to a dual allocation
has two XOR-RELAYED-ADDRESS attributes and perhaps an ADDRESS-ERROR-CODE; Data indications are made by the burst, and
answers are signed by the thousand.
"""

from __future__ import annotations

import ipaddress
import secrets
import struct
from functools import lru_cache

from atmosphere.stun.integrity import SHA256_SIZE, sha256_code
from atmosphere.stun.library import ATTRIBUTES_BY_NAME, message_fingerprint, stun
from atmosphere.stun.message import Message
from atmosphere.turn.server.flow import Address
from atmosphere.udp.window import Buffer

XOR_PEER_ADDRESS, DATA, MESSAGE_INTEGRITY, XOR_RELAYED_ADDRESS = 0x0012, 0x0013, 0x0008, 0x0016
MESSAGE_INTEGRITY_SHA256, FINGERPRINT = 0x001C, 0x8028
ADDRESS_ERROR_CODE = 0x8001
DATA_INDICATION = 0x0017
COOKIE = 0x2112A442
SECOND_RELAYED = "XOR-RELAYED-ADDRESS (second)"
"""Name under which a message carries another XOR-RELAYED-ADDRESS."""

_TYPE_LENGTH = struct.Struct("!HH")
_HEADER = struct.Struct("!HHI12s")


def _pack_address_error(value: tuple[int, int, str]) -> bytes:
    family, code, reason = value
    return struct.pack("!BBBB", family, 0, code // 100, code % 100) + reason.encode()


def register() -> None:
    """Teach the codec's table, by name only, what this server sends and nobody sends to it."""
    ATTRIBUTES_BY_NAME.setdefault(
        SECOND_RELAYED, (XOR_RELAYED_ADDRESS, SECOND_RELAYED, stun.pack_xor_address, stun.unpack_xor_address)
    )
    ATTRIBUTES_BY_NAME.setdefault(
        "ADDRESS-ERROR-CODE", (ADDRESS_ERROR_CODE, "ADDRESS-ERROR-CODE", _pack_address_error, stun.unpack_bytes)
    )


register()


def peer_addresses(data: bytes) -> list[Address]:
    """Every XOR-PEER-ADDRESS before the integrity of a message that was decoded; ValueError for one that is bad."""
    found: list[Address] = []
    position = _HEADER.size
    while position + 4 <= len(data):
        kind, length = _TYPE_LENGTH.unpack_from(data, position)
        if kind in (MESSAGE_INTEGRITY, MESSAGE_INTEGRITY_SHA256):
            break
        if kind == XOR_PEER_ADDRESS:
            host, port = stun.unpack_xor_address(data[position + 4 : position + 4 + length], data[8:20])
            found.append((host, port))
        position += 4 + length + (-length % 4)
    return found


def signed(message: Message, key: bytes, sha256: bool) -> bytes:
    """A message's bytes with integrity, by SHA-256 or SHA-1, and FINGERPRINT: encoded once, not three times."""
    data = bytes(message)
    if sha256:
        data += _TYPE_LENGTH.pack(MESSAGE_INTEGRITY_SHA256, SHA256_SIZE) + sha256_code(data, key)
    else:
        data += _TYPE_LENGTH.pack(MESSAGE_INTEGRITY, 20) + stun.message_integrity(data, key)
    data = data[:2] + (len(data) - _HEADER.size + 8).to_bytes(2) + data[4:]
    return data + _TYPE_LENGTH.pack(FINGERPRINT, 4) + message_fingerprint(data).to_bytes(4)


@lru_cache(maxsize=4096)
def _packed(host: str) -> tuple[int, int]:
    """A literal as (its bytes' number, the number of a number)."""
    ip = ipaddress.ip_address(host.partition("%")[0])
    return int(ip), ip.max_prefixlen // 8


def data_indication(source: Address, payload: Buffer) -> bytes:
    """A Data indication (RFC 8656 §11.3) for one datagram."""
    transaction_id = secrets.token_bytes(12)
    number, size = _packed(source[0])
    mask = COOKIE if size == 4 else int.from_bytes(COOKIE.to_bytes(4) + transaction_id)
    address = struct.pack("!BBH", 0, 1 if size == 4 else 2, source[1] ^ COOKIE >> 16) + (number ^ mask).to_bytes(size)
    length = len(payload)
    body = _TYPE_LENGTH.pack(XOR_PEER_ADDRESS, len(address)) + address + _TYPE_LENGTH.pack(DATA, length)
    end = bytes(-length % 4)
    header = _HEADER.pack(DATA_INDICATION, len(body) + length + len(end), COOKIE, transaction_id)
    return b"".join((header, body, payload, end))
