from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from atmosphere.dtls import records


def record(size: int, kind: int = records.APPLICATION_DATA) -> bytes:
    return bytes([kind, 0xFE, 0xFD]) + bytes(8) + size.to_bytes(2, "big") + bytes(size)


@given(st.lists(st.integers(0, 2000), max_size=8))
def test_split_finds_every_record(sizes: list[int]) -> None:
    parts = [record(size) for size in sizes]
    assert records.split(b"".join(parts)) == parts


@given(st.binary(max_size=200))
def test_split_takes_any_bytes(data: bytes) -> None:
    assert b"".join(records.split(data)) in (b"", data)


@given(st.lists(st.integers(0, 1500), max_size=20))
def test_pack_fills_datagrams_in_order(sizes: list[int]) -> None:
    parts = [record(size) for size in sizes]
    packed = records.pack(parts, 1200)
    assert b"".join(packed) == b"".join(parts)
    assert all(len(datagram) <= 1200 or len(records.split(datagram)) == 1 for datagram in packed)


def test_what_is_dtls() -> None:
    assert records.is_dtls(record(0))
    assert not records.is_dtls(record(0)[:12])
    assert not records.is_dtls(b"\0" * 20)
    assert records.split(record(3)[:-1]) == []
    assert records.split(b"\x16\x03\x03" + bytes(10)) == []
    assert records.split(record(0, kind=30)) == []
