from __future__ import annotations

import pytest

from atmosphere.sctp import chunks, packet
from atmosphere.sctp.build import Builder, Burst
from atmosphere.sctp.chunks import Sack
from atmosphere.sctp.outgoing import Outgoing, OutgoingQueue
from atmosphere.sctp.sender import Sender

FIRST = 1000


def sender(window: int = 4_000_000) -> Sender:
    queue = OutgoingQueue()
    builder = Builder(7, interleaved=True, zero_checksum=True)
    return Sender(queue, builder, FIRST, window, interleaved=True)


def tsns(bursts: list[Burst]) -> list[int]:
    found = []
    for data, segment in bursts:
        for start in range(0, len(data), segment):
            for kind, _, value in chunks.decode_all(data[start : start + segment], packet.HEADER):
                if kind == chunks.I_DATA:
                    found.append(int.from_bytes(value[:4]))
    return found


def drain(made: Sender, now: float) -> list[int]:
    found: list[int] = []
    while bursts := made.transmit(now):
        found += tsns(bursts)
    return found


def spread(made: Sender, start: float, end: float) -> list[int]:
    """What goes out between two moments, as far as the pace lets it."""
    return [tsn for step in range(11) for tsn in drain(made, start + (end - start) * step / 10)]


def filled(window: int = 4_000_000) -> Sender:
    made = sender(window)
    for _ in range(40):
        made.queue.push(Outgoing(1, 53, bytes(60_000)))
    return made


def ack(made: Sender, cumulative: int, now: float, *gaps: tuple[int, int], window: int = 4_000_000) -> None:
    assert made.acknowledge(Sack(cumulative, window, gaps), now)


def test_a_new_path_gets_a_few_packets_and_more_with_each_answer() -> None:
    made = filled()
    first = drain(made, 0.0)
    assert first == list(range(FIRST, FIRST + 10))
    ack(made, FIRST + 9, 0.1)
    assert len(drain(made, 0.1)) == 10
    deadline = made.deadline()
    assert deadline is not None and deadline < 0.15
    assert len(spread(made, 0.1, 0.19)) == 10


def test_the_peers_window_is_kept_and_asked_for_when_it_is_closed() -> None:
    made = filled(window=5000)
    assert len(drain(made, 0.0)) == 4
    ack(made, FIRST + 3, 0.1, window=0)
    assert len(drain(made, 0.1)) == 1
    assert drain(made, 0.2) == []
    ack(made, FIRST + 4, 0.3, window=0)
    assert len(drain(made, 0.3)) == 1
    ack(made, FIRST + 5, 0.4, window=100_000)
    assert len(drain(made, 0.4)) > 5


def test_what_is_lost_is_sent_again_before_anything_new() -> None:
    made = filled()
    drain(made, 0.0)
    ack(made, FIRST, 0.1, (2, 9))
    made.handle_timer(0.2)
    again = drain(made, 0.2)
    assert again[0] == FIRST + 1 and again[1] >= FIRST + 10
    assert made.resent == 1


def test_after_a_silence_one_packet_is_sent_again_then_all() -> None:
    made = filled()
    drain(made, 0.0)
    ack(made, FIRST + 9, 0.1)
    on_their_way = spread(made, 0.1, 0.19)
    deadline = made.recovery.deadline(made.flight)
    assert deadline is not None and 0.25 < deadline < 0.5
    made.handle_timer(deadline)
    assert drain(made, deadline) == on_their_way[-1:]
    later = made.recovery.deadline(made.flight)
    assert later is not None
    made.handle_timer(later)
    assert drain(made, later) == on_their_way[:1]
    assert made.congestion.window == packet.MTU


def test_waiting_for_room_for_a_burst_does_not_keep_the_window_from_growing() -> None:
    """It counts as full although a burst's worth of it is left."""
    made = sender()
    for _ in range(200):
        made.queue.push(Outgoing(1, 53, bytes(60_000)))
    sent: list[tuple[float, int]] = []
    now = 0.0
    while now < 1.0:
        while sent and sent[0][0] <= now - 0.1:
            ack(made, sent.pop(0)[1], now)
        sent += [(now, tsn) for tsn in drain(made, now)]
        now += 0.001
    assert made.congestion.window > 10 * packet.MTU * 2**6


def test_what_was_never_sent_cannot_be_acknowledged() -> None:
    made = filled()
    drain(made, 0.0)
    assert not made.acknowledge(Sack(FIRST + 10, 1000), 0.1)
    assert not made.acknowledge(Sack(FIRST, 1000, ((5, 10),)), 0.1)
    assert made.acknowledge(Sack(FIRST - 5, 1000), 0.1)
    ack(made, FIRST + 9, 0.1)
    assert not made.flight and made.outstanding


def test_another_path_gets_everything_again_at_once() -> None:
    made = filled()
    drain(made, 0.0)
    for place in range(4):
        ack(made, made.flight.next - 1, 0.1 * (place + 1))
        spread(made, 0.1 * (place + 1), 0.1 * (place + 2) - 0.01)
    flying = made.flight.next - made.flight.base
    made.moved(1.0)
    again = drain(made, 1.0)
    assert again == list(range(made.flight.base, made.flight.base + len(again)))
    assert 5 <= len(again) < flying and made.flight.outstanding <= 10 * packet.MTU
    assert made.deadline() is not None


@pytest.mark.parametrize("timeouts", [0, 3])
def test_what_is_sent_again_after_a_silence_goes_out_faster_and_faster(timeouts: int) -> None:
    made = filled()
    drain(made, 0.0)
    for place in range(4):
        ack(made, made.flight.next - 1, 0.1 * (place + 1))
        spread(made, 0.1 * (place + 1), 0.1 * (place + 2) - 0.01)
    last, now = made.flight.next - 1, 1.0
    for now in range(5, 5 * timeouts + 5, 5):
        made.handle_timer(now)
        drain(made, now)
    if not timeouts:
        made.moved(now)
        drain(made, now)
    rounds = 0
    while made.flight.base <= last:
        now, rounds = now + 0.1, rounds + 1
        ack(made, max(made.flight.resent, default=last), now)
        spread(made, now, now + 0.09)
    assert rounds <= 8, last


def test_asking_when_nothing_is_on_its_way_says_nothing() -> None:
    made = sender()
    made.probe()
    assert made.transmit(0.0) == [] and not made.outstanding and not made.has_work


def test_other_chunks_go_out_even_when_nothing_else_may() -> None:
    made = filled(window=0)
    drain(made, 0.0)
    sack = Sack(1, 2).encode()
    ((data, _),) = made.transmit(0.1, sack)
    assert data[packet.HEADER :] == sack


def test_a_message_given_up_is_told_until_it_is_answered() -> None:
    made = sender()
    made.queue.push(Outgoing(1, 53, b"x", most_sent=1))
    drain(made, 0.0)
    for now in (3.0, 9.0):
        made.handle_timer(now)
        ((data, _),) = made.transmit(now)
        ((kind, _, value),) = chunks.decode_all(data, packet.HEADER)
        assert kind == chunks.I_FORWARD_TSN and int.from_bytes(value[:4]) == FIRST
    ack(made, FIRST, 10.0)
    assert not made.outstanding and made.transmit(20.0) == []
    assert made.deadline() is None
