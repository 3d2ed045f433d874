from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.errors import DecodeError
from atmosphere.ice.portmapping.natpmp import AddressAnswer, MapAnswer, decode, map_request

HEAD = b"\x00\x80\x00\x00\x00\x00\x12\x34"


@given(data=st.binary(max_size=40))
def test_arbitrary_bytes(data: bytes) -> None:
    for whole in (data, b"\x00\x81" + data, b"\x00\x80\0\0" + data):
        try:
            answer = decode(whole)
        except DecodeError:
            continue
        assert isinstance(answer, AddressAnswer | MapAnswer)


def test_the_outer_address() -> None:
    assert decode(HEAD + bytes([203, 0, 113, 9])) == AddressAnswer(0, 0x1234, "203.0.113.9")
    assert decode(b"\x00\x80\x00\x03\x00\x00\x12\x34") == AddressAnswer(3, 0x1234, None)


def test_a_mapping() -> None:
    assert map_request("udp", 7777, 7777, 7200) == b"\x00\x01\x00\x00\x1e\x61\x1e\x61\x00\x00\x1c\x20"
    assert map_request("tcp", 7777, 0, 0) == b"\x00\x02\x00\x00\x1e\x61\x00\x00\x00\x00\x00\x00"
    answer = b"\x00\x82\x00\x00\x00\x00\x00\x05\x1e\x61\x11\x5c\x00\x00\x1c\x20"
    assert decode(answer) == MapAnswer("tcp", 0, 5, 7777, 4444, 7200)
    assert decode(b"\x00\x81\x00\x02\x00\x00\x00\x05") == MapAnswer("udp", 2, 5)


@pytest.mark.parametrize(
    "wrong",
    [b"", HEAD, b"\x00\x00" + HEAD, b"\x02\x80" + bytes(20), b"\x00\x81" + HEAD[2:], b"\x00\x85" + bytes(20)],
    ids=["empty", "no address", "a request", "PCP", "no mapping", "an unknown opcode"],
)
def test_what_is_no_answer(wrong: bytes) -> None:
    with pytest.raises(DecodeError):
        decode(wrong)
