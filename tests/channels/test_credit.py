from __future__ import annotations

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from atmosphere.channels.credit import (
    GRANT_AFTER,
    OVERDRAFT,
    OVERHEAD,
    SPARE,
    WIDE,
    WINDOW,
    WINDOW_MOST,
    ReceiveCredit,
    SendCredit,
    WindowBudget,
    cost,
)
from atmosphere.sctp.interface import MAX_MESSAGE

WHOLE = WINDOW - OVERHEAD
"""The size of a message that costs a whole first window."""


def test_every_message_costs_its_size_and_a_little() -> None:
    assert cost(MAX_MESSAGE) == MAX_MESSAGE + OVERHEAD
    assert cost(0) == OVERHEAD


def test_the_largest_message_overdraws_and_the_next_waits_until_it_is_read() -> None:
    send, receive = SendCredit(), ReceiveCredit()
    assert send.take(0) and receive.arrive(0)
    assert not send.take(MAX_MESSAGE), "a whole window must be free"
    limit = receive.consume(0) or receive.blocked()
    assert limit is not None and send.grant(limit)
    assert send.take(MAX_MESSAGE) and receive.arrive(MAX_MESSAGE)
    assert not send.take(0)
    assert receive.blocked() is None
    limit = receive.consume(MAX_MESSAGE)
    assert limit is not None and send.grant(limit)
    assert send.take(MAX_MESSAGE)


def test_limits_only_grow() -> None:
    credit = SendCredit()
    assert credit.take(WHOLE)
    assert not credit.take(0)
    assert not credit.grant(WINDOW)
    assert credit.grant(WINDOW + OVERHEAD)
    assert not credit.take(1) and credit.take(0) and not credit.take(0)


def test_too_much_is_noticed() -> None:
    credit = ReceiveCredit()
    assert credit.arrive(MAX_MESSAGE)
    assert not credit.arrive(0)
    credit = ReceiveCredit()
    for _ in range(5):
        assert credit.arrive(HALF)
    assert not credit.arrive(MAX_MESSAGE)


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


HALF = WINDOW // 2 - OVERHEAD
"""The size of a message that costs half a first window."""


def fill(credit: ReceiveCredit) -> None:
    """Let a whole window come in."""
    for _ in range(2 * credit.window // WINDOW):
        assert credit.arrive(HALF)


def empty(credit: ReceiveCredit) -> int | None:
    """Read what `fill` let come in; the last limit that was granted."""
    return [credit.consume(HALF) for _ in range(2 * credit.window // WINDOW)][-1]


def test_a_window_grows_when_the_path_makes_the_sender_wait() -> None:
    credit = ReceiveCredit()
    consumed = 0
    while credit.window < WINDOW_MOST:
        window = credit.window
        consumed += window
        fill(credit)
        assert empty(credit) == consumed + window
        assert credit.blocked() == consumed + 2 * window
    fill(credit)
    empty(credit)
    assert credit.blocked() is None
    assert credit.window == WINDOW_MOST


def test_a_window_does_not_grow_when_the_reader_makes_the_sender_wait() -> None:
    credit = ReceiveCredit()
    fill(credit)
    assert credit.blocked() is None
    assert credit.consume(HALF) is not None
    assert credit.blocked() is None
    assert credit.window == WINDOW


def test_a_window_does_not_grow_because_the_peer_only_says_that_it_waits() -> None:
    credit = ReceiveCredit()
    fill(credit)
    empty(credit)
    for _ in range(9):
        credit.blocked()
    assert credit.window == 2 * WINDOW


def test_one_wide_window_does_not_take_all_that_there_is() -> None:
    budget = WindowBudget()
    credits = [ReceiveCredit(budget) for _ in range(6)]
    for credit in credits:
        for _ in range(8):
            fill(credit)
            empty(credit)
            credit.blocked()
    assert credits[0].window == WINDOW_MOST
    assert all(credit.window >= WIDE for credit in credits[:4])
    assert sum(credit.window - WINDOW for credit in credits) == SPARE - budget.spare


def test_windows_share_what_they_grow_by() -> None:
    budget = WindowBudget(WINDOW)
    one, other = ReceiveCredit(budget), ReceiveCredit(budget)
    for credit in (one, other):
        fill(credit)
        empty(credit)
        credit.blocked()
    assert (one.window, other.window, budget.spare) == (2 * WINDOW, WINDOW, 0)
    one.release()
    one.release()
    assert budget.spare == WINDOW
    other.blocked()
    assert other.window == 2 * WINDOW


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
        if to_send and (send._used + min(cost(to_send[0]), WINDOW) <= send._limit or not said):
            ready.append("send")
        match choose(ready):
            case "send":
                if send.take(to_send[0]):
                    flying.append(to_send.popleft())
                else:
                    said = True
                    waiting.append(True)
            case "arrive":
                assert receive.arrive(flying[0])
                held.append(flying.popleft())
                assert sum(map(cost, held)) <= receive.window + OVERDRAFT
            case "read":
                grant(receive.consume(held.popleft()))
            case "limit":
                said = not send.grant(limits.popleft()) and said
            case "blocked":
                waiting.popleft()
                grant(receive.blocked())
