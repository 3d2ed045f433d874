from __future__ import annotations

import math
import os

import msgspec
import pytest

from signaling import KeySigner, Message, id_of
from signaling.messages import MAX_TTL
from signaling.mqtt import gate as module
from signaling.mqtt.envelope import Envelope, check, seal
from signaling.mqtt.gate import (
    MAX_SENDERS,
    MAX_SHELVES,
    PROVEN_BURST,
    PROVEN_RATE,
    REMEMBERED,
    REMEMBERED_SECONDS,
    SENDER_BURST,
    SENDER_RATE,
    SKEW,
    STRANGERS_BURST,
    STRANGERS_RATE,
    Gate,
    Seen,
)
from signaling.mqtt.topics import Lane
from tests.signaling.mqtt.test_envelope import sealed

ANN = KeySigner()
NOW = 1_800_000_000.0
LANE = Lane("node", "b" * 52, 500_000)


def gate(seen: Seen | None = None) -> Gate:
    return Gate(Seen() if seen is None else seen, 0.0)


def message(
    name: str = "m", signer: KeySigner = ANN, *, ttl: float = 30.0, at: float = NOW, lane: Lane = LANE
) -> bytes:
    return seal(lane, signer, name, b"payload", ttl, at)


class LoudSigner(KeySigner):
    """Claims another's key."""

    def __init__(self, claimed: KeySigner) -> None:
        super().__init__()
        self.public_key = claimed.public_key


def test_a_message_comes_in() -> None:
    assert gate().admit(LANE, message(), NOW, 0) == Message(id_of(ANN.public_key), b"payload", "m")
    topic = Lane("topic", "news", LANE.epoch)
    got = gate().admit(topic, message(lane=topic), NOW, 0)
    assert got is not None
    assert got.topic == "news"


def test_a_repetition_is_refused_on_every_broker() -> None:
    seen = Seen()
    one, other = gate(seen), gate(seen)
    data = message()
    assert one.admit(LANE, data, NOW, 0)
    assert one.admit(LANE, data, NOW, 0) is None
    assert other.admit(LANE, data, NOW, 0) is None
    assert other.admit(LANE, message(), NOW, 0) is None  # sealed again, the same message
    assert other.admit(LANE, message("n"), NOW, 0)
    assert (one.refused, other.refused) == ({"repeated": 1}, {"repeated": 2})
    assert len(seen) == 2


def test_a_forgery_does_not_take_the_place_of_the_true_one() -> None:
    one = gate()
    assert one.admit(LANE, message(signer=LoudSigner(ANN)), NOW, 0) is None
    assert one.admit(LANE, message(), NOW, 0)
    assert one.refused == {"forged": 1}


@pytest.mark.parametrize("away", [-SKEW - 1, SKEW + 31, 1e9, -1e9])
def test_what_is_too_old_or_too_early_is_refused(away: float) -> None:
    one = gate()
    assert one.admit(LANE, message(), NOW + away, 0) is None
    assert one.refused == {"stale": 1}


@pytest.mark.parametrize("away", [-SKEW, 0, SKEW, SKEW + 30])
def test_clocks_may_differ(away: float) -> None:
    assert gate().admit(LANE, message(), NOW + away, 0)


def test_times_that_are_no_number_are_refused() -> None:
    one = gate()
    for sent_at, ttl in ((math.nan, 1.0), (NOW, math.nan)):
        envelope = Envelope("m", ANN.public_key, sent_at, ttl, b"", b"")
        assert one.admit(LANE, sealed(msgspec.msgpack.encode(envelope)), NOW, 0) is None
    assert one.refused.total() == 2


def test_nothing_can_be_replayed_once_it_is_forgotten() -> None:
    """From the earliest moment at which it is taken, it is remembered until it is too old."""
    one = gate()
    data = message(ttl=MAX_TTL)
    early = NOW - SKEW
    assert one.admit(LANE, data, early, 0)
    for later in (
        early + 1,
        early + REMEMBERED_SECONDS - 1,
        early + REMEMBERED_SECONDS,
        early + REMEMBERED_SECONDS + 1,
    ):
        one.admit(LANE, message(f"other {later}", at=later), later, later)  # lets the old be forgotten
        assert one.admit(LANE, data, later, later) is None


def test_the_rates_cannot_fill_the_memory() -> None:
    most = REMEMBERED_SECONDS * (STRANGERS_RATE + PROVEN_RATE) + STRANGERS_BURST + PROVEN_BURST
    assert most < REMEMBERED


def test_one_sender_is_bounded() -> None:
    one = gate()
    came = sum(one.admit(LANE, message(str(number)), NOW, 1.0) is not None for number in range(int(SENDER_BURST) + 20))
    assert came == SENDER_BURST
    assert one.refused == {"flood": 20}
    assert one.admit(LANE, message("later"), NOW, 1.0 + 1 / SENDER_RATE)


def test_a_flood_of_strangers_does_not_keep_out_who_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[Envelope] = []
    monkeypatch.setattr(module, "STRANGERS_BURST", 5.0)
    one = gate()
    assert one.admit(LANE, message("hello"), NOW, 0)

    def counting(lane: Lane, envelope: Envelope) -> None:
        checked.append(envelope)
        check(lane, envelope)

    monkeypatch.setattr(module, "check", counting)
    for _ in range(50):
        assert one.admit(LANE, message(signer=LoudSigner(KeySigner())), NOW, 0) is None
    assert len(checked) == 4
    assert one.refused == {"forged": 4, "flood": 46}
    assert one.admit(LANE, message("once more"), NOW, 0)
    assert one.admit(LANE, message("first word", KeySigner()), NOW, 0) is None


def test_a_flood_of_garbage_costs_nobody_anything() -> None:
    one = gate()
    for _ in range(2000):
        assert one.admit(LANE, os.urandom(200), NOW, 0) is None
    assert one.admit(LANE, message(), NOW, 0)
    assert one.refused == {"garbage": 2000}


def test_the_known_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SENDERS", 2)
    one = gate()
    for number in range(4):
        assert one.admit(LANE, message(str(number), KeySigner()), NOW, 0)
    assert len(one._known) == 2
    assert MAX_SENDERS > 2


def forgery(name: str, at: float = NOW) -> bytes:
    return message(name, LoudSigner(ANN), at=at)


def test_forgeries_in_its_name_do_not_keep_a_sender_out() -> None:
    one = gate()
    assert one.admit(LANE, message(), NOW, 0)
    for second in range(1, 61):
        for number in range(12):
            assert one.admit(LANE, forgery(f"{second} {number}", NOW + second), NOW + second, second) is None
        assert one.admit(LANE, message(f"true {second}", at=NOW + second), NOW + second, second)
    assert one.refused == {"forged": 720}


def test_forgeries_in_one_name_are_looked_at_no_more_often_than_the_shares_allow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "STRANGERS_BURST", 20.0)
    monkeypatch.setattr(module, "PROVEN_BURST", 30.0)
    one = gate()
    assert one.admit(LANE, message(), NOW, 0)
    data = forgery("forged")
    for _ in range(200):
        assert one.admit(LANE, data, NOW, 0) is None
    assert one.refused == {"forged": 49, "flood": 151}
    came = sum(one.admit(LANE, message(f"later {number}"), NOW, 0.5) is not None for number in range(30))
    assert came == PROVEN_RATE / 2  # its own bucket is as full as it was


def test_a_flood_at_one_broker_makes_nothing_be_forgotten_of_another() -> None:
    seen = Seen(maximum=2)
    quiet, loud = gate(seen), gate(seen)
    data = message()
    assert quiet.admit(LANE, data, NOW, 0)
    for number in range(5):
        assert loud.admit(LANE, message(str(number)), NOW, 0)
    assert len(seen) == 3
    assert quiet.admit(LANE, data, NOW, 0) is None
    assert loud.admit(LANE, data, NOW, 0) is None


def test_any_number_of_brokers_fills_so_much_memory_and_no_more() -> None:
    seen = Seen(maximum=2)
    for broker in range(2 * MAX_SHELVES):
        one = gate(seen)
        for number in range(4):
            assert one.admit(LANE, message(f"{broker} {number}"), NOW, 0)
    assert len(seen) == 2 * MAX_SHELVES
