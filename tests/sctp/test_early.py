from __future__ import annotations

from atmosphere.sctp.early import MAX_BYTES, MAX_MESSAGES, EarlyMessages


def test_messages_are_kept_by_stream_and_taken_once() -> None:
    early = EarlyMessages()
    early.hold(1, 53, b"a")
    early.hold(2, 51, b"b")
    early.hold(1, 53, b"c")
    assert early.take(1) == [(53, b"a"), (53, b"c")]
    assert early.take(1) == []
    assert early.take(2) == [(51, b"b")]


def test_the_store_is_bounded_and_room_comes_back() -> None:
    early = EarlyMessages()
    for index in range(MAX_MESSAGES + 3):
        early.hold(index, 53, b"")
    assert early.dropped == 3
    early.take(0)
    early.hold(0, 53, bytes(MAX_BYTES))
    early.take(1)
    early.hold(1, 53, b"x")
    assert early.dropped == 4
    assert len(early.take(0)) == 1
