from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.errors import DecodeError
from atmosphere.sctp import chunks, packet
from atmosphere.sctp.incoming import chunks_of

OURS, THEIRS = 11, 22


def heard(tag: int, *kinds: int, flags: int = 0, peer: int = THEIRS) -> bool:
    body = b"".join(chunks.encode(kind, b"", flags) for kind in kinds)
    try:
        found = chunks_of(packet.seal(packet.head(tag), body), OURS, peer, zero_checksum=False)
    except DecodeError:
        return False
    return [kind for kind, _, _ in found] == list(kinds)


@pytest.mark.parametrize("kind", [chunks.DATA, chunks.SACK, chunks.ABORT, chunks.INIT_ACK, chunks.COOKIE_ACK])
def test_a_packet_has_our_tag(kind: int) -> None:
    assert heard(OURS, kind)
    assert not heard(THEIRS, kind) and not heard(0, kind)


def test_an_init_has_none_and_is_alone() -> None:
    assert heard(0, chunks.INIT) and not heard(OURS, chunks.INIT)
    assert not heard(0, chunks.INIT, chunks.DATA) and not heard(OURS, chunks.DATA, chunks.SHUTDOWN_COMPLETE)


def test_who_knows_no_tag_may_reflect_his_own() -> None:
    for kind in (chunks.ABORT, chunks.SHUTDOWN_COMPLETE):
        assert heard(THEIRS, kind, flags=chunks.TAG_REFLECTED)
        assert not heard(0, kind, flags=chunks.TAG_REFLECTED, peer=0)
    assert not heard(THEIRS, chunks.DATA, flags=1)
    assert heard(99, chunks.COOKIE_ECHO)


@given(st.binary(max_size=60))
def test_any_bytes_are_heard_or_not(data: bytes) -> None:
    for made in (data, packet.seal(packet.head(OURS), data)):
        try:
            chunks_of(made, OURS, THEIRS, zero_checksum=True)
        except DecodeError:
            pass
