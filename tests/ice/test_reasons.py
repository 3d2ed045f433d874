"""Why there is no path, and when one stops looking: seconds, not half a minute, where nothing can come of it."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from atmosphere.ice.checklist import CheckList
from atmosphere.ice.events import IceFailed
from atmosphere.ice.pair import PairState
from atmosphere.ice.policy import PathPolicy
from atmosphere.ice.reasons import hopeless_after, why_not
from tests.ice.vnet import Network, Node, Packet, make_candidate, make_nodes

HERE, THERE, THERE6 = ("203.0.113.1", 1), ("203.0.113.2", 1), ("2001:db8::2", 1)


def make(policy: PathPolicy = "any", *remotes: tuple[str, int], here: bool = True) -> CheckList:
    pairs = CheckList(policy)
    if here:
        pairs.add_local(make_candidate("host", HERE), 1, 0.0)
    for remote in remotes:
        pairs.add_remote(make_candidate("host", remote), 0.0)
    return pairs


def fail(pairs: CheckList, why: str = "no answer within 5 s", rounds: int = 2) -> CheckList:
    for pair in pairs:
        pair.state, pair.why, pair.failures = PairState.FAILED, why, rounds
    return pairs


def test_as_long_as_there_is_hope() -> None:
    assert hopeless_after(make()) == math.inf, "the other side's addresses may still come"
    assert hopeless_after(make("any", THERE)) == math.inf
    assert hopeless_after(fail(make("any", THERE), rounds=1)) == math.inf
    heard = fail(make("any", THERE))
    next(iter(heard)).authenticated = True
    assert hopeless_after(heard) == math.inf


def test_when_there_is_none() -> None:
    assert hopeless_after(make("any", THERE6)) == 10.0
    assert hopeless_after(fail(make("any", THERE))) == 15.0
    unsent = make("any", THERE)
    next(iter(unsent)).unsent = "Network is unreachable"
    assert hopeless_after(unsent) == 10.0


def test_reasons_without_any_pair() -> None:
    assert why_not(make("any", THERE), known=False) == "the other side never said who it is"
    assert why_not(make(), known=True) == "no address of the other side's is known"
    nowhere = why_not(make("any", THERE, here=False), known=True)
    assert nowhere == "there is no address of our own to send from"
    families = why_not(make("any", THERE6), known=True)
    assert families == "we have IPv4 addresses only, the other side IPv6 addresses only"
    loopback = why_not(make("any", ("127.0.0.1", 1)), known=True)
    assert loopback == "no address of the other side's can be reached from any of ours"
    relayed = make("direct", here=True)
    relayed.add_remote(make_candidate("relay", ("198.51.100.2", 5)), 0.0)
    assert why_not(relayed, known=True).endswith("; the path policy direct left out 1 addresses")


def test_reasons_with_pairs() -> None:
    silent = fail(make("any", THERE))
    assert why_not(silent, known=True) == "none of 1 pairs of addresses was answered, and neither side has a relay"
    silent.add_remote(make_candidate("relay", ("198.51.100.2", 5)), 0.0)
    assert why_not(silent, known=True) == "none of 2 pairs of addresses was answered"
    refused = fail(make("any", THERE), "refused with error 401")
    assert why_not(refused, known=True).endswith("answered; 203.0.113.2 port 1 refused with error 401")
    heard = fail(make("any", THERE))
    next(iter(heard)).authenticated = True
    assert "the other side's checks arrive" in why_not(heard, known=True)
    unsent = make("any", THERE)
    next(iter(unsent)).unsent = "Network is unreachable"
    assert why_not(unsent, known=True).endswith("addresses (Network is unreachable)")


# In time


def alone(policy: PathPolicy = "any") -> tuple[Network, Node, Node]:
    network = Network()
    a, b = make_nodes(network, policy=policy)
    a.add_host(network.internet, "203.0.113.1")
    return network, a, b


def failed(network: Network, node: Node) -> tuple[float, str]:
    """When it failed, and why."""
    assert network.run(60, lambda: node.state == "failed")
    ((when, event),) = node.events(IceFailed)
    assert isinstance(event, IceFailed)
    return when - 1000, event.reason


def test_addresses_of_another_family_end_an_attempt_in_ten_seconds() -> None:
    network, a, b = alone()
    b.add_host(network.internet, "2001:db8::2")
    a.hear_of(*b.candidates)
    assert failed(network, a) == (10.0, "we have IPv4 addresses only, the other side IPv6 addresses only")


def unsendable(node: Node) -> None:
    """From now on the machine of `node` has no route to anywhere."""
    drain: Callable[[], None] = node.drain

    def refuse() -> None:
        for transmit in node.agent.transmits():
            node.agent.unsent(transmit.base, transmit.destination, "Network is unreachable", node.network.now)
        drain()

    node.drain = refuse  # type: ignore[method-assign]


def test_a_machine_without_a_route_gives_up_in_ten_seconds_and_says_so() -> None:
    network, a, b = alone()
    unsendable(a)
    b.add_host(network.internet, "203.0.113.2")
    a.hear_of(*b.candidates)
    when, reason = failed(network, a)
    assert when == 10.0
    assert reason == "this machine cannot send to any of the other side's addresses (Network is unreachable)"
    (report,) = a.agent.report()
    assert report.why == "this machine could not send: Network is unreachable"
    a.agent.unsent(1, ("203.0.113.2", 7777), "too late", network.now)
    a.agent.unsent(1, ("203.0.113.3", 7777), "never tried", network.now)


def test_a_route_that_comes_in_time_is_used() -> None:
    network, a, b = alone()
    drain = a.drain
    unsendable(a)
    b.add_host(network.internet, "203.0.113.2")
    a.hear_of(*b.candidates)
    network.run(3)
    a.drain = drain  # type: ignore[method-assign]
    assert network.run(4.5, lambda: a.state == "connected")


@pytest.mark.parametrize("late", [4.0, 12.0])
def test_a_late_candidate_renews_the_hope(late: float) -> None:
    network, a, b = alone()
    gone = make_candidate("host", ("203.0.113.9", 1))
    a.hear_of(gone)
    network.run(late)
    b.add_host(network.internet, "203.0.113.2")
    a.hear_of(*b.candidates)
    b.hear_of(*a.candidates)
    assert network.run(1, lambda: a.state == "connected")


def test_checks_that_come_without_answers_are_waited_with() -> None:
    network, a, b = alone()
    b.add_host(network.internet, "203.0.113.2")
    network.drops.append(lambda packet: _one_way(packet))
    a.hear_of(*b.candidates)
    b.hear_of(*a.candidates)
    when, reason = failed(network, a)
    assert when >= 30
    assert "the other side's checks arrive" in reason


def _one_way(packet: Packet) -> bool:
    return packet.destination[0] == "203.0.113.2"
