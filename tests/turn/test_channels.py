"""atmosphere.turn.channels."""

from __future__ import annotations

import random

import pytest

from atmosphere.turn.channels import (
    CHANNEL_LIFETIME,
    FIRST_NUMBER,
    HEADER,
    LAST_NUMBER,
    MAX_PEERS,
    MAX_QUEUED,
    PERMISSION_LIFETIME,
    QUARANTINE,
    REFRESH,
    RETRY_FIRST,
    RETRY_LAST,
    Channels,
)

PEER = ("192.0.2.1", 5000)


def bound(channels: Channels, now: float = 0.0) -> None:
    channels.frame(b"", PEER, now)
    for binding in channels.wanted(now):
        channels.bound(binding, now)


def test_the_first_datagrams_wait_for_the_binding() -> None:
    channels = Channels()
    assert channels.frame(b"one", PEER, 0.0) is None
    (binding,) = channels.wanted(0.0)
    assert (binding.address, binding.number) == (PEER, FIRST_NUMBER)
    assert channels.frame(b"two", PEER, 0.1) is None
    assert channels.wanted(0.1) == []
    assert channels.bound(binding, 0.2) == [b"\x40\x00\x00\x03one", b"\x40\x00\x00\x03two"]
    assert channels.frame(b"three", PEER, 0.3) == b"\x40\x00\x00\x05three"
    assert channels.source(FIRST_NUMBER, 0.4) == PEER
    assert channels.source(FIRST_NUMBER + 1, 0.4) is None


def test_a_burst_has_a_channel_only_while_its_binding_holds() -> None:
    channels = Channels()
    assert channels.number(PEER, 0.0) is None
    channels.frame(b"one", PEER, 0.0)
    assert channels.number(PEER, 0.1) is None
    (binding,) = channels.wanted(0.2)
    channels.bound(binding, 0.3)
    assert channels.number(PEER, 0.4) == FIRST_NUMBER
    assert channels.number(PEER, 0.3 + PERMISSION_LIFETIME) is None


def test_what_waits_is_bounded_and_the_oldest_goes() -> None:
    channels = Channels()
    for number in range(MAX_QUEUED + 3):
        channels.frame(b"%d" % number, PEER, 0.0)
    assert channels.dropped == 3
    (binding,) = channels.wanted(0.0)
    assert channels.bound(binding, 0.0)[0].endswith(b"3")


def test_a_binding_in_use_is_renewed_before_its_permission_ends() -> None:
    channels = Channels()
    bound(channels)
    channels.source(FIRST_NUMBER, 1.0)  # receiving alone is use, too
    assert channels.deadline() == REFRESH
    assert channels.wanted(REFRESH - 1) == []
    (binding,) = channels.wanted(REFRESH)
    assert channels.frame(b"x", PEER, REFRESH) is not None
    channels.bound(binding, REFRESH)
    assert channels.frame(b"x", PEER, REFRESH + PERMISSION_LIFETIME - 1) is not None


def test_an_unused_binding_is_not_renewed_and_used_again_it_is_bound_again() -> None:
    channels = Channels()
    bound(channels)
    assert channels.deadline() is None
    assert channels.wanted(REFRESH) == []
    assert channels.frame(b"late", PEER, PERMISSION_LIFETIME) is None
    (binding,) = channels.wanted(PERMISSION_LIFETIME)
    assert binding.number == FIRST_NUMBER
    assert channels.bound(binding, PERMISSION_LIFETIME) == [b"\x40\x00\x00\x04late"]


def test_a_refused_binding_is_tried_again_ever_more_rarely() -> None:
    channels = Channels()
    now, pause = 0.0, RETRY_FIRST
    for _ in range(9):
        channels.frame(b"x", PEER, now)
        (binding,) = channels.wanted(now)
        channels.failed(binding, now)
        assert channels.frame(b"dropped", PEER, now + pause / 2) is None
        assert channels.wanted(now + pause / 2) == []
        now, pause = now + pause, min(2 * pause, RETRY_LAST)
    assert channels.dropped == 18


def test_a_renewal_that_fails_is_tried_again_while_the_permission_lasts() -> None:
    channels = Channels()
    bound(channels)
    channels.frame(b"x", PEER, 1.0)
    (binding,) = channels.wanted(REFRESH)
    channels.failed(binding, REFRESH)
    assert channels.deadline() == REFRESH + RETRY_FIRST
    assert channels.frame(b"still", PEER, REFRESH + 0.5) is not None
    assert channels.wanted(REFRESH + RETRY_FIRST) == [binding]


def test_a_queue_of_a_failed_binding_has_a_deadline() -> None:
    channels = Channels()
    channels.frame(b"x", PEER, 0.0)
    (binding,) = channels.wanted(0.0)
    assert channels.deadline() is None
    channels.failed(binding, 0.0)
    channels.frame(b"y", PEER, RETRY_FIRST)
    assert channels.wanted(RETRY_FIRST) == [binding]


def test_only_hosts_that_we_asked_for_may_send_indications() -> None:
    channels = Channels()
    assert not channels.permits(PEER[0])
    channels.frame(b"x", PEER, 0.0)
    assert channels.permits(PEER[0])
    assert not channels.permits("192.0.2.2")


def test_idle_peers_are_forgotten_and_their_numbers_rest() -> None:
    channels = Channels()
    bound(channels)
    later = CHANNEL_LIFETIME
    assert channels.wanted(later) == []
    assert len(channels) == 0
    assert not channels.permits(PEER[0])
    channels.frame(b"x", ("192.0.2.2", 1), later)
    assert channels.wanted(later)[0].number == FIRST_NUMBER + 1
    channels.frame(b"x", ("192.0.2.3", 1), later + QUARANTINE)
    assert channels.wanted(later + QUARANTINE)[0].number == FIRST_NUMBER


def test_the_table_is_bounded() -> None:
    channels = Channels()
    for port in range(1, MAX_PEERS + 6):
        channels.frame(b"x", ("192.0.2.1", port), 0.0)
    assert len(channels) == MAX_PEERS
    assert channels.dropped == 5


def test_numbers_stay_in_their_range_and_are_never_shared() -> None:
    channels = Channels()
    rng = random.Random(1)
    now = 0.0
    used: dict[int, tuple[tuple[str, int], float]] = {}
    for _ in range(1200):
        for _ in range(5):
            now += 0.2
            channels.frame(b"x", ("192.0.2.1", rng.randrange(1, 60000)), now)
        for binding in channels.wanted(now):
            assert FIRST_NUMBER <= binding.number <= LAST_NUMBER
            if (last := used.get(binding.number)) and last[0] != binding.address:
                assert now - last[1] >= QUARANTINE
            used[binding.number] = (binding.address, now)
            channels.bound(binding, now)
    assert channels.dropped > 0


def test_who_was_let_in_may_send_indications() -> None:
    channels = Channels()
    assert not channels.permits("192.0.2.9")
    channels.let_in("192.0.2.9")
    assert channels.permits("192.0.2.9")


@pytest.mark.parametrize("again", [False, True])
def test_what_goes_early_goes_again_only_if_it_must(again: bool) -> None:
    channels = Channels()
    assert channels.frame(b"one", PEER, 0.0) is None
    (binding,) = channels.wanted(0.0)
    assert channels.frame(b"two", PEER, 0.0) is None, "the request has not been sent"
    one, two, three = (HEADER.pack(binding.number, len(data)) + data for data in (b"one", b"two", b"three"))
    assert channels.early(binding) == [one, two]
    assert channels.frame(b"three", PEER, 0.0) == three
    assert channels.bound(binding, 0.1, again=again) == ([one, two, three] if again else [])
    assert channels.dropped == 0


def test_what_went_early_is_lost_with_a_binding_that_fails() -> None:
    channels = Channels()
    channels.frame(b"one", PEER, 0.0)
    (binding,) = channels.wanted(0.0)
    channels.early(binding)
    channels.failed(binding, 0.1)
    assert channels.dropped == 1
    assert channels.frame(b"two", PEER, 0.2) is None and channels.dropped == 2
    assert channels.frame(b"three", PEER, 0.1 + RETRY_FIRST) is None, "it waits for another request"
