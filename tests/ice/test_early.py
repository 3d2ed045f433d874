"""atmosphere.ice.early. With sessions it is in test_session."""

from __future__ import annotations

from atmosphere.ice.early import Early


def test_the_last_few_are_kept_in_order_and_taken_once() -> None:
    early = Early(2)
    assert [early.keep(datagram) for datagram in (b"1", b"2", b"3", b"4")] == [False, False, True, True]
    assert early.take() == [b"3", b"4"]
    assert early.take() == []


def test_what_is_kept_again_while_it_is_taken_waits_for_the_next_time() -> None:
    early = Early(2)
    early.keep(b"1")
    for datagram in early.take():
        early.keep(datagram)
    assert early.take() == [b"1"]
