"""What Linux's kernel says about changes of the network, rtnetlink(7): links, addresses, routes. Pure.

    nlmsghdr    0 length (4)   4 type (2)   6 flags (2)   8 sequence (4)   12 port (4)
    ifinfomsg   family (1)   pad (1)   type (2)   index (4)   flags (4)   change (4)
    ifaddrmsg   family (1)   prefix length (1)   flags (1)   scope (1)   index (4)
    rtmsg       family (1)   dst length (1)   src length (1)   tos (1)   table (1)   protocol (1)   scope (1)   type (1)
                flags (4)
    rtattr      length (2)   type (2)   value

Numbers are in the machine's own byte order; every message and every attribute begins at a multiple of four.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from atmosphere.errors import DecodeError

__all__ = ["GROUPS", "MAX_SIZE", "AddressChange", "LinkChange", "NetworkChange", "RouteChange", "decode"]

GROUPS = 0x1 | 0x10 | 0x40 | 0x100 | 0x400
"""The multicast groups to join: RTMGRP_LINK, and _IFADDR and _ROUTE of IPv4 and IPv6."""
MAX_SIZE = 65536

_HEADER = struct.Struct("=IHHII")
_LINK = struct.Struct("=BxHiII")
_ADDRESS = struct.Struct("=BBBBI")
_ROUTE = struct.Struct("=8BI")
_ATTRIBUTE = struct.Struct("=HH")

_NEWLINK, _DELLINK, _NEWADDR, _DELADDR, _NEWROUTE, _DELROUTE = 16, 17, 20, 21, 24, 25
_IFLA_IFNAME, _IFA_ADDRESS, _IFA_LOCAL = 3, 1, 2
_IFF_UP, _IFF_RUNNING, _RTN_UNICAST = 0x1, 0x40, 1
_TYPE_MASK = 0x3FFF
"""Without the flags NLA_F_NESTED and NLA_F_NET_BYTEORDER."""


@dataclass(frozen=True)
class LinkChange:
    """The interface `name` is there, `up` with a carrier or not; or it is gone, and so down."""

    name: str
    up: bool


@dataclass(frozen=True)
class AddressChange:
    """`address` (a literal) came to an interface or changed there (`gone` False), or left it."""

    address: str
    gone: bool


@dataclass(frozen=True)
class RouteChange:
    """A unicast route of `family` 4 or 6 came or changed (`gone` False), or went.

    `default` for one to everywhere, or to a half of everywhere, as VPNs set them.
    """

    family: int
    default: bool
    gone: bool = False


NetworkChange = LinkChange | AddressChange | RouteChange


def decode(data: bytes) -> list[NetworkChange]:
    """The changes in one datagram from the kernel, in their order; what is of another kind is passed over.

    Raises DecodeError for what is cut short or says so of itself.
    """
    found: list[NetworkChange] = []
    position = 0
    while position < len(data):
        if len(data) - position < _HEADER.size:
            raise DecodeError("netlink: a header that is cut short")
        length, kind, _, _, _ = _HEADER.unpack_from(data, position)
        if not _HEADER.size <= length <= len(data) - position:
            raise DecodeError(f"netlink: a message of {length} bytes in {len(data) - position}")
        change = _change(kind, data[position + _HEADER.size : position + length])
        if change is not None:
            found.append(change)
        position += length + -length % 4
    return found


def _change(kind: int, body: bytes) -> NetworkChange | None:
    if kind in (_NEWLINK, _DELLINK):
        return _link(body, gone=kind == _DELLINK)
    if kind in (_NEWADDR, _DELADDR):
        return _address(body, gone=kind == _DELADDR)
    if kind in (_NEWROUTE, _DELROUTE):
        return _route(body, gone=kind == _DELROUTE)
    return None


def _link(body: bytes, *, gone: bool) -> LinkChange | None:
    _check(body, _LINK)
    flags: int = _LINK.unpack_from(body)[3]
    running = flags & (_IFF_UP | _IFF_RUNNING) == _IFF_UP | _IFF_RUNNING
    for kind, value in _attributes(body, _LINK.size):
        if kind == _IFLA_IFNAME:
            return LinkChange(value.partition(b"\0")[0].decode(errors="replace"), running and not gone)
    return None


def _address(body: bytes, *, gone: bool) -> AddressChange | None:
    _check(body, _ADDRESS)
    # Of a point-to-point interface ADDRESS is the other end, and LOCAL ours; IPv6 has only ADDRESS otherwise.
    values = dict(_attributes(body, _ADDRESS.size))
    value = values.get(_IFA_LOCAL, values.get(_IFA_ADDRESS, b""))
    return AddressChange(str(ipaddress.ip_address(value)), gone) if len(value) in (4, 16) else None


def _route(body: bytes, *, gone: bool) -> RouteChange | None:
    _check(body, _ROUTE)
    family, length, *_ = head = _ROUTE.unpack_from(body)
    if head[7] != _RTN_UNICAST:
        return None
    return RouteChange(4 if family == 2 else 6, length <= 1, gone)


def _check(body: bytes, head: struct.Struct) -> None:
    if len(body) < head.size:
        raise DecodeError("netlink: a message that is cut short")


def _attributes(body: bytes, position: int) -> Iterator[tuple[int, bytes]]:
    while len(body) - position >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(body, position)
        if not _ATTRIBUTE.size <= length <= len(body) - position:
            raise DecodeError(f"netlink: an attribute of {length} bytes in {len(body) - position}")
        yield kind & _TYPE_MASK, body[position + _ATTRIBUTE.size : position + length]
        position += length + -length % 4
