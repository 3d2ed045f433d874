from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from atmosphere.stun.limits import SourceLimiter, source_key


def test_a_burst_and_then_the_rate() -> None:
    limiter = SourceLimiter(rate=2, burst=3)
    assert [limiter.allow("192.0.2.1", 0.0) for _ in range(5)] == [True, True, True, False, False]
    assert [limiter.allow("192.0.2.1", 0.5), limiter.allow("192.0.2.1", 0.5)] == [True, False]


def test_sources_do_not_share() -> None:
    limiter = SourceLimiter(rate=1, burst=1)
    assert limiter.allow("192.0.2.1", 0.0)
    assert limiter.allow("192.0.2.2", 0.0)
    assert not limiter.allow("192.0.2.1", 0.0)


def test_an_ipv6_network_is_one_source() -> None:
    limiter = SourceLimiter(rate=1, burst=1)
    assert limiter.allow("2001:db8::1", 0.0)
    assert not limiter.allow("2001:db8::ffff:2%eth0", 0.0)
    assert limiter.allow("2001:db8:0:1::1", 0.0)


def test_the_longest_unseen_is_forgotten() -> None:
    limiter = SourceLimiter(rate=1, burst=1, size=2)
    for host in ("192.0.2.1", "192.0.2.2", "192.0.2.1", "192.0.2.3"):
        limiter.allow(host, 0.0)
    assert len(limiter) == 2
    assert not limiter.allow("192.0.2.1", 0.0)
    assert limiter.allow("192.0.2.2", 0.0)


@given(st.text(max_size=100))
def test_any_text_has_a_small_key(host: str) -> None:
    assert len(source_key(host)) <= 64


def test_a_mapped_address_is_its_ipv4_address() -> None:
    assert source_key("::ffff:192.0.2.1") == source_key("192.0.2.1") != source_key("::ffff:192.0.2.2")
    limiter = SourceLimiter(rate=1, burst=1)
    assert [limiter.allow(f"::ffff:192.0.2.{number}", 0.0) for number in range(3)] == [True] * 3
