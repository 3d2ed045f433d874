from __future__ import annotations

from atmosphere.sctp.flight import ABANDONED, ACKED, LOST, RESENT, SENT, Batch, Flight
from atmosphere.sctp.outgoing import Outgoing

FIRST = 100


def flight(*counts: int) -> Flight:
    made = Flight(FIRST)
    for place, count in enumerate(counts):
        message = Outgoing(place, 53, b"")
        message.fragment = count
        data = b"".join(b"%04d" % (made.next + n) for n in range(count))
        made.add(Batch(made.next, count, 4, data, message, 10.0 + place, stride=4))
    return made


def test_what_is_acknowledged_in_order_is_gone() -> None:
    made = flight(3, 4)
    assert made.outstanding == 28
    acked = made.acknowledge(FIRST + 4, ())
    assert (acked.size, acked.latest, acked.again, acked.highest) == (20, 11.0, None, FIRST + 5)
    assert (made.base, made.next, made.outstanding) == (FIRST + 5, FIRST + 7, 8)
    assert made.batch(FIRST + 5).chunk(FIRST + 5) == b"0105"
    assert not made.acknowledge(FIRST - 1, ()).highest
    made.acknowledge(FIRST + 6, ())
    assert not made and made.outstanding == 0


def test_gaps_count_once() -> None:
    made = flight(10)
    assert made.acknowledge(FIRST - 1, ((3, 4), (6, 6))).size == 12
    assert made.acknowledge(FIRST - 1, ((3, 4), (6, 6))).size == 0
    assert bytes(made.state) == bytes([SENT, SENT, ACKED, ACKED, SENT, ACKED] + [SENT] * 4)
    assert made.high_acked == FIRST + 6
    assert made.holes(SENT) == [FIRST, FIRST + 1, FIRST + 4]
    assert made.acknowledge(FIRST + 4, ((1, 2),)).size == 16
    assert made.outstanding == 12


def test_what_is_lost_is_sent_again_and_its_time_is_not_certain() -> None:
    made = flight(4)
    assert made.lose(FIRST + 1) == 4
    assert made.lose(FIRST + 1) == 0
    assert (made.first_lost(), made.lost, made.outstanding) == (FIRST + 1, 1, 12)
    assert made.resend(FIRST + 1, 20.0) == b"0101"
    assert (made.first_lost(), made.lost, made.outstanding) == (None, 0, 16)
    assert made.last_outstanding() == FIRST + 3
    assert made.lose(FIRST + 1) == 4 and not made.resent
    made.resend(FIRST + 1, 21.0)
    acked = made.acknowledge(FIRST + 1, ())
    assert (acked.size, acked.latest, acked.again) == (8, 10.0, 21.0)
    assert made.lose_all() == 8 and made.lost == 2
    acked = made.acknowledge(FIRST + 2, ((1, 1),))
    assert (acked.size, acked.latest, acked.again) == (8, None, None)
    assert made.lost == made.outstanding == 0
    assert made.state[:1] == bytes([ACKED])


def test_a_message_is_given_up_whole() -> None:
    made = flight(2, 3, 1)
    made.acknowledge(FIRST - 1, ((3, 3),))
    made.lose(FIRST + 3)
    message = made.batch(FIRST + 3).message
    made.abandon(message, FIRST + 3)
    assert bytes(made.state) == bytes([SENT, SENT, ACKED, ABANDONED, ABANDONED, SENT])
    assert made.abandoned_to() == FIRST - 1
    made.acknowledge(FIRST + 1, ((1, 1),))
    assert made.abandoned_to() == FIRST + 4
    assert made.given_up(FIRST + 4) == [message]
    assert made.outstanding == 4 and made.lost == 0
    made.abandon(made.batch(FIRST + 5).message, FIRST + 5)
    assert (made.abandoned_to(), made.outstanding) == (FIRST + 5, 0)
    made.acknowledge(FIRST + 5, ())
    assert not made


def test_clearing_leaves_nothing() -> None:
    made = flight(3)
    made.lose(FIRST)
    made.resend(FIRST, 1.0)
    made.clear()
    assert not made and not made.resent
    assert (made.outstanding, made.lost, made.next, made.first_lost(), made.last_outstanding()) == (
        0,
        0,
        FIRST + 3,
        None,
        None,
    )


def test_states_differ() -> None:
    assert len({SENT, ACKED, LOST, RESENT, ABANDONED}) == 5
