"""The agent, message by message: roles, nominators of other makes, hostile and broken input."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atmosphere.errors import DecodeError
from atmosphere.ice.agent import Agent
from atmosphere.ice.checks import build_answer
from atmosphere.ice.events import ConsentExpired, IceFailed, PathSelected, Transmit
from atmosphere.stun.message import Class, Message, Method, binding_request, decode, encode, error_response
from tests.ice.dialogue import (
    HOST,
    LOCAL,
    NOW,
    REMOTE,
    THERE,
    answer,
    check_of,
    connect,
    give,
    make_agent,
    request,
)
from tests.ice.vnet import Nat, Network, Node, Packet, agree, exchange, make_candidate, make_nodes


def test_a_message_on_a_base_that_is_not_ours_is_ignored() -> None:
    agent = make_agent()
    assert give(agent, request(), base=2) == []


# Roles


@pytest.mark.parametrize("controlling", [True, False])
@pytest.mark.parametrize("tie_breakers", [(1, 2), (2, 1), (7, 7)])
def test_two_of_one_role_sort_it_out(controlling: bool, tie_breakers: tuple[int, int]) -> None:
    network = Network()
    a, b = make_nodes(network, roles=(controlling, controlling), tie_breakers=tie_breakers)
    a.add_host(network.internet, "203.0.113.1")
    b.add_host(network.internet, "203.0.113.2")
    exchange(a, b)
    assert network.run(3, lambda: agree(a, b))
    network.run(10)
    assert a.agent.controlling != b.agent.controlling
    assert agree(a, b)


# Nominators of other makes


def test_our_nomination_is_repeated_by_consent_checks() -> None:
    network = Network()
    a, b = make_nodes(network)
    a.add_host(network.internet, "203.0.113.1")
    b.add_host(network.internet, "203.0.113.2")
    lost = 0

    def lose_nominations(packet: Packet) -> bool:
        nonlocal lost
        nominates = packet.data[:2] == b"\x00\x01" and "USE-CANDIDATE" in decode(packet.data).attributes
        lost += nominates
        return nominates and lost < 6

    network.drops.append(lose_nominations)
    exchange(a, b)
    assert network.run(5, lambda: agree(a, b))


# The small print


def test_before_there_is_a_path_there_are_no_figures() -> None:
    agent = make_agent()
    assert (agent.rtt, agent.jitter, agent.loss, agent.selected) == (None, 0.0, 0.0, None)
    assert agent.deadline() == NOW + 30
    agent.received_data(1, THERE.endpoint, NOW)
    connect(agent)
    agent.received_data(1, ("203.0.113.9", 9), NOW)
    agent.received_data(1, THERE.endpoint, NOW + 1)
    assert agent.rtt is not None or agent.jitter == 0


@pytest.mark.parametrize("how", ["closed", "failed"])
def test_an_agent_that_is_over_does_nothing_more(how: str) -> None:
    agent = make_agent()
    agent.add_remote(THERE, NOW)
    if how == "closed":
        agent.close()
    else:
        agent.handle_timer(NOW + 31)
        assert [event for event in agent.events() if isinstance(event, IceFailed)]
        agent.transmits()
    agent.add_local(replace(HOST, port=9), 2, NOW + 32)
    agent.add_remote(replace(THERE, port=9), NOW + 32)
    agent.end_of_remote_candidates(NOW + 32)
    agent.remove_base(1, NOW + 32)
    agent.handle_timer(NOW + 32)
    assert give(agent, request(), now=NOW + 32) == []
    assert agent.deadline() is None
    assert agent.state == how


def test_reasons_for_failing() -> None:
    alone = make_agent()
    alone.end_of_remote_candidates(NOW)
    stranger = make_agent(remote=None)
    for agent, reason in (
        (alone, "no address of the other side's is known"),
        (stranger, "the other side never said who it is"),
    ):
        agent.handle_timer(NOW + 30)
        assert agent.events() == [IceFailed(reason)]


def test_a_base_that_was_not_used_goes_quietly() -> None:
    agent = make_agent()
    agent.add_local(replace(HOST, address="203.0.113.9"), 2, NOW)
    connect(agent)
    agent.events()
    agent.remove_base(2, NOW)
    assert agent.state == "connected"
    assert agent.events() == []


def test_a_remote_that_turns_out_to_be_a_relay_loses_to_a_direct_one() -> None:
    """A relay of another make checks us before its candidate is signaled, and looks direct."""
    agent = make_agent(controlling=True)
    relay, direct = ("198.51.100.2", 50000), THERE.endpoint
    for source, now in ((relay, NOW), (direct, NOW + 0.1)):
        check = check_of(give(agent, request(controlling=False), source, now=now))
        give(agent, answer(check), source, now=now + 0.01)
    assert agent.selected is not None
    assert agent.selected.remote.endpoint == relay
    agent.add_remote(make_candidate("relay", relay), NOW + 1)
    assert agent.selected.remote.endpoint == direct


def test_an_end_of_candidates_does_not_end_the_trying() -> None:
    agent = make_agent(controlling=True)
    agent.add_remote(THERE, NOW)
    agent.end_of_remote_candidates(NOW)
    while (deadline := agent.deadline()) is not None and deadline < NOW + 14:
        agent.handle_timer(deadline)
        assert agent.state == "checking"
    assert len(agent.transmits()) > 15


def test_what_the_policy_forbids_is_not_in_the_report() -> None:
    network = Network()
    a, b = make_nodes(network, policy="relay")
    for node, number in ((a, 1), (b, 2)):
        nat = Nat(network.internet, f"203.0.113.{number}")
        node.add_host(nat.inside, f"10.0.{number}.2")
        node.add_relay()
    exchange(a, b)
    assert network.run(2, lambda: agree(a, b))
    assert {line.local.type for line in a.agent.report()} == {"relay"}
    direct = make_nodes(Network(), policy="direct")
    direct[0].add_relay()
    assert not direct[0].agent.report()


# Anything at all


def twist(data: bytes, position: int, value: int) -> bytes:
    index = position % len(data)
    return data[:index] + bytes([value]) + data[index + 1 :]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["request", "nominate", "answer", "conflict", "noise"]),
            st.integers(0, 200),
            st.integers(0, 255),
            st.integers(1, 4),
            st.floats(0, 5),
            st.booleans(),
        ),
        max_size=12,
    ),
    st.booleans(),
)
def test_no_sequence_of_messages_raises(steps: list[tuple[str, int, int, int, float, bool]], controlling: bool) -> None:
    agent = make_agent(controlling=controlling)
    agent.add_remote(THERE, NOW)
    now, sent = NOW, agent.transmits()
    for kind, position, value, port, wait, mutate in steps:
        now += wait
        data = make_message(kind, sent, position, value)
        try:
            message = decode(twist(data, position, value) if mutate else data)
        except DecodeError:
            continue
        agent.receive(message, data, 1 + value % 2, ("203.0.113.2", port), now)
        sent += agent.transmits()
        check_invariants(agent, now)


def make_message(kind: str, sent: list[Transmit], position: int, value: int) -> bytes:
    last = decode(sent[position % len(sent)].data) if sent else binding_request()
    if kind == "answer":
        return encode(build_answer(last, ("203.0.113.1", 1 + value), REMOTE))
    if kind == "conflict":
        message = error_response(last, 487 if value % 2 else 400, "x")
        message.add_message_integrity(REMOTE.key)
        return encode(message)
    if kind == "noise":
        return encode(Message(Method.BINDING, Class.INDICATION, attributes={"SOFTWARE": "x" * position}))
    nomination = value if kind == "nominate" else None
    return encode(request(controlling=bool(position % 3), tie_breaker=value, nomination=nomination))


def check_invariants(agent: Agent, now: float) -> None:
    deadline = agent.deadline()
    assert agent.state == "failed" or (deadline is not None and math.isfinite(deadline))
    if agent.state == "connected":
        assert agent.selected is not None
    assert len(agent.report()) < 200
    if deadline is not None and deadline <= now:
        agent.handle_timer(now)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.floats(0, 0.5), st.floats(0.001, 0.4))
def test_any_weather_ends_in_agreement_or_goes_on(seed: int, loss: float, latency: float) -> None:
    network = Network(seed=seed, loss=loss, latency=latency)
    network.delay = lambda packet: network.random.random() * latency
    a, b = make_nodes(network)
    for node, number in ((a, 1), (b, 2)):
        node.add_host(network.internet, f"203.0.113.{number}")
        node.add_relay()
    exchange(a, b)
    network.run(20)
    network.loss = 0.0
    assert network.run(15, lambda: agree(a, b))
    assert not a.events(ConsentExpired)


def duplicated(network: Network) -> None:
    carry = network.carry

    def twice(packet: Packet, deliver: Callable[[Packet], None]) -> None:
        carry(packet, deliver)
        carry(packet, deliver)

    network.carry = twice  # type: ignore[method-assign]


def test_everything_twice_is_no_different() -> None:
    network = Network()
    duplicated(network)
    nodes: tuple[Node, Node] = make_nodes(network)
    a, b = nodes
    for node, number in ((a, 1), (b, 2)):
        node.add_host(network.internet, f"203.0.113.{number}")
        node.add_relay()
    exchange(a, b)
    assert network.run(2, lambda: agree(a, b))
    network.run(30)
    assert agree(a, b)
    assert len(a.events(PathSelected)) == 1


def test_a_check_for_a_socket_that_is_no_base_yet() -> None:
    agent = make_agent(controlling=True)
    base = make_candidate("host", ("192.0.2.9", 40000))
    check = agent.check_from(base)
    assert check is not None
    assert check.attributes["USERNAME"] == f"{REMOTE.ufrag}:{LOCAL.ufrag}"
    assert check.attributes["PRIORITY"] >> 24 == 110
    assert "ICE-CONTROLLING" in check.attributes
    assert check.check_message_integrity(REMOTE.key)
    assert make_agent(remote=None).check_from(base) is None
    agent.close()
    assert agent.check_from(base) is None


def test_whose_a_message_is() -> None:
    agent = make_agent()
    check = agent.check_from(HOST)
    assert check is not None
    ours, theirs = request(), answer(check)
    assert agent.is_remotes(ours)
    assert agent.is_remotes(theirs)
    assert not agent.is_remotes(check)
    assert not agent.is_remotes(answer(check, key=LOCAL))
    assert not make_agent(remote=None).is_remotes(theirs)
