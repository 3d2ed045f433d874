from __future__ import annotations

import pytest

from signaling.limits import KeyedBuckets, Seats, TokenBucket, address_key


def test_a_bucket_gives_a_burst_and_then_its_rate() -> None:
    bucket = TokenBucket(rate=2, burst=3, now=0)
    assert [bucket.take(0) for _ in range(4)] == [True, True, True, False]
    assert bucket.take(0.5)
    assert not bucket.take(0.6)
    assert [bucket.take(100) for _ in range(4)] == [True, True, True, False]


def test_a_clock_that_stands_still_or_goes_back_gives_nothing() -> None:
    bucket = TokenBucket(rate=1, burst=1, now=10)
    assert bucket.take(10)
    assert not bucket.take(5)


def test_a_charge_is_a_debt_that_time_pays() -> None:
    bucket = TokenBucket(rate=2, burst=2, now=0)
    assert bucket.charge(0, 2) == 0
    assert bucket.charge(0, 4) == 2
    assert not bucket.take(1)
    assert bucket.take(3)


def test_keys_have_buckets_of_their_own_and_there_are_only_so_many() -> None:
    buckets = KeyedBuckets(rate=1, burst=1, max_keys=2)
    assert buckets.take("a", 0)
    assert not buckets.take("a", 0)
    assert buckets.take("b", 0)
    assert buckets.take("c", 0)
    assert len(buckets) == 2


def test_full_buckets_are_forgotten() -> None:
    buckets = KeyedBuckets(rate=1, burst=1, max_keys=9)
    buckets.take("a", 0)
    buckets.take("b", 0.5)
    buckets.forget_full(1)
    assert len(buckets) == 1
    buckets.forget_full(2)
    assert len(buckets) == 0


def test_seats_are_counted_in_all_and_by_key() -> None:
    seats = Seats(in_all=3, per_key=2)
    assert [seats.take(key) for key in "aaab"] == [None, None, "address", None]
    assert seats.take("c") == "total"
    seats.leave("a")
    assert seats.take("c") is None
    seats.leave("b")
    assert seats.take("b") is None


@pytest.mark.parametrize(
    ("host", "key"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("a socket", "a socket"),
    ],
)
def test_an_address_key_is_what_one_customer_cannot_change(host: str, key: str) -> None:
    assert address_key(host) == key


def test_what_was_taken_can_be_told_to_others() -> None:
    buckets = KeyedBuckets(rate=1, burst=3, max_keys=10)
    buckets.take("a", 0)
    assert buckets.take_used(5) == {}
    buckets.share()
    for key in "abbccc":
        buckets.take(key, 0)
    assert buckets.take_used(2) == {"c": 3, "b": 2}
    assert buckets.take_used(2) == {}


def test_what_was_taken_elsewhere_counts_here_and_makes_a_bounded_debt() -> None:
    buckets = KeyedBuckets(rate=1, burst=3, max_keys=10)
    buckets.share()
    buckets.used_elsewhere("a", 2, 0)
    assert [buckets.take("a", 0) for _ in range(2)] == [True, False]
    buckets.used_elsewhere("a", 1e9, 0)
    assert not buckets.take("a", 3.5)
    assert buckets.take("a", 4)  # at most one burst was owed
    assert buckets.take_used(5) == {"a": 2}


def test_a_token_can_be_given_back() -> None:
    buckets = KeyedBuckets(rate=1, burst=2, max_keys=10)
    buckets.give_back("nobody")
    assert len(buckets) == 0
    buckets.share()
    for _ in range(5):
        assert buckets.take("a", 0)
        buckets.give_back("a")
    assert buckets.take("a", 0)
    buckets.give_back("nobody")
    assert buckets.take_used(5) == {"a": 1}
    buckets.give_back("a")
    buckets.give_back("a")
    assert [buckets.take("a", 0) for _ in range(3)] == [True, True, False]
