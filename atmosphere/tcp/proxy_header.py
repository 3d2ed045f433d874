"""Who is behind a proxy that passes connections on as they are: HAProxy's PROXY protocol, versions 1 and 2 (pure).

    1   PROXY TCP4 203.0.113.9 198.51.100.1 4711 443 CR LF          at most 107 bytes; TCP6, or UNKNOWN and anything
    2   0D 0A 0D 0A 00 0D 0A 51 55 49 54 0A | 2, command | family, protocol | length (2) | addresses, ports, more

It stands before everything else, TLS too, and is believed of trusted proxies only.
"""

from __future__ import annotations

import ipaddress
import re
import struct
from dataclasses import dataclass

from atmosphere.errors import DecodeError

Address = tuple[str, int]

MAX_HEADER = 4096
_TEXT, _MAX_TEXT = b"PROXY ", 107
_BINARY = b"\r\n\r\n\x00\r\nQUIT\n"
_LINE = re.compile(rb"PROXY TCP[46] ([0-9a-fA-F.:]{2,39}) [0-9a-fA-F.:]{2,39} ([0-9]{1,5}) [0-9]{1,5}\r\n")
_LOCAL, _PROXIED = 0x20, 0x21
_TCP4, _TCP6 = 0x11, 0x21
_ADDRESSES = {_TCP4: struct.Struct(">4s4sHH"), _TCP6: struct.Struct(">16s16sHH")}


@dataclass(frozen=True)
class ProxyHeader:
    """So many bytes, and the client that they name; None where the proxy speaks for itself, or does not know."""

    size: int
    client: Address | None


def may_begin(data: bytes) -> bool:
    """Whether the bytes are a header, or the beginning of one."""
    return any(data[: len(mark)] == mark[: len(data)] for mark in (_TEXT, _BINARY))


def proxy_header(data: bytes) -> ProxyHeader | None:
    """The header at the start of `data`; None while it is not all there. Raises DecodeError for what is none."""
    if not may_begin(data):
        raise DecodeError("no PROXY header")
    if len(data) < len(_TEXT) or (data.startswith(_BINARY[:6]) and len(data) < len(_BINARY) + 4):
        return None
    return _text(data) if data.startswith(_TEXT) else _binary(data)


def _text(data: bytes) -> ProxyHeader | None:
    end = data.find(b"\r\n", 0, _MAX_TEXT)
    if end < 0:
        if len(data) >= _MAX_TEXT:
            raise DecodeError("a PROXY header without an end")
        return None
    line = data[: end + 2]
    if line.startswith(b"PROXY UNKNOWN"):
        return ProxyHeader(len(line), None)
    found = _LINE.fullmatch(line)
    if found is None:
        raise DecodeError("an unreadable PROXY header")
    try:
        return ProxyHeader(len(line), (_literal(found[1].decode()), _port(int(found[2]))))
    except ValueError as error:
        raise DecodeError("an unreadable PROXY header") from error


def _literal(address: str | bytes) -> str:
    """An address as text; an IPv4 address that a dual-stack proxy maps into IPv6 is the IPv4 address that it is."""
    parsed = ipaddress.ip_address(address)
    return str((isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped) or parsed)


def _port(number: int) -> int:
    if number > 65535:
        raise ValueError(number)
    return number


def _binary(data: bytes) -> ProxyHeader | None:
    command, family, length = struct.unpack_from(">BBH", data, len(_BINARY))
    start = len(_BINARY) + 4
    size = start + length
    if size > MAX_HEADER or command not in (_LOCAL, _PROXIED):
        raise DecodeError("an unreadable PROXY header")
    if len(data) < size:
        return None
    layout = _ADDRESSES.get(family)
    if command == _LOCAL or layout is None:
        return ProxyHeader(size, None)
    if length < layout.size:
        raise DecodeError("a PROXY header that is too short")
    client, _, port, _ = layout.unpack_from(data, start)
    return ProxyHeader(size, (_literal(client), port))
