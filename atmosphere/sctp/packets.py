"""What an SCTP packet must look like before a parser that trusts its input may see it (RFC 9260 section 3).

aiortc's parser believes lengths: a parameter of length 0 keeps it busy for ever, a short chunk raises `struct.error`,
an acknowledged range of 65,535 packets is expanded one by one. `check` walks a packet once and refuses all that.

```
packet: source port (2) | destination port (2) | verification tag (4) | CRC32c (4) | chunks
chunk:  type (1) | flags (1) | length (2, with these four bytes) | value | padding to 4
```
"""

from __future__ import annotations

import struct

from atmosphere.errors import DecodeError

DATA, INIT, INIT_ACK, SACK, HEARTBEAT, HEARTBEAT_ACK, ABORT, SHUTDOWN = range(8)
ERROR, COOKIE_ECHO, RECONFIG, FORWARD_TSN = 9, 10, 130, 192

HEADER = 12
MAX_CHUNKS = 512
_MINIMUM = {DATA: 13, INIT: 16, INIT_ACK: 16, SACK: 12, SHUTDOWN: 4, FORWARD_TSN: 4}
_PARAMETERS_AT = {INIT: 16, INIT_ACK: 16, HEARTBEAT: 0, HEARTBEAT_ACK: 0, ABORT: 0, ERROR: 0, RECONFIG: 0}
_ALONE = frozenset((INIT, INIT_ACK))
_RESET_OUTGOING, _RESET_RESPONSE, _ADD_OUTGOING = 13, 16, 17
_RECONFIG_MINIMUM = {_RESET_OUTGOING: 12, _RESET_RESPONSE: 8, _ADD_OUTGOING: 8}
_USER_ABORT = 12


def check(packet: bytes) -> None:
    """Pass a packet that can be parsed safely; DecodeError for any other. The checksum is the parser's to verify."""
    position, types = HEADER, []
    if len(packet) < HEADER + 4:
        raise DecodeError("too short for an SCTP packet")
    while position < len(packet):
        if position + 4 > len(packet):
            raise DecodeError("a chunk is cut short")
        kind, _, length = struct.unpack_from("!BBH", packet, position)
        end = position + length
        if length < 4 or end > len(packet):
            raise DecodeError("a chunk's length is wrong")
        _check_chunk(kind, packet[position + 4 : end])
        types.append(kind)
        position = end + -length % 4
    if len(types) > MAX_CHUNKS:
        raise DecodeError("too many chunks in one packet")
    if len(types) > 1 and not _ALONE.isdisjoint(types):
        raise DecodeError("INIT and INIT ACK travel alone")


def _check_chunk(kind: int, value: bytes) -> None:
    if len(value) < _MINIMUM.get(kind, 0):
        raise DecodeError(f"a chunk of type {kind} is too short")
    if kind == SACK:
        _check_sack(value)
    elif kind == FORWARD_TSN and len(value) % 4:
        raise DecodeError("a FORWARD TSN is cut short")
    elif kind in _PARAMETERS_AT:
        for parameter, content in parameters(value[_PARAMETERS_AT[kind] :]):
            if kind == RECONFIG:
                _check_reconfiguration(parameter, content)


def _check_reconfiguration(parameter: int, content: bytes) -> None:
    if len(content) < _RECONFIG_MINIMUM.get(parameter, 0):
        raise DecodeError("a RE-CONFIG parameter is too short")
    if parameter == _RESET_OUTGOING and len(content) % 2:
        raise DecodeError("a list of streams is cut short")


def _check_sack(value: bytes) -> None:
    gaps, duplicates = struct.unpack_from("!HH", value, 8)
    if len(value) != 12 + 4 * (gaps + duplicates):
        raise DecodeError("a SACK does not have the length it says")
    last = 0
    for index in range(gaps):
        start, end = struct.unpack_from("!HH", value, 12 + 4 * index)
        if not last < start <= end:
            raise DecodeError("the ranges of a SACK are not in order")
        last = end


def parameters(body: bytes) -> list[tuple[int, bytes]]:
    """The type-length-value parameters in `body`, or DecodeError."""
    found, position = [], 0
    while position < len(body):
        if position + 4 > len(body):
            raise DecodeError("a parameter is cut short")
        kind, length = struct.unpack_from("!HH", body, position)
        if length < 4 or position + length > len(body):
            raise DecodeError("a parameter's length is wrong")
        found.append((kind, body[position + 4 : position + length]))
        position += length + -length % 4
    return found


def abort_reason(causes: list[tuple[int, bytes]]) -> str:
    """What the peer says in an ABORT (User-Initiated Abort, RFC 9260 section 3.3.10.12); empty when nothing."""
    for kind, content in causes:
        if kind == _USER_ABORT:
            return "".join(c for c in content[:200].decode(errors="replace") if c.isprintable())
    return ""


def abort_cause(reason: str) -> tuple[int, bytes]:
    """The cause that carries `reason` in an ABORT."""
    return _USER_ABORT, reason.encode()[:200]
