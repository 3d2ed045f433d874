from __future__ import annotations

import pytest

from atmosphere.ice.portmapping.lease import FIRST_RETRY, LAST_RETRY, LATEST, PERMANENT, SOONEST, Lease
from atmosphere.ice.portmapping.model import Grant, NoMapping

HOUR = Grant("203.0.113.9", 7777, 3600.0)
NO = NoMapping("the router does not allow it")


def standing(lifetime: float | None = 3600.0) -> Lease:
    lease = Lease(100.0)
    assert lease.due == 100.0
    lease.granted(Grant("203.0.113.9", 7777, lifetime), 100.0)
    return lease


@pytest.mark.parametrize(("lifetime", "due"), [(3600.0, 1800.0), (2.0, SOONEST), (1e9, LATEST), (None, PERMANENT)])
def test_it_is_renewed_when_its_time_is_half_over(lifetime: float | None, due: float) -> None:
    assert standing(lifetime).due == 100.0 + due


def test_what_is_left() -> None:
    lease = standing()
    assert lease.left(1100.0) == 2600.0
    assert lease.left(9999.0) == 0.0
    assert standing(None).left(100.0) is None
    assert Lease(0.0).left(0.0) is None


def test_a_renewal_that_fails_is_tried_again_while_it_stands() -> None:
    lease = standing()
    lease.failed(NO, 1900.0)
    assert lease.grant == HOUR
    assert lease.due == 1900.0 + 900.0
    lease.failed(NO, 3699.0)
    assert lease.due == 3699.0 + SOONEST
    lease.failed(NO, 3703.0)
    assert lease.left(3703.0) is None
    assert lease.error == "the router does not allow it"
    assert lease.due == 3703.0 + FIRST_RETRY


def test_a_permanent_one_stands_although_the_router_says_no() -> None:
    lease = standing(None)
    lease.failed(NO, 1900.0)
    assert lease.grant is not None
    assert lease.due == 1900.0 + FIRST_RETRY
    assert not lease.expire(1e9)


def test_refusals_are_asked_about_ever_more_rarely() -> None:
    lease, waits = Lease(0.0), []
    for _ in range(10):
        lease.failed(NO, 0.0)
        waits.append(lease.due)
    assert waits[:3] == [FIRST_RETRY, 2 * FIRST_RETRY, 4 * FIRST_RETRY]
    assert waits[-1] == LAST_RETRY
    lease.granted(HOUR, 0.0)
    assert lease.error is None
    lease.expire(3600.0)
    lease.failed(NO, 3600.0)
    assert lease.due == 3600.0 + FIRST_RETRY


def test_a_router_may_ask_for_time_but_not_for_ever() -> None:
    lease = Lease(0.0)
    lease.failed(NoMapping("no room", hold=600.0), 0.0)
    assert lease.due == 600.0
    lease.failed(NoMapping("no room", hold=1e9), 0.0)
    assert lease.due == LAST_RETRY


def test_a_router_that_forgot_is_asked_at_once() -> None:
    lease = standing()
    lease.forgotten(200.0)
    assert (lease.due, lease.grant) == (200.0, HOUR)


def test_expiry() -> None:
    lease = standing()
    assert not lease.expire(3699.0)
    assert lease.expire(3700.0)
    assert lease.grant is None
    assert not lease.expire(3701.0)
