"""Base32 (RFC 4648 §6) as Atmosphere writes it: lower case, no padding, one text for one value."""

from __future__ import annotations

import base64
import binascii

from atmosphere.errors import DecodeError


def encode(data: bytes) -> str:
    """The text of `data`: 8 characters for every 5 bytes, rounded up."""
    return base64.b32encode(data).decode("ascii").rstrip("=").lower()


def decode(text: str) -> bytes:
    """The bytes that `encode` made `text` of; DecodeError for any other text, bits left over included."""
    try:
        data = base64.b32decode(text.upper() + "=" * (-len(text) % 8))
    except (binascii.Error, ValueError) as error:
        raise DecodeError("not base32") from error
    if encode(data) != text:
        raise DecodeError("not base32 in its one form")
    return data


def length(size: int) -> int:
    """How many characters `size` bytes become."""
    return -(-size * 8 // 5)
