from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from atmosphere.turn.server.bursts import (
    MALFORMED,
    NOT_CHANNEL_DATA,
    Run,
    frames,
    message_runs,
    pieces,
    runs,
)
from atmosphere.udp.window import Window
from tests.turn.server.script import channel_data

Flat = tuple[int, list[bytes], int]


def flat(found: list[Run]) -> list[Flat]:
    return [(number, [bytes(part) for part in parts], size) for number, parts, size in found]


def taken(data: bytes, segment: int) -> list[Flat]:
    return flat(list(runs(Window(data), len(data), segment)))


A, B = 0x4000, 0x4FFF


def test_one_datagram() -> None:
    assert taken(channel_data(A, b"x"), 5) == [(A, [b"x"], 1)]
    assert taken(channel_data(A, b"x", 3), 8) == [(A, [b"x"], 1)]
    assert taken(channel_data(A, b""), 4) == [(A, [b""], 0)]
    assert taken(b"", 0) == [(NOT_CHANNEL_DATA, [b""], 0)]
    assert taken(b"\x00\x01stun", 6) == [(NOT_CHANNEL_DATA, [b"\x00\x01stun"], 6)]
    assert taken(b"\x40\x00\x00", 3)[0][0] == taken(b"\x40\x00\x00\x02x", 5)[0][0] == MALFORMED


def test_a_burst_of_one_channel_is_one_run_with_its_tail() -> None:
    data = b"".join(channel_data(A, bytes([n]) * 10) for n in range(5))
    assert taken(data, 14) == [(A, [bytes([n]) * 10 for n in range(5)], 10)]
    assert taken(data + channel_data(A, b"tail"), 14) == [(A, [*(bytes([n]) * 10 for n in range(5)), b"tail"], 10)]
    padded = b"".join(channel_data(A, bytes([n]) * 10, 2) for n in range(5))
    assert taken(padded, 16) == [(A, [bytes([n]) * 10 for n in range(5)], 10)]


def test_a_tail_of_another_kind_is_a_run_of_its_own() -> None:
    data = channel_data(A, b"0123456789") * 3
    for tail, run in (
        (channel_data(B, b"x"), (B, [b"x"], 1)),
        (channel_data(A, b""), (A, [b""], 0)),
        (channel_data(A, b"x", 3), (A, [b"x"], 1)),
        (b"\x00stun", (NOT_CHANNEL_DATA, [b"\x00stun"], 5)),
        (b"\x40\x00\x00", (MALFORMED, [b"\x40\x00\x00"], 3)),
    ):
        assert taken(data + tail, 14) == [(A, [b"0123456789"] * 3, 10), run]


def test_a_mixed_burst_is_split() -> None:
    parts = [channel_data(A, b"aaaa"), channel_data(A, b"bbbb"), channel_data(B, b"cccc"), b"\x00\x01567890"]
    assert taken(b"".join(parts), 8) == [
        (A, [b"aaaa", b"bbbb"], 4),
        (B, [b"cccc"], 4),
        (NOT_CHANNEL_DATA, [b"\x00\x01567890"], 8),
    ]
    shorter = [channel_data(A, b"aaaa"), channel_data(A, b"bb", 2)]
    assert taken(b"".join(shorter), 8) == [(A, [b"aaaa"], 4), (A, [b"bb"], 2)]


def one_by_one(messages: list[bytes]) -> list[tuple[int, bytes]]:
    """What the datagrams mean, each alone."""
    found = []
    for message in messages:
        number, length = int.from_bytes(message[:2]), int.from_bytes(message[2:4])
        if not message or not 0x40 <= message[0] <= 0x4F:
            found.append((NOT_CHANNEL_DATA, message))
        elif len(message) < 4 or 4 + length > len(message):
            found.append((MALFORMED, message))
        else:
            found.append((number, message[4 : 4 + length]))
    return found


datagram = st.builds(
    channel_data, st.sampled_from([A, B, 0x5000]), st.binary(max_size=12), st.integers(0, 3)
) | st.binary(max_size=12)


@given(st.lists(datagram, min_size=1, max_size=6), st.integers(0, 20))
def test_a_burst_means_what_its_datagrams_mean(messages: list[bytes], segment: int) -> None:
    data = b"".join(messages)
    split = [data[start : start + segment] for start in range(0, len(data), segment)] if segment else [data]
    found = taken(data, segment)
    assert [(number, part) for number, parts, _ in found for part in parts] == one_by_one(split or [data])
    for number, parts, size in found:
        if number > 0:
            assert all(len(part) == size for part in parts[:-1])
            assert 0 < len(parts[-1]) <= size or len(parts) == 1


@given(st.lists(datagram, min_size=1, max_size=6))
def test_so_do_messages_of_a_connection(messages: list[bytes]) -> None:
    found = flat(message_runs(messages))
    assert [(number, part) for number, parts, _ in found for part in parts] == one_by_one(messages)


@given(st.integers(1, 20), st.integers(1, 50), st.integers(0, 50))
def test_framing_a_burst(count: int, size: int, rest: int) -> None:
    parts = tuple([b"x" * size] * count + ([b"y" * min(rest, size)] if rest else []))
    expected = [channel_data(A, part) for part in parts]
    assert frames(A, parts) == expected
    assert b"".join(pieces(A, parts, size)) == b"".join(expected)
