"""Checks on the wire: what is in them, whom they are for, and who wins a conflict of roles."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.ice.checks import Role, build_answer, build_check, build_role_conflict, is_authentic_check
from atmosphere.ice.credentials import IceCredentials
from atmosphere.stun.message import Class, Message, Method, decode, encode

A = IceCredentials("ufragAAA", "a" * 24)
B = IceCredentials("ufragBBB", "b" * 24)
SOURCE = ("2001:db8::1", 7777)


def check(
    *, controlling: bool = True, tie_breaker: int = 5, nomination: int | None = None, doubt: int | None = None
) -> Message:
    role = Role(controlling, tie_breaker)
    return decode(encode(build_check(A, B, role=role, priority=77, nomination=nomination, doubt=doubt)))


def test_a_check_says_whom_it_is_for_and_who_sends_it() -> None:
    message = check()
    assert message.attributes["USERNAME"] == "ufragBBB:ufragAAA"
    assert message.attributes["PRIORITY"] == 77
    assert message.attributes["ICE-CONTROLLING"] == 5
    assert "ICE-CONTROLLED" not in message.attributes
    assert "USE-CANDIDATE" not in message.attributes
    assert check(controlling=False).attributes["ICE-CONTROLLED"] == 5


def test_a_nomination_is_use_candidate_with_a_counter() -> None:
    attributes = check(nomination=3).attributes
    assert "USE-CANDIDATE" in attributes
    assert attributes["NOMINATION"] == 3
    assert "DOUBT" not in attributes


def test_a_check_may_object_to_a_nomination() -> None:
    assert check(controlling=False, doubt=3).attributes["DOUBT"] == 3


def test_an_answer_is_signed_and_no_larger_than_the_check() -> None:
    message = check()
    answer = build_answer(message, SOURCE, B)
    assert decode(encode(answer)).check_message_integrity(B.key)
    assert answer.attributes["XOR-MAPPED-ADDRESS"] == SOURCE
    assert answer.transaction_id == message.transaction_id
    assert len(encode(answer)) <= len(encode(message))
    conflict = build_role_conflict(message, B)
    assert conflict.error_code == 487
    assert conflict.check_message_integrity(B.key)
    assert len(encode(conflict)) <= len(encode(message))


def test_only_a_check_for_us_from_the_remote_we_know_is_authentic() -> None:
    message = check()
    assert is_authentic_check(message, B, A)
    assert is_authentic_check(message, B, None), "any remote will do before we know it"
    assert not is_authentic_check(message, B, IceCredentials("another8", "x"))
    assert not is_authentic_check(message, A, None)
    assert not is_authentic_check(message, IceCredentials(B.ufrag, "wrong"), A)


@pytest.mark.parametrize("missing", ["USERNAME", "PRIORITY", "MESSAGE-INTEGRITY"])
def test_a_check_that_lacks_something_is_not_authentic(missing: str) -> None:
    message = build_check(A, B, role=Role(True, 5), priority=77, nomination=None)
    del message.attributes[missing]
    if missing == "MESSAGE-INTEGRITY":
        message.add_fingerprint()
    else:
        message.add_message_integrity(B.key)
    assert not is_authentic_check(decode(encode(message)), B, A)


@pytest.mark.parametrize("username", ["", "ufragBBB", ":", "ufragBBB:", "ufragAAA:ufragBBB", "ufragBBB:ufragAAA:x"])
def test_strange_usernames(username: str) -> None:
    message = Message(Method.BINDING, Class.REQUEST, attributes={"USERNAME": username, "PRIORITY": 1})
    message.add_message_integrity(B.key)
    assert not is_authentic_check(message, B, A)


@given(st.booleans(), st.booleans(), st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_a_conflict_ends_with_one_of_each(one: bool, two: bool, mine: int, theirs: int) -> None:
    here, there = Role(one, mine), Role(two, theirs)
    request = check(controlling=two, tie_breaker=theirs)
    verdict = here.judge(request)
    assert (verdict == "agreed") == (one != two)
    if verdict == "switch":
        here.switch()
    elif verdict == "refuse":
        there.switch()
    assert here.controlling != there.controlling
    if one == two and mine != theirs:
        assert here.controlling == (mine > theirs)


def test_a_refused_agent_takes_a_new_tie_breaker() -> None:
    role = Role(True, 2**64)
    role.renew()
    assert 0 <= role.tie_breaker < 2**64


def test_a_request_without_a_role_is_no_conflict() -> None:
    assert Role(True, 1).judge(Message(Method.BINDING, Class.REQUEST)) == "agreed"
