from __future__ import annotations

import random

import pytest

from atmosphere.errors import DecodeError
from atmosphere.sctp import chunks, cookie, packet, parameters
from atmosphere.sctp.chunks import Init
from atmosphere.sctp.handshake import RESEND_FIRST, SECRET, TRIES, Handshake
from atmosphere.sctp.parameters import Features


def made(seed: int, offered: Features | None = None) -> Handshake:
    return Handshake(random.Random(seed).randbytes, offered or Features())


def chunk_of(sent: bytes, tag: int) -> tuple[int, bytes]:
    assert packet.tag_of(sent, zero_checksum=False) == tag
    ((kind, _, value),) = chunks.decode_all(sent, packet.HEADER)
    return kind, value


def feed(side: Handshake, kind: int, value: bytes, now: float = 0.0) -> bytes:
    if kind == chunks.INIT:
        side.init(value, now)
    elif kind == chunks.INIT_ACK:
        side.init_ack(value, now)
    elif kind == chunks.COOKIE_ECHO:
        return side.cookie_echo(value, now)
    elif kind == chunks.COOKIE_ACK:
        side.cookie_ack()
    return b""


def carry(one: Handshake, other: Handshake) -> None:
    """Until nobody says anything more."""
    moved = True
    while moved:
        moved = False
        for sender, receiver in ((one, other), (other, one)):
            for sent in sender.packets():
                moved = True
                ((kind, _, value),) = chunks.decode_all(sent, packet.HEADER)
                for kind_back, _, value_back in chunks.decode_all(feed(receiver, kind, value)):
                    feed(sender, kind_back, value_back)


@pytest.mark.parametrize("both", [True, False])
def test_both_sides_agree(both: bool) -> None:
    one, other = made(1), made(2, Features(interleaving=False))
    one.start(0.0)
    if both:
        other.start(0.0)
    carry(one, other)
    assert one.agreement is not None and other.agreement is not None
    assert one.agreement.features == other.agreement.features == Features(interleaving=False)
    assert (one.agreement.peer_tag, one.agreement.peer_tsn) == (other.tag, other.first_tsn)
    assert (other.agreement.peer_tag, other.agreement.peer_tsn) == (one.tag, one.first_tsn)
    assert one.deadline() is other.deadline() is None
    one.start(1.0)
    assert one.packets() == []


def test_without_a_word_both_sides_agree_on_the_same() -> None:
    one, other = made(1), made(2)
    one.presume(bytes(range(SECRET)), client=True)
    other.presume(bytes(range(SECRET)), client=False)
    assert one.agreement is not None and other.agreement is not None
    assert (one.agreement.peer_tag, one.agreement.peer_tsn) == (other.tag, other.first_tsn)
    assert (other.agreement.peer_tag, other.agreement.peer_tsn) == (one.tag, one.first_tsn)
    assert one.agreement[2:] == other.agreement[2:]
    assert one.packets() == other.packets() == []


def test_the_last_word_is_repeated_and_not_for_ever() -> None:
    one = made(1)
    one.start(0.0)
    (first,) = one.packets()
    one.handle_timer(RESEND_FIRST - 0.01)
    assert one.packets() == []
    one.kick(0.1)
    one.handle_timer(0.1)
    assert one.packets() == [first]
    sent = 0
    while (deadline := one.deadline()) is not None:
        one.handle_timer(deadline)
        sent += len(one.packets())
    assert one.failed and TRIES - 2 <= sent <= TRIES
    one.kick(100.0)
    assert one.deadline() is None


def test_nothing_is_remembered_of_an_init() -> None:
    one, other = made(1), made(2)
    one.start(0.0)
    _, init = chunk_of(one.packets()[0], 0)
    for _ in range(3):
        other.init(init, 0.0)
    assert other.agreement is None and other.peer_tag == 0
    answers = other.packets()
    assert len(answers) == 3
    for answer in answers:
        one.init_ack(chunk_of(answer, one.tag)[1], 0.0)
    assert len(one.packets()) == 1


def test_only_our_own_cookies_in_time_are_taken() -> None:
    one, other = made(1), made(2)
    one.start(0.0)
    other.init(chunk_of(one.packets()[0], 0)[1], 0.0)
    one.init_ack(chunk_of(other.packets()[0], one.tag)[1], 0.0)
    _, echo = chunk_of(one.packets()[0], other.tag)
    assert other.cookie_echo(echo[:-1] + b"!", 0.0) == b""
    assert other.cookie_echo(echo, cookie.LIFETIME + 1) == b""
    kind, value = chunk_of(other.packets()[0], one.tag)
    assert kind == chunks.ERROR
    assert [cause for cause, _ in parameters.decode_all(value)] == [parameters.STALE_COOKIE]
    one.stale(1.0)
    assert chunk_of(one.packets()[0], 0)[0] == chunks.INIT
    assert other.cookie_echo(echo, 1.0)
    assert other.cookie_echo(echo, 500.0)  # ours was lost; the association stands, so age is no matter
    one.cookie_ack()
    assert one.agreement is None


def test_a_peer_that_begins_anew_is_noticed_once_its_cookie_comes_back() -> None:
    one, other, again = made(1), made(2), made(3)
    one.start(0.0)
    carry(one, other)
    again.start(1.0)
    other.init(chunk_of(again.packets()[0], 0)[1], 1.0)
    assert not other.restarted
    again.init_ack(chunk_of(other.packets()[0], again.tag)[1], 1.0)
    (echo,) = again.packets()
    ((_, _, value),) = chunks.decode_all(echo, packet.HEADER)
    assert other.cookie_echo(value, 1.0) == b""
    assert other.restarted


def test_what_is_broken_is_refused() -> None:
    one = made(1)
    one.start(0.0)
    with pytest.raises(DecodeError):
        one.init(bytes(16), 0.0)
    with pytest.raises(DecodeError, match="cookie"):
        one.init_ack(Init(1, 1, 1, 1, 1).encode(), 0.0)
    one.cookie_ack()
    one.stale(0.0)
    assert one.agreement is None
