from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.errors import DecodeError
from atmosphere.sctp import chunks
from atmosphere.sctp.chunks import Init, Sack, Skipped

U16, U32 = st.integers(0, 2**16 - 1), st.integers(0, 2**32 - 1)


@given(st.lists(st.tuples(st.integers(0, 255), st.integers(0, 255), st.binary(max_size=40)), max_size=8))
def test_chunks_come_back(written: list[chunks.Chunk]) -> None:
    body = b"".join(chunks.encode(kind, value, flags) for kind, flags, value in written)
    assert len(body) % 4 == 0
    assert chunks.decode_all(b"head" + body, 4) == written


@given(st.binary(max_size=80))
def test_any_bytes_are_chunks_or_a_decode_error(data: bytes) -> None:
    for decode in (
        chunks.decode_all,
        Init.decode,
        Sack.decode,
        lambda value: chunks.decode_forward(value, interleaved=False),
        lambda value: chunks.decode_forward(value, interleaved=True),
    ):
        try:
            decode(data)
        except DecodeError:
            pass


def test_what_is_cut_short_or_too_much_is_refused() -> None:
    for broken in (b"\0\0\0", b"\0\0\0\3", b"\0\0\0\6\0", chunks.encode(0) * (chunks.MAX_CHUNKS + 1)):
        with pytest.raises(DecodeError):
            chunks.decode_all(broken)


@given(U32, U32, st.lists(U32, max_size=20), st.sets(st.integers(1, 60_000), max_size=60))
def test_a_sack_comes_back(cumulative: int, window: int, duplicates: list[int], edges: set[int]) -> None:
    ends = sorted(edges)[: len(edges) // 2 * 2]
    gaps = tuple(zip(ends[::2], ends[1::2], strict=True))
    (found,) = chunks.decode_all(Sack(cumulative, window, gaps, tuple(duplicates)).encode())
    assert found[0] == chunks.SACK
    assert Sack.decode(found[2]) == Sack(cumulative, window, gaps, tuple(duplicates[: chunks.MAX_DUPLICATES]))


@pytest.mark.parametrize("gaps", [((3, 2),), ((1, 2), (2, 5)), ((0, 1),), ((4, 5), (1, 2))])
def test_ranges_out_of_order_are_refused(gaps: tuple[tuple[int, int], ...]) -> None:
    with pytest.raises(DecodeError, match="order"):
        Sack.decode(chunks.decode_all(Sack(1, 1, gaps).encode())[0][2])


def test_the_largest_sack_fits_a_packet() -> None:
    gaps = tuple((place, place) for place in range(1, 1000, 2))
    assert len(Sack(0, 0, gaps, tuple(range(100))).encode()) < 1176


@given(U32, U32, st.integers(1, 2**16 - 1), st.integers(1, 2**16 - 1), U32, st.binary(max_size=20))
def test_an_init_comes_back(tag: int, window: int, outbound: int, inbound: int, tsn: int, rest: bytes) -> None:
    init = Init(tag or 1, window, outbound, inbound, tsn, rest)
    assert Init.decode(init.encode()) == init


@pytest.mark.parametrize("fields", [(0, 1, 1, 1, 1), (1, 1, 0, 1, 1), (1, 1, 1, 0, 1)])
def test_an_impossible_init_is_refused(fields: tuple[int, int, int, int, int]) -> None:
    with pytest.raises(DecodeError):
        Init.decode(Init(*fields).encode())


@given(U32, st.lists(st.builds(Skipped, U16, U32, st.booleans()), max_size=20))
def test_a_forward_tsn_comes_back(tsn: int, skipped: list[Skipped]) -> None:
    ((kind, _, value),) = chunks.decode_all(chunks.encode_forward(tsn, skipped, interleaved=True))
    assert (kind, chunks.decode_forward(value, interleaved=True)) == (chunks.I_FORWARD_TSN, (tsn, skipped))
    short = [Skipped(one.stream, one.number % 2**16) for one in skipped]
    ((kind, _, value),) = chunks.decode_all(chunks.encode_forward(tsn, short, interleaved=False))
    assert (kind, chunks.decode_forward(value, interleaved=False)) == (chunks.FORWARD_TSN, (tsn, short))
