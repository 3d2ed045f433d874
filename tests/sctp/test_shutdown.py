from __future__ import annotations

from atmosphere.sctp import chunks
from atmosphere.sctp.shutdown import TRIES, Shutdown


def kind(encoded: bytes) -> int | None:
    found = chunks.decode_all(encoded)
    return found[0][0] if found else None


def test_both_sides_end_once_everything_has_arrived() -> None:
    one, other = Shutdown(), Shutdown()
    one.wanted = True
    assert one.chunk(7, 0.0, drained=False) == b""
    assert kind(one.chunk(7, 0.0, drained=True)) == chunks.SHUTDOWN
    assert one.chunk(7, 0.1, drained=True) == b""
    other.received()
    assert other.is_ending and other.chunk(1, 0.0, drained=False) == b""
    assert kind(other.chunk(1, 0.0, drained=True)) == chunks.SHUTDOWN_ACK
    assert kind(one.acknowledged()) == chunks.SHUTDOWN_COMPLETE
    other.completed()
    assert (one.over, other.over) == ("closed", "closed by the peer")
    assert one.chunk(7, 99.0, drained=True) == b""


def test_it_is_said_again_and_not_for_ever() -> None:
    one = Shutdown()
    one.wanted = True
    said = 0
    while not one.over:
        now = one.deadline() or 0.0
        said += bool(one.chunk(7, now, drained=True))
    assert (said, one.over) == (TRIES, "the peer does not answer")


def test_the_end_of_what_was_not_asked_for_is_none() -> None:
    one = Shutdown()
    one.completed()
    assert kind(one.acknowledged()) == chunks.SHUTDOWN_COMPLETE
    assert one.over == "" and one.chunk(1, 0.0, drained=True) == b""


def test_both_at_once() -> None:
    one = Shutdown()
    one.wanted = True
    one.chunk(7, 0.0, drained=True)
    one.received()
    assert kind(one.chunk(7, 0.0, drained=True)) == chunks.SHUTDOWN_ACK
    one.completed()
    assert one.over == "closed"
