"""atmosphere.turn.reasons; the rest of it is in test_client."""

from __future__ import annotations

import ssl

import pytest

from atmosphere.errors import Unreachable
from atmosphere.stun.library import stun
from atmosphere.turn.reasons import explain


def invalid_certificate() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "self-signed certificate"
    return error


@pytest.mark.parametrize(
    ("error", "trouble", "expected"),
    [
        (invalid_certificate(), None, "the server's certificate is not valid: self-signed certificate"),
        (TimeoutError(), "no route to host", "no route to host"),
        (TimeoutError(), None, "no answer within 5 s"),
        (stun.TransactionTimeout(), None, "no answer within 5 s"),
        (ConnectionRefusedError(), None, "connection refused"),
        (OSError("odd"), None, "odd"),
        (OSError(), None, "OSError"),
    ],
)
def test_one_line(error: BaseException, trouble: str | None, expected: str) -> None:
    told = explain(error, trouble, 5.0)
    assert isinstance(told, Unreachable)
    assert str(told) == expected


def test_what_a_server_says_stays_in_its_line() -> None:
    response = stun.Message(stun.Method.ALLOCATE, stun.Class.ERROR)
    response.attributes["ERROR-CODE"] = (499, "no\n2026 INFO forged \x1b[2J")
    told = explain(stun.TransactionFailed(response), None, 5.0)
    assert str(told) == "the server refused: no?2026 INFO forged ?[2J (499)"
