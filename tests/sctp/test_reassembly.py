"""Both ways of putting messages together, by one list of what they must do."""

from __future__ import annotations

import random
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.errors import DecodeError
from atmosphere.sctp.chunks import BEGIN, END, UNORDERED, Skipped
from atmosphere.sctp.interface import MAX_MESSAGE
from atmosphere.sctp.interleaved import InterleavedReassembly
from atmosphere.sctp.ordering import Message
from atmosphere.sctp.reassembly import DataReassembly

Chunk = tuple[int, int, bytes]
KINDS = ["DATA", "I-DATA"]


def fragments(
    kind: str, tsn: int, number: int, parts: list[bytes], *, stream: int = 1, unordered: bool = False
) -> list[Chunk]:
    made = []
    for place, part in enumerate(parts):
        flags = (BEGIN if not place else 0) | (END if place == len(parts) - 1 else 0) | (UNORDERED * unordered)
        if kind == "DATA":
            head = struct.pack("!LHHL", (tsn + place) % 2**32, stream, number, 53)
        else:
            head = struct.pack("!LHHLL", (tsn + place) % 2**32, stream, 0, number, place or 53)
        made.append((tsn + place, flags, head + part))
    return made


def made(kind: str) -> Any:
    return DataReassembly() if kind == "DATA" else InterleavedReassembly()


@pytest.mark.parametrize("kind", KINDS)
@given(sizes=st.lists(st.integers(1, 6), min_size=1, max_size=12), unordered=st.booleans(), rng=st.randoms())
def test_any_order_gives_every_message_once(kind: str, sizes: list[int], unordered: bool, rng: random.Random) -> None:
    chunks: list[Chunk] = []
    wanted = []
    for number, size in enumerate(sizes):
        parts = [rng.randbytes(rng.randrange(1, 9)) for _ in range(size)]
        chunks += fragments(kind, 100 + len(chunks), number, parts, unordered=unordered)
        wanted.append(Message(1, 53, b"".join(parts)))
    rng.shuffle(chunks)
    reassembly = made(kind)
    got = [message for chunk in chunks for message in reassembly.add(*chunk)]
    assert sorted(got) == sorted(wanted)
    assert unordered or got == wanted
    assert reassembly.held == 0


@pytest.mark.parametrize("kind", KINDS)
def test_what_waits_is_counted(kind: str) -> None:
    reassembly = made(kind)
    one, two, three = fragments(kind, 7, 0, [bytes(100), bytes(50), bytes(7)])
    assert reassembly.add(*three) == reassembly.add(*one) == []
    assert 107 < reassembly.held < 500
    assert reassembly.add(*two) == [Message(1, 53, bytes(157))]
    later = fragments(kind, 10, 2, [b"later"])[0]
    assert reassembly.add(*later) == []
    assert reassembly.held > 5
    reassembly.reset(1)
    assert reassembly.held == reassembly.streams == 0


@pytest.mark.parametrize("kind", KINDS)
def test_messages_given_up_are_forgotten(kind: str) -> None:
    reassembly = made(kind)
    first, second = fragments(kind, 1, 0, [b"a", b"b"]), fragments(kind, 3, 1, [b"c"])
    aside = fragments(kind, 4, 0, [b"u", b"v"], unordered=True)
    assert reassembly.add(*first[0]) == reassembly.add(*second[0]) == reassembly.add(*aside[0]) == []
    skipped = [Skipped(1, 0), *([Skipped(1, 0, True)] if kind == "I-DATA" else [])]
    assert reassembly.forward(5, skipped) == [Message(1, 53, b"c")]
    assert reassembly.held == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_that_is_reset_drops_its_halves(kind: str) -> None:
    reassembly = made(kind)
    reassembly.add(*fragments(kind, 1, 0, [b"a", b"b"])[0])
    reassembly.add(*fragments(kind, 9, 0, [b"a", b"b"], stream=2)[0])
    reassembly.reset(1)
    (message,) = reassembly.add(*fragments(kind, 9, 0, [b"a", b"b"], stream=2)[1])
    assert message == Message(2, 53, b"ab")
    assert reassembly.held == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_without_end_is_an_error(kind: str) -> None:
    reassembly = made(kind)
    parts = [bytes(1000)] * (MAX_MESSAGE // 1000 + 2)
    with pytest.raises(DecodeError, match="too large"):
        for chunk in fragments(kind, 1, 0, parts):
            reassembly.add(*chunk)


def test_fragments_of_two_messages_are_an_error() -> None:
    for order in ((0, 1), (1, 0)):
        reassembly = DataReassembly()
        mixed = [fragments("DATA", 1, 0, [b"a", b"b", b"c"])[0], fragments("DATA", 1, 1, [b"a", b"b", b"c"])[1]]
        with pytest.raises(DecodeError, match="mixed"):
            for place in order:
                reassembly.add(*mixed[place])
