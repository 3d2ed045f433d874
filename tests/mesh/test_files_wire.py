from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.errors import DecodeError
from atmosphere.mesh import files_wire as wire
from tests.mesh.streams import pair

SENT: list[wire.Sent] = [
    wire.Begin(1, 2, None),
    wire.Item("name", True, bytes(16)),
    wire.Folder(["a", "b"]),
    wire.File([], 5, False, True),
    wire.Start(7),
    wire.Sum(bytes(32), "torn"),
    wire.ItemEnd(),
    wire.End(),
]
RETURNED: list[wire.Returned] = [wire.Answer(3, bytes(32)), wire.Done("no", "a/b"), wire.Placed("name (1)")]


def test_messages_and_back() -> None:
    for sent in SENT:
        assert wire.decode_sent(wire.encode(sent)[4:]) == sent
    for returned in RETURNED:
        assert wire.decode_returned(wire.encode(returned)[4:]) == returned


def test_each_side_says_its_own() -> None:
    with pytest.raises(DecodeError):
        wire.decode_sent(wire.encode(RETURNED[0])[4:])
    with pytest.raises(DecodeError):
        wire.decode_returned(wire.encode(SENT[0])[4:])


@given(st.binary(max_size=100) | st.just(b"\x91" * 5000))
def test_any_bytes_are_a_message_or_a_decode_error(data: bytes) -> None:
    for decode in (wire.decode_sent, wire.decode_returned):
        try:
            message = decode(data)
        except DecodeError:
            continue
        assert decode(wire.encode(message)[4:]) == message


async def test_reading_from_a_stream() -> None:
    here, there = pair()
    here.write(wire.encode(SENT[1]) + wire.encode(RETURNED[1]) + wire.piece(b"content") + wire.piece(b""))
    assert await wire.read_sent(there) == SENT[1]
    assert await wire.read_returned(there) == RETURNED[1]
    assert await wire.read_piece(there) == b"content"
    assert await wire.read_piece(there) == b""
    here.write((wire.MAX_MESSAGE + 1).to_bytes(4) + (wire.MAX_PIECE + 1).to_bytes(4) + b"\x00\x00\x00\x05ab")
    with pytest.raises(DecodeError):
        await wire.read_sent(there)
    with pytest.raises(DecodeError):
        await wire.read_piece(there)
    await here.write_eof()
    with pytest.raises(asyncio.IncompleteReadError):
        await wire.read_piece(there)


def test_a_peer_s_words() -> None:
    assert wire.printable("no \x1b[31mroom\n" + "x" * 300) == "no ?[31mroom?" + "x" * 243
