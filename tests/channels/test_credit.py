from __future__ import annotations

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from atmosphere.channels.credit import GRANT_AFTER, OVERHEAD, WINDOW, ReceiveCredit, SendCredit, cost
from atmosphere.sctp.interface import MAX_MESSAGE


def test_the_largest_message_costs_the_whole_window() -> None:
    assert cost(MAX_MESSAGE) == WINDOW
    assert cost(0) == OVERHEAD


def test_limits_only_grow() -> None:
    credit = SendCredit()
    assert credit.allows(MAX_MESSAGE)
    credit.take(MAX_MESSAGE)
    assert not credit.allows(0)
    assert not credit.grant(WINDOW)
    assert credit.grant(WINDOW + OVERHEAD)
    assert credit.allows(0) and not credit.allows(1)


def test_too_much_is_noticed() -> None:
    credit = ReceiveCredit()
    assert credit.arrive(MAX_MESSAGE)
    assert not credit.arrive(0)


def test_grants_come_by_the_quarter_or_when_the_peer_waits() -> None:
    credit = ReceiveCredit()
    assert credit.blocked() is None
    for _ in range(2):
        credit.arrive(1000)
    assert credit.consume(1000) is None
    assert credit.consume(1000) == WINDOW + 2 * (1000 + OVERHEAD)
    credit.arrive(GRANT_AFTER)
    assert credit.consume(GRANT_AFTER) == WINDOW + 2 * (1000 + OVERHEAD) + GRANT_AFTER + OVERHEAD
    credit.arrive(10)
    assert credit.consume(10) is None
    assert credit.blocked() is not None


@given(st.lists(st.integers(0, MAX_MESSAGE), max_size=30), st.randoms(use_true_random=False))
def test_everything_passes_in_the_end_and_the_window_holds(sizes: list[int], random: object) -> None:
    """Whatever the sizes and the order of events: the sender never waits for ever, the reader never holds too much."""
    choose = getattr(random, "choice")  # noqa: B009 - hypothesis gives its own kind of Random
    send, receive = SendCredit(), ReceiveCredit()
    to_send, flying, held = deque(sizes), deque[int](), deque[int]()
    limits: deque[int] = deque()
    waiting: deque[bool] = deque()
    said = False

    def grant(limit: int | None) -> None:
        if limit is not None:
            limits.append(limit)

    while to_send or flying or held:
        ready = [
            name
            for name, queue in (("arrive", flying), ("read", held), ("limit", limits), ("blocked", waiting))
            if queue
        ]
        if to_send and (send.allows(to_send[0]) or not said):
            ready.append("send")
        match choose(ready):
            case "send":
                if send.allows(to_send[0]):
                    send.take(to_send[0])
                    flying.append(to_send.popleft())
                else:
                    said = True
                    waiting.append(True)
            case "arrive":
                assert receive.arrive(flying[0])
                held.append(flying.popleft())
                assert sum(map(cost, held)) <= WINDOW
            case "read":
                grant(receive.consume(held.popleft()))
            case "limit":
                said = not send.grant(limits.popleft()) and said
            case "blocked":
                waiting.popleft()
                grant(receive.blocked())
