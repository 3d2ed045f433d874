from __future__ import annotations

import random

import pytest

from atmosphere.errors import DecodeError
from atmosphere.sctp import chunks
from atmosphere.sctp.pieces import MAX_JOINING, MAX_WHOLE, Joiner, split

CHUNK = chunks.encode(chunks.I_DATA, (77).to_bytes(4) + random.Random(1).randbytes(9000))


def values(room: int) -> list[bytes]:
    """The pieces as they come in, without their headers."""
    pieces = split(CHUNK, room)
    assert all(len(piece) <= room and len(piece) % 4 == 0 for piece in pieces)
    return [value for piece in pieces for _, _, value in chunks.decode_all(piece)]


@pytest.mark.parametrize("room", [1176, 1177, 200, 20_000])
@pytest.mark.parametrize("seed", range(5))
def test_pieces_in_any_order_make_the_chunk(room: int, seed: int) -> None:
    joiner, pieces = Joiner(), values(room)
    random.Random(seed).shuffle(pieces)
    assert [whole for piece in pieces if (whole := joiner.add(piece))] == [CHUNK]


def test_pieces_of_two_sizes_and_repeated_ones_make_it_too() -> None:
    joiner = Joiner()
    first, second = values(1176)[:4], values(500)
    found = [whole for piece in [*first, *first, *second] if (whole := joiner.add(piece))]
    assert found == [CHUNK]


def test_what_is_never_completed_is_forgotten() -> None:
    joiner = Joiner()
    for tsn in range(MAX_JOINING * 3):
        assert joiner.add(tsn.to_bytes(4) + bytes(2) + (16_000).to_bytes(2) + bytes(1000)) == b""
    assert len(joiner._joining) == MAX_JOINING


@pytest.mark.parametrize(
    "value",
    [b"", bytes(8), bytes(6) + (10).to_bytes(2) + bytes(11), bytes(6) + (MAX_WHOLE + 1).to_bytes(2) + bytes(1)],
    ids=["empty", "no bytes", "beyond its end", "too large"],
)
def test_what_is_no_piece(value: bytes) -> None:
    with pytest.raises(DecodeError):
        Joiner().add(value)
