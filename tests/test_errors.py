"""Errors carry what a person and a program need, and their tree is as documented."""

from __future__ import annotations

import pytest

from atmosphere import errors


def test_the_message_is_for_people_and_the_hint_is_beside_it() -> None:
    error = errors.Unreachable("nobody answered", hint="start the other side")
    assert str(error) == "nobody answered"
    assert error.hint == "start the other side"
    assert errors.AtmosphereError().hint is None


def test_a_code_error_says_why_in_one_word() -> None:
    error = errors.CodeError("the code has expired", reason="expired")
    assert error.reason == "expired"
    assert isinstance(error, errors.Refused)


@pytest.mark.parametrize(
    ("error", "parent"),
    [
        (errors.DecodeError, ValueError),
        (errors.StateError, errors.AtmosphereError),
        (errors.NotRunning, errors.AtmosphereError),
        (errors.Unreachable, errors.AtmosphereError),
        (errors.UnknownPeer, errors.AtmosphereError),
        (errors.ChannelClosed, errors.LinkError),
        (errors.StreamReset, errors.LinkError),
        (errors.LinkError, errors.AtmosphereError),
    ],
)
def test_the_tree(error: type[Exception], parent: type[Exception]) -> None:
    assert issubclass(error, parent)
    assert issubclass(error, errors.AtmosphereError)
