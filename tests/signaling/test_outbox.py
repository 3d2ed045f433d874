from __future__ import annotations

from signaling.outbox import Outbox


def test_a_request_waits_until_it_is_answered() -> None:
    outbox: Outbox[str] = Outbox(2)
    first, second = outbox.new_ref(), outbox.new_ref()
    outbox.add(first, b"1", "a")
    outbox.add(second, b"2", "b")
    full = outbox.is_full
    assert full
    assert list(outbox) == [b"1", b"2"]
    assert outbox.pop(first) == "a"
    assert outbox.pop(first) is None
    assert outbox.pop(None) is None
    assert outbox.pop(99) is None
    assert len(outbox) == 1
    assert outbox.pop_all() == ["b"]
    assert len(outbox) == 0


def test_requests_about_something_are_withdrawn() -> None:
    outbox: Outbox[str] = Outbox(9, last_ref=40)
    for waiter, about in (("a", "t"), ("b", None), ("c", "u"), ("d", "t")):
        outbox.add(outbox.new_ref(), waiter.encode(), waiter, about)
    assert outbox.withdraw("t") == ["a", "d"]
    assert outbox.withdraw("t") == []
    assert list(outbox) == [b"b", b"c"]
    assert outbox.pop(42) == "b"
