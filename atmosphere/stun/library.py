"""aioice's STUN codec and TURN client: the one place that imports aioice.

Its public classes and a few private names are used; pyproject.toml pins aioice and tests/stun/test_private_names.py
fails first when an upgrade moves one of them. Everything else imports these names from here or from `stun.message`.

Attributes that aioice does not know are registered here, in its own table: one line each (RFC 8489 §14, RFC 8656 §18,
RFC 5780 §7, draft-thatcher-ice-renomination for NOMINATION; DOUBT is our own, see atmosphere.ice.checks).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from aioice import stun, turn
from aioice.stun import ATTRIBUTES_BY_NAME, ATTRIBUTES_BY_TYPE, COOKIE, Class, Method, message_fingerprint
from aioice.stun import Message as LibraryMessage
from aioice.turn import TurnClientMixin, TurnTransport, create_turn_endpoint, is_channel_data, make_integrity_key

from atmosphere.stun.integrity import pack_algorithm, pack_algorithms, unpack_algorithm, unpack_algorithms

__all__ = [
    "ATTRIBUTES_BY_NAME",
    "ATTRIBUTES_BY_TYPE",
    "COOKIE",
    "FAMILY_IPV4",
    "FAMILY_IPV6",
    "Class",
    "LibraryMessage",
    "Method",
    "TurnClientMixin",
    "TurnTransport",
    "create_turn_endpoint",
    "is_channel_data",
    "make_integrity_key",
    "message_fingerprint",
    "stun",
    "turn",
]

FAMILY_IPV4 = 0x01000000
FAMILY_IPV6 = 0x02000000
"""Values of REQUESTED-ADDRESS-FAMILY (RFC 8656 §18.6): the family in the first of four bytes."""


def _pack_types(types: tuple[int, ...]) -> bytes:
    return struct.pack(f"!{len(types)}H", *types)


def _unpack_types(data: bytes) -> tuple[int, ...]:
    return struct.unpack(f"!{len(data) // 2}H", data[: len(data) & ~1])


def _pack_flag(value: int) -> bytes:
    return bytes([value])


def _unpack_flag(data: bytes) -> int:
    return data[0] if data else 0


Entry = tuple[int, str, Callable[..., bytes], Callable[..., Any]]

ADDED: tuple[Entry, ...] = (
    (0x000A, "UNKNOWN-ATTRIBUTES", _pack_types, _unpack_types),
    (0x0017, "REQUESTED-ADDRESS-FAMILY", stun.pack_unsigned, stun.unpack_unsigned),
    (0x0018, "EVEN-PORT", _pack_flag, _unpack_flag),
    (0x001A, "DONT-FRAGMENT", stun.pack_none, stun.unpack_none),
    (0x001C, "MESSAGE-INTEGRITY-SHA256", stun.pack_bytes, stun.unpack_bytes),
    (0x001D, "PASSWORD-ALGORITHM", pack_algorithm, unpack_algorithm),
    (0x001E, "USERHASH", stun.pack_bytes, stun.unpack_bytes),
    (0x0022, "RESERVATION-TOKEN", stun.pack_bytes, stun.unpack_bytes),
    (0x0026, "PADDING", stun.pack_bytes, stun.unpack_bytes),
    (0x0027, "RESPONSE-PORT", stun.pack_unsigned_short, stun.unpack_unsigned_short),
    (0x8000, "ADDITIONAL-ADDRESS-FAMILY", stun.pack_unsigned, stun.unpack_unsigned),
    (0x8032, "ADDITIONAL-ADDRESS-FAMILY-OLD", stun.pack_unsigned, stun.unpack_unsigned),  # coturn's, up to 4.6
    (0x8002, "PASSWORD-ALGORITHMS", pack_algorithms, unpack_algorithms),
    (0x8023, "ALTERNATE-SERVER", stun.pack_address, stun.unpack_address),
    (0x8027, "CACHE-TIMEOUT", stun.pack_unsigned, stun.unpack_unsigned),
    (0xC001, "NOMINATION", stun.pack_unsigned, stun.unpack_unsigned),
    (0xC002, "DOUBT", stun.pack_unsigned, stun.unpack_unsigned),
)


def register(entries: tuple[Entry, ...] = ADDED) -> None:
    """Add attributes to aioice's tables; one that is there already keeps aioice's own meaning."""
    for entry in entries:
        if entry[0] not in ATTRIBUTES_BY_TYPE and entry[1] not in ATTRIBUTES_BY_NAME:
            ATTRIBUTES_BY_TYPE[entry[0]] = entry
            ATTRIBUTES_BY_NAME[entry[1]] = entry


register()
