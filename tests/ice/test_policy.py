"""atmosphere.ice.policy: what a path policy leaves out, and what it remembers of that."""

from __future__ import annotations

import pytest

from atmosphere.ice.pair import CandidatePair
from atmosphere.ice.policy import MAX_REFUSED, PathPolicy, Policy
from tests.ice.vnet import make_candidate

HOST, RELAY = make_candidate("host", ("203.0.113.1", 1)), make_candidate("relay", ("198.51.100.2", 2))
FAR, FAR_RELAY = make_candidate("host", ("203.0.113.2", 1)), make_candidate("relay", ("198.51.100.2", 3))


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("any", [(HOST, FAR), (HOST, FAR_RELAY), (RELAY, FAR), (RELAY, FAR_RELAY)]),
        ("direct", [(HOST, FAR)]),
        ("relay", [(RELAY, FAR), (RELAY, FAR_RELAY)]),
    ],
)
def test_what_may_be_a_pair(name: PathPolicy, allowed: list[object]) -> None:
    policy = Policy(name)
    for local in (HOST, RELAY):
        for remote in (FAR, FAR_RELAY):
            assert policy.allows(local, remote) == ((local, remote) in allowed)
            pair = CandidatePair(base=1, base_candidate=local, remote=remote, local=local, due_at=0.0)
            assert policy.forbids(pair) != ((local, remote) in allowed)


def test_what_is_left_out_is_given_back_once_when_the_policy_changes() -> None:
    policy = Policy("direct")
    assert policy.takes_local(HOST, 1)
    assert not policy.takes_local(RELAY, 2)
    assert not policy.takes_local(RELAY, 3)
    policy.drop_base(3)
    assert policy.takes_remote(FAR)
    assert not policy.takes_remote(FAR_RELAY)
    assert policy.is_left_out(FAR_RELAY.endpoint)
    assert not policy.is_left_out(FAR.endpoint)
    assert policy.change("any") == ([(RELAY, 2)], [FAR_RELAY])
    assert policy.name == "any"
    assert policy.change("relay") == ([], [])


def test_what_is_remembered_of_the_remote_is_bounded() -> None:
    policy = Policy("direct")
    for port in range(1, 2 * MAX_REFUSED):
        policy.takes_remote(make_candidate("relay", ("198.51.100.2", port)))
    assert len(policy.change("any")[1]) == MAX_REFUSED
