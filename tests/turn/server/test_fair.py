from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from atmosphere.turn.server.fair import FairQueues, Waiting

TO = ("203.0.113.1", 1)


def burst(text: bytes) -> Waiting:
    return text, len(text), TO


def drain(queues: FairQueues[str]) -> list[bytes]:
    found = []
    while (taken := queues.take()) is not None:
        found.append(taken[1][0])
    return found


def test_users_take_turns() -> None:
    queues = FairQueues[str](100, 1000)
    for text in (b"a1", b"a2", b"a3"):
        assert queues.put("a", burst(text))
    assert queues.put("b", burst(b"b1"))
    assert queues.size == 8
    assert drain(queues) == [b"a1", b"b1", b"a2", b"a3"]
    assert (queues.size, bool(queues)) == (0, False)


def test_each_and_all_are_bounded() -> None:
    queues = FairQueues[str](10, 15)
    assert queues.put("a", burst(b"0123456789"))
    assert not queues.put("a", burst(b"x"))
    assert queues.put("b", burst(b"01234"))
    assert not queues.put("c", burst(b"x"))


def test_what_was_put_back_comes_first() -> None:
    queues = FairQueues[str](100, 100)
    queues.put("a", burst(b"a1"))
    queues.put("a", burst(b"a2"))
    queues.put("b", burst(b"b1"))
    assert (taken := queues.take()) is not None
    queues.put_back("a", burst(b"1"))
    assert taken[1][0] == b"a1"
    assert drain(queues) == [b"1", b"b1", b"a2"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.binary(min_size=1, max_size=8))))
def test_nothing_is_lost_that_was_taken_in(puts: list[tuple[str, bytes]]) -> None:
    queues = FairQueues[str](20, 40)
    kept = [(key, text) for key, text in puts if queues.put(key, burst(text))]
    found = []
    while (taken := queues.take()) is not None:
        found.append((taken[0], taken[1][0]))
    for key in "abc":
        assert [text for one, text in found if one == key] == [text for one, text in kept if one == key]
    assert queues.size == 0
