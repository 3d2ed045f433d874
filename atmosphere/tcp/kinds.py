"""What a client begins to speak on a port where several protocols live (pure).

    0x00–0x03   a STUN message (RFC 8489 §5; its cookie is checked by who reads on)
    0x16        a TLS record, the handshake (RFC 8446 §5.1)
    0x40–0x4F   ChannelData of TURN (RFC 8656 §12.4)
    A–Z, a–z    the method of an HTTP request (RFC 9112 §3)

As RFC 7983 does for UDP. ChannelData and capital letters share 0x41–0x4F: nobody sends ChannelData before an Allocate,
so as the first byte of a connection these are letters (the G of GET is 0x47).
"""

from __future__ import annotations

from typing import Literal

Kind = Literal["turn", "tls", "http"]

HANDSHAKE = 0x16


def kind_of(first: int) -> Kind | None:
    """What a connection whose first byte is this will be; None for what nobody here speaks."""
    if first <= 0x03 or first == 0x40:
        return "turn"
    if first == HANDSHAKE:
        return "tls"
    return "http" if chr(first).isascii() and chr(first).isalpha() else None
