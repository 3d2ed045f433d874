from __future__ import annotations

import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.errors import DecodeError
from atmosphere.tcp.proxy_header import MAX_HEADER, may_begin, proxy_header

MARK = b"\r\n\r\n\x00\r\nQUIT\n"
LINE = b"PROXY TCP4 203.0.113.9 198.51.100.1 4711 443\r\n"
LINE6 = b"PROXY TCP6 2001:db8::9 2001:db8::1 4711 443\r\n"


def binary(client: str, *, command: int = 0x21, family: int | None = None, more: bytes = b"") -> bytes:
    packed = ipaddress.ip_address(client).packed
    body = packed + packed + struct.pack(">HH", 4711, 443) + more
    kind = family if family is not None else 0x11 if len(packed) == 4 else 0x21
    return MARK + struct.pack(">BBH", command, kind, len(body)) + body


@pytest.mark.parametrize(
    ("header", "client"),
    [
        (LINE, "203.0.113.9"),
        (LINE6, "2001:db8::9"),
        (binary("203.0.113.9"), "203.0.113.9"),
        (binary("2001:db8::9"), "2001:db8::9"),
        (binary("203.0.113.9", more=b"\x03\x00\x04abcd"), "203.0.113.9"),
        (b"PROXY TCP6 ::ffff:203.0.113.9 ::1 4711 443\r\n", "203.0.113.9"),
        (binary("::ffff:203.0.113.9"), "203.0.113.9"),
        (b"PROXY UNKNOWN\r\n", None),
        (b"PROXY UNKNOWN ffff::1 ::1 1 2\r\n", None),
        (binary("203.0.113.9", command=0x20), None),
        (binary("203.0.113.9", family=0x31), None),
        (MARK + b"\x20\x00\x00\x00", None),
    ],
)
def test_headers(header: bytes, client: str | None) -> None:
    for end in range(len(header)):
        assert may_begin(header[:end])
        assert proxy_header(header[:end]) is None
    found = proxy_header(header + b"\x16\x03\x01")
    assert found is not None
    assert found.size == len(header)
    assert found.client == ((client, 4711) if client else None)


@pytest.mark.parametrize(
    "wrong",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x01",
        b"PROXY TCP4 203.0.113.9 198.51.100.1 4711\r\n",
        b"PROXY TCP4 203.0.113.999 198.51.100.1 4711 443\r\n",
        b"PROXY TCP4 203.0.113.9 198.51.100.1 99999 443\r\n",
        b"PROXY TCP9 203.0.113.9 198.51.100.1 4711 443\r\n",
        b"PROXY " + b"x" * 120,
        binary("203.0.113.9", command=0x11),
        binary("203.0.113.9", more=bytes(MAX_HEADER)),
        MARK + b"\x21\x11\x00\x04abcd",
    ],
)
def test_what_is_none(wrong: bytes) -> None:
    with pytest.raises(DecodeError):
        proxy_header(wrong)


@given(st.one_of(st.binary(), st.binary().map(MARK.__add__), st.binary().map(b"PROXY TCP4 ".__add__)))
def test_any_bytes(data: bytes) -> None:
    try:
        found = proxy_header(data)
    except DecodeError:
        return
    assert found is None or found.size <= len(data)
