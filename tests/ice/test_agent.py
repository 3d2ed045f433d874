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
from atmosphere.ice.candidate import candidate_priority
from atmosphere.ice.checklist import MAX_PEER_REFLEXIVE
from atmosphere.ice.checks import Role, build_answer, build_check
from atmosphere.ice.credentials import IceCredentials
from atmosphere.ice.events import ConsentExpired, IceFailed, PathSelected, RemoteSeen, Transmit
from atmosphere.stun.message import Class, Message, Method, binding_request, decode, encode, error_response
from tests.ice.vnet import Nat, Network, Node, Packet, agree, exchange, make_candidate, make_nodes

LOCAL = IceCredentials("ufragAAA", "a" * 24)
REMOTE = IceCredentials("ufragBBB", "b" * 24)
HOST = make_candidate("host", ("203.0.113.1", 7777))
THERE = make_candidate("host", ("203.0.113.2", 7777))
PRIORITY = candidate_priority("prflx")
NOW = 1000.0


def make_agent(*, controlling: bool = False, remote: IceCredentials | None = REMOTE, tie_breaker: int = 5) -> Agent:
    agent = Agent(controlling=controlling, local=LOCAL, remote=remote, now=NOW, tie_breaker=tie_breaker)
    agent.add_local(HOST, 1, NOW)
    return agent


def request(
    *,
    controlling: bool = True,
    tie_breaker: int = 9,
    nomination: int | None = None,
    change: Callable[[Message], None] = lambda message: None,
) -> Message:
    """A check that the remote would send; `change` is made before it is signed anew."""
    message = build_check(REMOTE, LOCAL, role=Role(controlling, tie_breaker), priority=PRIORITY, nomination=nomination)
    change(message)
    message.add_message_integrity(LOCAL.key)
    return decode(encode(message))


def use_candidate(message: Message) -> None:
    message.attributes["USE-CANDIDATE"] = None


def use_better_candidate(message: Message) -> None:
    message.attributes.update({"USE-CANDIDATE": None, "PRIORITY": PRIORITY + 1})


def give(
    agent: Agent, message: Message, source: tuple[str, int] = THERE.endpoint, *, base: int = 1, now: float = NOW
) -> list[Message]:
    """Hand a message to the agent; what it sends in return."""
    agent.receive(message, encode(message), base, source, now)
    return [decode(transmit.data) for transmit in agent.transmits()]


def answer(check: Message, *, key: IceCredentials = REMOTE, seen: tuple[str, int] = HOST.endpoint) -> Message:
    return decode(encode(build_answer(check, seen, key)))


def check_of(messages: list[Message]) -> Message:
    (check,) = [message for message in messages if message.message_class is Class.REQUEST]
    return check


def connect(agent: Agent) -> None:
    """Bring a controlled agent up with THERE."""
    give(agent, answer(check_of(give(agent, request(nomination=1)))))
    assert agent.state == "connected"


# What it answers, and what it does not


def test_a_check_is_answered_and_checked_back_at_once() -> None:
    agent = make_agent()
    reply, check = give(agent, request())
    assert reply.message_class is Class.RESPONSE
    assert reply.attributes["XOR-MAPPED-ADDRESS"] == THERE.endpoint
    assert reply.check_message_integrity(LOCAL.key)
    assert check.attributes["USERNAME"] == "ufragBBB:ufragAAA"
    assert check.attributes["ICE-CONTROLLED"] == 5
    assert check.check_message_integrity(REMOTE.key)
    assert agent.events() == [RemoteSeen(1, THERE.endpoint)]
    assert agent.is_valid_source(1, THERE.endpoint)
    assert not agent.is_valid_source(1, ("203.0.113.2", 7778))
    assert not agent.is_valid_source(2, THERE.endpoint)


def test_checks_are_answered_before_the_remotes_credentials_are_known() -> None:
    agent = make_agent(remote=None)
    (reply,) = give(agent, request())
    assert reply.message_class is Class.RESPONSE
    give(agent, request(nomination=1))
    assert agent.remote is None
    agent.set_remote_credentials(REMOTE, NOW + 1)
    (check,) = agent.transmits()
    assert agent.owns_transaction(decode(check.data).transaction_id)
    give(agent, answer(decode(check.data)), now=NOW + 1.1)
    assert agent.state == "connected"


@pytest.mark.parametrize(
    "message",
    [
        request(change=lambda m: m.attributes.pop("PRIORITY")),
        request(change=lambda m: m.attributes.pop("USERNAME")),
        request(change=lambda m: m.attributes.update(USERNAME="ufragAAA:somebody")),
        request(change=lambda m: m.attributes.update(PRIORITY=0)),
        Message(Method.BINDING, Class.INDICATION),
        Message(Method.ALLOCATE, Class.REQUEST),
        binding_request(),
        build_check(REMOTE, IceCredentials("ufragAAA", "wrong"), role=Role(True, 1), priority=1, nomination=None),
    ],
)
def test_what_is_ignored_without_a_trace(message: Message) -> None:
    agent = make_agent()
    assert give(agent, message) == []
    assert agent.events() == []
    assert agent.report() == []
    assert not agent.is_valid_source(1, THERE.endpoint)


def test_a_message_on_a_base_that_is_not_ours_is_ignored() -> None:
    agent = make_agent()
    assert give(agent, request(), base=2) == []


def test_policies_hold_for_what_comes_in() -> None:
    relay_only = Agent(controlling=False, local=LOCAL, remote=REMOTE, now=NOW, policy="relay")
    relay_only.add_local(HOST, 1, NOW)
    assert give(relay_only, request()) == []
    direct_only = Agent(controlling=False, local=LOCAL, remote=REMOTE, now=NOW, policy="direct")
    direct_only.add_local(HOST, 1, NOW)
    relayed = request(change=lambda m: m.attributes.update(PRIORITY=candidate_priority("relay")))
    assert give(direct_only, relayed) == []
    assert len(give(direct_only, request())) == 2


def test_addresses_that_checks_come_from_are_bounded() -> None:
    agent = make_agent()
    for port in range(1, 200):
        give(agent, request(), ("198.51.100.7", port))
    assert len(agent.report()) == MAX_PEER_REFLEXIVE
    connect_from = ("198.51.100.7", 1)
    assert give(agent, request(), connect_from), "those known are still served"


# Answers


def test_a_check_answered_validly_makes_the_pair_valid_once() -> None:
    agent = make_agent()
    check = check_of(give(agent, request()))
    reply = answer(check)
    give(agent, reply, now=NOW + 0.1)
    (report,) = agent.report()
    assert report.state == "succeeded"
    assert report.rtt == pytest.approx(0.1)
    assert report.local == HOST
    give(agent, reply, now=NOW + 5)
    assert agent.report()[0].rtt == pytest.approx(0.1), "a replay changes nothing"


def test_forged_answers_change_nothing() -> None:
    agent = make_agent()
    check = check_of(give(agent, request()))
    give(agent, answer(check, key=IceCredentials("ufragBBB", "wrong")))
    give(agent, Message(Method.BINDING, Class.RESPONSE, transaction_id=check.transaction_id))
    give(agent, Message(Method.BINDING, Class.ERROR, transaction_id=check.transaction_id))
    stray = answer(binding_request())
    assert not agent.owns_transaction(stray.transaction_id)
    give(agent, stray)
    assert agent.owns_transaction(check.transaction_id)
    give(agent, answer(check))
    assert agent.report()[0].state == "succeeded"


def test_an_answer_from_another_address_fails_the_pair() -> None:
    agent = make_agent()
    give(agent, answer(check_of(give(agent, request()))), ("203.0.113.2", 9))
    (report,) = agent.report()
    assert (report.state, report.why) == ("failed", "answered from 203.0.113.2 port 9 instead")


def test_an_error_or_an_answer_without_address_fails_the_pair_and_it_is_tried_again() -> None:
    for change in ("error", "empty"):
        agent = make_agent()
        check = check_of(give(agent, request()))
        reply = (
            error_response(check, 400, "no")
            if change == "error"
            else Message(Method.BINDING, Class.RESPONSE, transaction_id=check.transaction_id)
        )
        reply.add_message_integrity(REMOTE.key)
        give(agent, reply)
        (report,) = agent.report()
        assert report.state == "failed"
        assert report.why.startswith("refused with error")
        agent.handle_timer(NOW + 1)
        assert len(agent.transmits()) == 1


def test_an_error_on_the_selected_pair_is_left_to_consent() -> None:
    agent = make_agent()
    connect(agent)
    agent.handle_timer(NOW + 1.3)
    check = decode(agent.transmits()[-1].data)
    reply = error_response(check, 403, "go away")
    reply.add_message_integrity(REMOTE.key)
    give(agent, reply, now=NOW + 1.4)
    assert agent.report()[0].state == "succeeded"
    assert agent.state == "connected"


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


def test_a_conflict_is_refused_with_487_and_the_refused_gives_way() -> None:
    agent = make_agent(controlling=True, tie_breaker=9)
    (refusal,) = give(agent, request(tie_breaker=1))
    assert refusal.error_code == 487
    assert refusal.check_message_integrity(LOCAL.key)
    agent.add_remote(THERE, NOW)
    (transmit,) = agent.transmits()
    check = decode(transmit.data)
    conflict = error_response(check, 487, "Role Conflict")
    conflict.add_message_integrity(REMOTE.key)
    assert give(agent, conflict) == [], "paced"
    assert not agent.controlling
    agent.handle_timer(NOW + 0.1)
    again = decode(agent.transmits()[0].data)
    assert "ICE-CONTROLLED" in again.attributes
    # A second refusal of a check from before the switch changes nothing more.
    late = error_response(again, 487, "Role Conflict")
    late.add_message_integrity(REMOTE.key)
    agent._role.switch()
    give(agent, late, now=NOW + 0.2)
    assert agent.controlling


# Nominators of other makes


def test_an_aggressive_nominators_best_answered_pair_is_used() -> None:
    """aioice and old libwebrtc nominate with every check; libjuice sends on the best of them."""
    agent = make_agent()
    agent.add_local(replace(HOST, address="2001:db8::1", priority=HOST.priority + 1), 2, NOW)
    six = ("2001:db8::2", 7777)
    first = check_of(give(agent, request(change=use_candidate)))
    give(agent, answer(first), now=NOW + 0.02)
    assert agent.selected is not None
    assert agent.selected.base == 1
    second = check_of(give(agent, request(change=use_better_candidate), six, base=2, now=NOW + 0.04))
    give(agent, answer(second, seen=("2001:db8::1", 7777)), six, base=2, now=NOW + 0.06)
    assert agent.selected.base == 2
    events = [event for event in agent.events() if isinstance(event, PathSelected)]
    assert len(events) == 2
    assert events[1].previous is events[0].pair


def test_use_candidate_means_nothing_to_the_side_that_controls() -> None:
    agent = make_agent(controlling=True)
    message = request(controlling=False, change=use_candidate)
    check = check_of(give(agent, message))
    give(agent, message)
    assert agent.selected is None
    give(agent, answer(check), now=NOW + 0.1)
    assert agent.selected is not None


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


def test_a_replayed_check_from_elsewhere_wins_nothing() -> None:
    """It is answered like any, and its address is checked, but who cannot answer gets no data."""
    agent = make_agent()
    connect(agent)
    replayed = request(nomination=1)
    for port in range(1, 50):
        give(agent, replayed, ("198.51.100.66", port))
    assert agent.selected is not None
    assert agent.selected.remote.endpoint == THERE.endpoint


def test_a_nomination_of_a_pair_that_answered_long_ago_is_checked_anew() -> None:
    agent = make_agent()
    spare = check_of(give(agent, request(), ("203.0.113.3", 1)))
    give(agent, answer(spare), ("203.0.113.3", 1))
    check = check_of(give(agent, request(nomination=1), now=NOW + 0.1))
    give(agent, answer(check), now=NOW + 0.2)
    assert agent.selected is not None
    sent = give(agent, request(nomination=2), ("203.0.113.3", 1), now=NOW + 6)
    assert agent.selected.remote.port == 1
    assert [message.message_class for message in sent].count(Class.REQUEST) >= 1


def test_requests_in_a_burst_trigger_one_check() -> None:
    agent = make_agent()
    sent = [message for _ in range(20) for message in give(agent, request())]
    assert [message.message_class for message in sent].count(Class.REQUEST) == 1
    assert [message.message_class for message in sent].count(Class.RESPONSE) == 20


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
