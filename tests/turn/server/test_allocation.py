from __future__ import annotations

from atmosphere.turn.server.allocation import Relayed, family_of
from tests.turn.server.test_table import made


def test_families() -> None:
    assert (family_of("203.0.113.1"), family_of("2001:db8::1"), family_of("::ffff:1.2.3.4")) == (4, 6, 6)
    assert Relayed(("2001:db8::1", 1), "2001:db8::1").family == 6


def test_a_relayed_address_knows_its_allocation() -> None:
    allocation = made(10)
    assert list(allocation.relayed) == [4]
    assert allocation.relayed[4].allocation is allocation


def test_the_key_is_not_shown() -> None:
    assert "key" not in repr(made(10).login)
