from __future__ import annotations

from atmosphere.channels.inbound import MAX_OPEN, Backlog, Inbound


def test_what_comes_before_the_handler_waits_for_it() -> None:
    backlog: Backlog[int] = Backlog()
    backlog.offer(1)
    backlog.set_handler(None)
    backlog.offer(2)
    got: list[int] = []
    backlog.set_handler(got.append)
    backlog.offer(3)
    assert got == [1, 2, 3]


def test_the_peer_may_open_so_many_at_once() -> None:
    inbound = Inbound()
    assert all(inbound.admit(handle) for handle in range(MAX_OPEN))
    assert not inbound.admit(MAX_OPEN)
    inbound.release(3)
    inbound.release(3)
    assert inbound.admit(MAX_OPEN)
    assert not inbound.admit(3)
