"""DTLS records on the outside: where one ends and the next begins (RFC 6347 section 4.1).

```
 0        1        3        5                11       13
+--------+--------+--------+----------------+--------+----------- …
| type   | version| epoch  | sequence       | length | fragment
+--------+--------+--------+----------------+--------+----------- …
```
"""

from __future__ import annotations

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA = 20, 21, 22, 23
HEADER = 13
VERSION = b"\xfe\xfd"
"""DTLS 1.2, on the wire."""
EPOCH = 1 << 48
"""The first number of epoch 1, the only one that has keys; a record's number is its epoch and sequence in one."""
_TYPES = frozenset((CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA))


def is_dtls(datagram: bytes) -> bool:
    """Whether a datagram belongs to DTLS rather than to STUN, TURN or SRTP (RFC 7983)."""
    return len(datagram) >= HEADER and 20 <= datagram[0] <= 63


def split(datagram: bytes) -> list[bytes]:
    """The records of one datagram; empty when any of them is not a DTLS 1.x record or is cut short."""
    records: list[bytes] = []
    position = 0
    while position < len(datagram):
        end = position + HEADER + int.from_bytes(datagram[position + 11 : position + HEADER], "big")
        if end > len(datagram) or position + HEADER > len(datagram):
            return []
        if datagram[position] not in _TYPES or datagram[position + 1] != 0xFE:
            return []
        records.append(datagram[position:end])
        position = end
    return records


def pack(records: list[bytes], mtu: int) -> list[bytes]:
    """The records, in their order, in as few datagrams of at most `mtu` bytes as possible."""
    datagrams: list[bytes] = []
    for record in records:
        if datagrams and len(datagrams[-1]) + len(record) <= mtu:
            datagrams[-1] += record
        else:
            datagrams.append(record)
    return datagrams


def number(record: bytes) -> int:
    """A record's epoch and sequence number in one."""
    return int.from_bytes(record[3:11])
