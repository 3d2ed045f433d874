from __future__ import annotations

from atmosphere.sctp import chunks
from atmosphere.sctp.chunks import MAX_SKIPPED, Skipped
from atmosphere.sctp.flight import Batch, Flight
from atmosphere.sctp.limited import Abandonment
from atmosphere.sctp.outgoing import Outgoing, OutgoingQueue

FIRST = 100


def sent(*messages: Outgoing, interleaved: bool = True) -> tuple[Flight, Abandonment]:
    flight = Flight(FIRST)
    for message in messages:
        message.fragment = 1
        flight.add(Batch(flight.next, 1, 4, b"data", message, 1.0))
    return flight, Abandonment(flight, OutgoingQueue(), interleaved=interleaved)


def owed(abandonment: Abandonment) -> bool:
    return abandonment.is_owed


def told(chunk: bytes | None) -> tuple[int, list[Skipped]]:
    assert chunk is not None
    ((kind, _, value),) = chunks.decode_all(chunk)
    return chunks.decode_forward(value, interleaved=kind == chunks.I_FORWARD_TSN)


def test_a_message_is_sent_as_often_as_it_may_be() -> None:
    flight, abandonment = sent(Outgoing(1, 53, b"x", most_sent=2), Outgoing(1, 53, b"x"))
    for tsn in (FIRST, FIRST + 1):
        flight.lose(tsn)
        assert abandonment.give_up_or_resend(tsn, 2.0)
        flight.resend(tsn, 2.0)
        flight.lose(tsn)
    assert not owed(abandonment)
    assert not abandonment.give_up_or_resend(FIRST, 3.0)
    assert abandonment.give_up_or_resend(FIRST + 1, 3.0)
    assert owed(abandonment)
    assert told(abandonment.forward()) == (FIRST, [Skipped(1, 0)])
    assert not owed(abandonment)


def test_a_message_is_sent_as_long_as_it_may_be() -> None:
    flight, abandonment = sent(Outgoing(1, 53, b"x", expires=5.0, unordered=True))
    flight.lose(FIRST)
    assert abandonment.give_up_or_resend(FIRST, 4.9)
    assert not abandonment.give_up_or_resend(FIRST, 5.0)
    assert told(abandonment.forward()) == (FIRST, [Skipped(1, 0, True)])


def test_it_is_told_until_the_peer_has_moved_on() -> None:
    flight, abandonment = sent(Outgoing(1, 53, b"x", most_sent=1), Outgoing(1, 53, b"x"))
    flight.lose(FIRST)
    abandonment.give_up_or_resend(FIRST, 2.0)
    abandonment.forward()
    abandonment.answered()
    assert owed(abandonment)
    abandonment.forward()
    abandonment.repeat()
    assert owed(abandonment)
    flight.acknowledge(FIRST, ())
    abandonment.answered()
    assert not owed(abandonment)
    assert abandonment.forward() is None


def test_without_interleaving_unordered_messages_are_not_named() -> None:
    flight, abandonment = sent(Outgoing(1, 53, b"x", most_sent=1, unordered=True), interleaved=False)
    flight.lose(FIRST)
    abandonment.give_up_or_resend(FIRST, 2.0)
    assert told(abandonment.forward()) == (FIRST, [])


def test_very_many_streams_take_more_than_one_chunk() -> None:
    messages = [Outgoing(stream, 53, b"x", most_sent=1) for stream in range(3 * MAX_SKIPPED)]
    flight, abandonment = sent(*messages)
    for tsn in range(FIRST, FIRST + len(messages)):
        flight.lose(tsn)
        abandonment.give_up_or_resend(tsn, 2.0)
    reached, rounds = FIRST - 1, 0
    while flight:
        tsn, skipped = told(abandonment.forward())
        assert tsn > reached and len(skipped) == tsn - reached <= MAX_SKIPPED
        reached, rounds = tsn, rounds + 1
        flight.acknowledge(tsn, ())
        abandonment.answered()
    assert rounds >= 3
