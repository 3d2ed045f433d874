from __future__ import annotations

from atmosphere.turn.server.allocation import Relayed
from atmosphere.turn.server.quota import Account
from atmosphere.turn.server.reservations import LIFETIME, Reservation, Reservations

ANNA, BEN = Account("anna", 0, 0), Account("ben", 0, 0)


def relayed(port: int = 1) -> Relayed:
    return Relayed(("198.51.100.1", port), "198.51.100.1")


def test_a_token_is_good_once_for_its_user() -> None:
    released: list[Reservation] = []
    kept = Reservations(released.append)
    token = kept.keep(relayed(), ANNA, "203.0.113.1", 0)
    assert len(token) == 8
    assert kept.fetch(token, "ben") is None
    assert kept.fetch(b"another!", "anna") is None
    found = kept.fetch(token, "anna")
    assert found is not None
    assert (found.host, found.account) == ("203.0.113.1", ANNA)
    assert kept.fetch(token, "anna") is None
    assert (len(kept), kept.deadline(), released) == (0, None, [])


def test_what_is_not_fetched_is_released() -> None:
    released: list[Reservation] = []
    kept = Reservations(released.append)
    kept.keep(relayed(1), ANNA, "h", 0)
    kept.keep(relayed(2), BEN, "h", 10)
    assert kept.deadline() == LIFETIME
    kept.expire(LIFETIME)
    assert ([one.account for one in released], kept.deadline()) == ([ANNA], LIFETIME + 10)
    kept.keep(relayed(3), ANNA, "h", 20)
    kept.drop("ben")
    assert [one.account for one in released] == [ANNA, BEN]
    kept.drop()
    assert len(released) == 3
