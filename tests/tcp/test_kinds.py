from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from atmosphere.ice.tcp_framing import frame
from atmosphere.stun.message import Class, Message, Method, encode
from atmosphere.tcp.kinds import FRAMED_BEGINNING, is_framed, kind_of


def test_every_first_byte() -> None:
    kinds = {first: kind_of(first) for first in range(256)}
    assert {first for first, kind in kinds.items() if kind == "turn"} == {0, 1, 2, 3, 0x40}
    assert {first for first, kind in kinds.items() if kind == "tls"} == {0x16}
    assert {chr(first) for first, kind in kinds.items() if kind == "http"} == {
        *"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    }


CHECK = encode(Message(Method.BINDING, Class.REQUEST, attributes={"USERNAME": "abcd:efgh"}))
ALLOCATE = encode(Message(Method.ALLOCATE, Class.REQUEST))


def test_a_framed_message_is_told_from_a_bare_one() -> None:
    assert kind_of(frame(CHECK)[0]) == kind_of(CHECK[0]) == "turn"
    for message in (CHECK, ALLOCATE):
        assert [is_framed(frame(message)[:size]) for size in range(12)] == [None] * FRAMED_BEGINNING + [True] * 2
        assert [is_framed(message[:size]) for size in range(12)] == [None] * 8 + [False] * 4


@given(st.binary(min_size=FRAMED_BEGINNING, max_size=40))
def test_ten_bytes_tell(data: bytes) -> None:
    assert is_framed(data) is (data[4:8] != b"\x21\x12\xa4\x42" and data[6:10] == b"\x21\x12\xa4\x42")
