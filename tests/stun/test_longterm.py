from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.errors import DecodeError
from atmosphere.stun.integrity import PasswordAlgorithm, long_term_key, userhash
from atmosphere.stun.longterm import (
    COOKIE_SIZE,
    OFFERED,
    Challenge,
    Feature,
    bid_down,
    features_of,
    nonce_cookie,
    request_algorithm,
    sign_answer,
)
from atmosphere.stun.message import Class, Message, Method, binding_response, decode, encode, error_response

MD5, SHA256 = PasswordAlgorithm.MD5, PasswordAlgorithm.SHA256
USER, REALM, PASSWORD = "anna", "example.org", "correct-horse"
BOTH = Feature.PASSWORD_ALGORITHMS | Feature.USERNAME_ANONYMITY


def ask(attributes: dict[str, Any] | None = None) -> Message:
    return Message(Method.ALLOCATE, Class.REQUEST, attributes=attributes)


def challenge(code: int = 401, **attributes: Any) -> Message:
    """A server's answer; `realm`, `nonce`, `algorithms`: None leaves one out."""
    given = {"realm": REALM, "nonce": nonce_cookie(Feature.PASSWORD_ALGORITHMS) + b"n", "algorithms": OFFERED}
    names = {"realm": "REALM", "nonce": "NONCE", "algorithms": "PASSWORD-ALGORITHMS"}
    values = {names[name]: value for name, value in (given | attributes).items() if value is not None}
    return decode(encode(error_response(ask(), code, "Unauthenticated", values)))


@pytest.mark.parametrize(
    ("features", "cookie"),
    [
        (Feature.NONE, b"obMatJos2AAAA"),
        (Feature.PASSWORD_ALGORITHMS, b"obMatJos2gAAA"),
        (Feature.USERNAME_ANONYMITY, b"obMatJos2QAAA"),
        (BOTH, b"obMatJos2wAAA"),
    ],
)
def test_a_cookie(features: Feature, cookie: bytes) -> None:
    assert nonce_cookie(features) == cookie
    assert len(cookie) == COOKIE_SIZE
    assert features_of(cookie + b"whatever") == features


@pytest.mark.parametrize("nonce", [b"", b"obMatJos2", b"obMatJos2gAA", b"obMatJos2g\xffAA", b"obMatJos2g=AA", b"nonce"])
def test_a_nonce_without_a_cookie(nonce: bytes) -> None:
    assert features_of(nonce) is None


def test_features_of_the_future_are_left_out() -> None:
    assert features_of(b"obMatJos2////") == BOTH


@given(st.binary(max_size=30))
def test_arbitrary_nonces(nonce: bytes) -> None:
    features_of(nonce)
    assert features_of(nonce_cookie(BOTH) + nonce) == BOTH


def test_sha256_from_challenge_to_answer() -> None:
    found = Challenge.of(challenge())
    assert (found.algorithm, found.anonymous) == (SHA256, False)
    request = ask({"LIFETIME": 600})
    key = found.sign(request, USER, PASSWORD)
    received = decode(encode(request))
    assert received.attributes["USERNAME"] == USER
    assert (received.signed, received.signed_sha256) == (False, True)
    assert request_algorithm(received) is SHA256
    assert key == long_term_key(USER, REALM, PASSWORD, SHA256)
    assert received.verify(key)
    answer = Message(Method.ALLOCATE, Class.RESPONSE, transaction_id=received.transaction_id)
    sign_answer(answer, received, key)
    assert decode(encode(answer)).check_message_integrity_sha256(key)


@pytest.mark.parametrize("nonce", [b"nonce", nonce_cookie(Feature.NONE) + b"nonce"])
def test_an_older_server_gets_sha1_and_md5(nonce: bytes) -> None:
    found = Challenge.of(challenge(438, nonce=nonce, algorithms=None))
    request = ask()
    key = found.sign(request, USER, PASSWORD)
    received = decode(encode(request))
    assert "PASSWORD-ALGORITHM" not in received.attributes
    assert request_algorithm(received) is MD5
    assert key == long_term_key(USER, REALM, PASSWORD)
    assert received.check_message_integrity(key)
    answer = binding_response(received, ("192.0.2.1", 1))
    sign_answer(answer, received, key)
    assert decode(encode(answer)).check_message_integrity(key)


def test_a_server_that_wants_no_names() -> None:
    found = Challenge.of(challenge(nonce=nonce_cookie(BOTH) + b"n"))
    request = ask()
    found.sign(request, USER, PASSWORD)
    assert request.attributes["USERHASH"] == userhash(USER, REALM)
    assert "USERNAME" not in request.attributes


def test_the_servers_order_decides() -> None:
    assert Challenge.of(challenge(algorithms=((9, b"new"), (MD5, b""), (SHA256, b"")))).algorithm is MD5
    assert Challenge.of(challenge(algorithms=((SHA256, b"salted"), (MD5, b"")))).algorithm is MD5


def test_a_retry_after_a_stale_nonce_replaces_what_was_there() -> None:
    request = ask()
    Challenge.of(challenge(algorithms=None, nonce=b"old")).sign(request, USER, PASSWORD)
    key = Challenge.of(challenge(438)).sign(request, USER, PASSWORD)
    received = decode(encode(request))
    assert received.attributes["NONCE"] == nonce_cookie(Feature.PASSWORD_ALGORITHMS) + b"n"
    assert request_algorithm(received) is SHA256
    assert received.verify(key)
    assert (received.signed, received.signed_sha256) == (False, True)


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (challenge(algorithms=None), "announces"),
        (challenge(438, algorithms=None), "announces"),
        (challenge(algorithms=((9, b""),)), "unknown"),
        (challenge(algorithms=()), "unknown"),
        (challenge(realm=None), "without"),
        (challenge(nonce=None), "without"),
        (challenge(400), "not a challenge"),
        (binding_response(ask(), ("192.0.2.1", 1)), "not a challenge"),
    ],
)
def test_what_must_not_be_answered(response: Message, reason: str) -> None:
    with pytest.raises(DecodeError, match=reason):
        Challenge.of(response)


def test_a_bid_down_is_seen_in_any_response() -> None:
    response = binding_response(ask(), ("192.0.2.1", 1))
    assert not bid_down(response)
    response.attributes["NONCE"] = nonce_cookie(Feature.PASSWORD_ALGORITHMS)
    assert bid_down(response)
    response.attributes["PASSWORD-ALGORITHMS"] = OFFERED
    assert not bid_down(response)


@pytest.mark.parametrize(
    ("attributes", "algorithm"),
    [
        ({}, MD5),
        ({"PASSWORD-ALGORITHM": (2, b""), "PASSWORD-ALGORITHMS": OFFERED}, SHA256),
        ({"PASSWORD-ALGORITHM": (1, b""), "PASSWORD-ALGORITHMS": OFFERED}, MD5),
        ({"PASSWORD-ALGORITHM": (2, b"")}, None),
        ({"PASSWORD-ALGORITHMS": OFFERED}, None),
        ({"PASSWORD-ALGORITHM": (1, b""), "PASSWORD-ALGORITHMS": ((1, b""),)}, None),
        ({"PASSWORD-ALGORITHM": (2, b""), "PASSWORD-ALGORITHMS": OFFERED[::-1]}, None),
        ({"PASSWORD-ALGORITHM": (3, b""), "PASSWORD-ALGORITHMS": OFFERED}, None),
        ({"PASSWORD-ALGORITHM": (2, b"x"), "PASSWORD-ALGORITHMS": OFFERED}, None),
    ],
)
def test_what_a_server_makes_of_a_request(attributes: dict[str, Any], algorithm: PasswordAlgorithm | None) -> None:
    assert request_algorithm(decode(encode(ask(attributes)))) is algorithm


def test_an_offer_that_we_do_not_know_ourselves_is_never_chosen() -> None:
    offered = ((9, b""),)
    request = ask({"PASSWORD-ALGORITHM": (9, b""), "PASSWORD-ALGORITHMS": offered})
    assert request_algorithm(request, offered) is None


def test_the_nonce_is_not_shown() -> None:
    assert "obMat" not in repr(Challenge.of(challenge()))
