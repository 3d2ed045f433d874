from __future__ import annotations

import pytest

from signaling import AuthError, DecodeError, InvalidURL, NotConnected, Rejected, SignalingError


@pytest.mark.parametrize("kind", [AuthError, DecodeError, InvalidURL, NotConnected])
def test_everything_raised_on_purpose_is_a_signaling_error(kind: type[SignalingError]) -> None:
    assert issubclass(kind, SignalingError)


def test_a_rejection_says_why() -> None:
    rejected = Rejected("full", "the receiver's mailbox is full")
    assert (rejected.code, str(rejected)) == ("full", "the receiver's mailbox is full (full)")
