from __future__ import annotations

from typing import Any

import pytest

from atmosphere.stun.library import ADDED, FAMILY_IPV4, FAMILY_IPV6, Entry

VALUES: dict[str, Any] = {
    "UNKNOWN-ATTRIBUTES": (0x7001, 0x7002),
    "REQUESTED-ADDRESS-FAMILY": FAMILY_IPV6,
    "EVEN-PORT": 0x80,
    "DONT-FRAGMENT": None,
    "MESSAGE-INTEGRITY-SHA256": bytes(32),
    "PASSWORD-ALGORITHM": (2, b""),
    "USERHASH": bytes(range(32)),
    "RESERVATION-TOKEN": b"12345678",
    "PADDING": b"\0" * 9,
    "RESPONSE-PORT": 3479,
    "ADDITIONAL-ADDRESS-FAMILY": FAMILY_IPV6,
    "ADDITIONAL-ADDRESS-FAMILY-OLD": FAMILY_IPV6,
    "PASSWORD-ALGORITHMS": ((2, b""), (1, b""), (7, b"salt!")),
    "ALTERNATE-SERVER": ("2001:db8::1", 3478),
    "CACHE-TIMEOUT": 3600,
    "NOMINATION": 7,
    "DOUBT": 7,
}


@pytest.mark.parametrize("entry", ADDED, ids=lambda entry: entry[1])
def test_what_is_written_is_read(entry: Entry) -> None:
    value = VALUES[entry[1]]
    assert entry[3](entry[2](value)) == value


def test_empty_values_are_read() -> None:
    by_name = {entry[1]: entry for entry in ADDED}
    assert by_name["EVEN-PORT"][3](b"") == 0
    assert by_name["UNKNOWN-ATTRIBUTES"][3](b"\0") == ()


def test_a_family_is_the_first_of_four_bytes() -> None:
    assert FAMILY_IPV4.to_bytes(4) == b"\x01\0\0\0"
    assert FAMILY_IPV6.to_bytes(4) == b"\x02\0\0\0"
