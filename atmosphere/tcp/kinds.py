"""What a client begins to speak on a port where several protocols live (pure).

    0x00–0x03   a STUN message (RFC 8489 §5; its cookie is checked by who reads on)
    0x16        a TLS record, the handshake (RFC 8446 §5.1)
    0x40–0x4F   ChannelData of TURN (RFC 8656 §12.4)
    A–Z, a–z    the method of an HTTP request (RFC 9112 §3)

A check of ICE over TCP (RFC 6544 §3) begins with the length of its frame, 0x00 to 0x03 too, and so does any message of
less than 1024 bytes: there the cookie is at byte 6, where STUN itself has it at byte 4.

As RFC 7983 does for UDP. ChannelData and capital letters share 0x41–0x4F: nobody sends ChannelData before an Allocate,
so as the first byte of a connection these are letters (the G of GET is 0x47).
"""

from __future__ import annotations

from typing import Literal

Kind = Literal["turn", "tls", "http"]

HANDSHAKE = 0x16


FRAMED_BEGINNING = 10
"""Bytes that tell a framed message from any other."""
_COOKIE = b"\x21\x12\xa4\x42"


def is_framed(beginning: bytes) -> bool | None:
    """Whether a STUN message in a frame (RFC 4571) begins like this; None while that cannot be told."""
    if beginning[4:8] == _COOKIE:
        return False
    if len(beginning) < FRAMED_BEGINNING:
        return None
    return beginning[6:FRAMED_BEGINNING] == _COOKIE


def kind_of(first: int) -> Kind | None:
    """What a connection whose first byte is this will be; None for what nobody here speaks."""
    if first <= 0x03 or first == 0x40:
        return "turn"
    if first == HANDSHAKE:
        return "tls"
    return "http" if chr(first).isascii() and chr(first).isalpha() else None
