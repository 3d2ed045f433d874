"""atmosphere.ice.incoming, in an agent, message by message: checks, answers, roles, nominators of other makes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from atmosphere.ice.agent import Agent
from atmosphere.ice.candidate import candidate_priority
from atmosphere.ice.checklist import MAX_PEER_REFLEXIVE
from atmosphere.ice.checks import Role, build_check
from atmosphere.ice.credentials import IceCredentials
from atmosphere.ice.events import PathSelected, RemoteSeen
from atmosphere.stun.message import Class, Message, Method, binding_request, decode, error_response
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
    use_better_candidate,
    use_candidate,
)

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
