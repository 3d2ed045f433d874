from __future__ import annotations

import pytest

from atmosphere.turn.server.errors import TurnError
from atmosphere.turn.server.quota import Quotas
from atmosphere.turn.server.settings import TurnSettings


def test_an_ipv6_network_counts_as_one_client() -> None:
    quotas = Quotas(TurnSettings(allocations_per_address=1))
    account = quotas.admit("a", "2001:db8::1", 0)
    with pytest.raises(TurnError, match="486"):
        quotas.admit("b", "2001:db8::2", 0)
    quotas.admit("b", "2001:db8:0:1::2", 0)
    quotas.release(account, "2001:db8::1")
    quotas.admit("a", "2001:db8::2", 0)
    assert (quotas.total, quotas.users) == (2, 2)


def test_one_account_for_all_allocations_of_a_user() -> None:
    quotas = Quotas(TurnSettings(bytes_per_second=100))
    one, two = quotas.admit("a", "203.0.113.1", 0), quotas.admit("a", "203.0.113.2", 0)
    assert one is two
    assert one.spend(60, 0)
    assert not two.spend(1, 0)
    assert two.spend(1, 0.2)
    quotas.release(one, "203.0.113.1")
    quotas.release(two, "203.0.113.2")
    assert (quotas.total, quotas.users) == (0, 0)


def test_no_rate_is_no_bound() -> None:
    account = Quotas(TurnSettings()).admit("a", "203.0.113.1", 0)
    assert all(account.spend(10**9, 0) for _ in range(5))


def test_over_time_the_rate_is_kept() -> None:
    account = Quotas(TurnSettings(bytes_per_second=1000)).admit("a", "203.0.113.1", 0)
    passed = sum(100 for step in range(1000) if account.spend(100, step / 100))
    assert 10_000 <= passed <= 10_600


def test_a_new_allocation_does_not_forgive_what_was_used() -> None:
    quotas = Quotas(TurnSettings(bytes_per_second=1000))
    passed = 0
    for _ in range(100):
        account = quotas.admit("a", "203.0.113.1", 0)
        passed += 60_000 * account.spend(60_000, 0)
        quotas.release(account, "203.0.113.1")
    assert passed == 60_000  # one burst that began within the rate, and its debt stays
    assert quotas.users == 0
    account = quotas.admit("a", "203.0.113.1", 59)
    assert not account.spend(1, 59)
    assert account.spend(1, 60)


def test_accounts_at_rest_are_bounded() -> None:
    quotas = Quotas(TurnSettings(bytes_per_second=1000, sources=2))
    for name in ("a", "b", "c"):
        account = quotas.admit(name, "203.0.113.1", 0)
        account.spend(10_000, 0)
        quotas.release(account, "203.0.113.1")
    assert set(quotas._resting) == {"b", "c"}
    assert not quotas.admit("c", "203.0.113.1", 0).spend(1, 0)
    assert set(quotas._resting) == {"b"}
    free = Quotas(TurnSettings())
    free.release(free.admit("a", "203.0.113.1", 0), "203.0.113.1")
    assert free._resting == {}
