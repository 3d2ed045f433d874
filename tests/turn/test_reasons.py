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
