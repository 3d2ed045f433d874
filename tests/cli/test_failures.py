"""Every error has one exit code, and comes over the control socket as what it was."""

from __future__ import annotations

import errno

import pytest

from atmosphere import errors
from atmosphere.cli import failures


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.AtmosphereError("x"), 1),
        (errors.StateError("x"), 1),
        (errors.UnknownPeer("x"), 1),
        (errors.DecodeError("x"), 1),
        (errors.NotRunning("x"), 3),
        (errors.Unreachable("x"), 4),
        (errors.LinkError("x"), 4),
        (errors.StreamReset("x"), 4),
        (errors.Refused("x"), 5),
        (errors.CodeError("x", reason="used"), 5),
    ],
)
def test_round_trip(error: errors.AtmosphereError, code: int) -> None:
    again = failures.error_of(failures.kind_of(error), str(error), hint="do it", reason="used")
    assert type(again) is type(error)
    assert (str(again), again.hint) == ("x", "do it")
    assert failures.exit_code(error) == failures.exit_code(again) == code


def test_unknown_kind() -> None:
    assert type(failures.error_of("newer", "x")) is errors.AtmosphereError


def test_foreign_errors() -> None:
    assert isinstance(failures.as_atmosphere_error(TimeoutError()), errors.Unreachable)
    denied = failures.as_atmosphere_error(PermissionError(errno.EACCES, "Permission denied", "/x"))
    assert str(denied) == "Permission denied: /x"
    assert "ValueError" in str(failures.as_atmosphere_error(ValueError("odd")))


def test_a_code_that_is_no_longer_good_has_a_hint() -> None:
    assert (
        failures.hint_for(errors.CodeError("x", reason="used")) == "ask the other side for a new code: atmosphere join"
    )
    assert failures.hint_for(errors.CodeError("x", reason="used", hint="y")) == "y"
    assert failures.hint_for(errors.CodeError("x", reason="newer")) is None


def test_show_is_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    failures.show("a\nb\x1b[2J", "c\r\nd")
    assert capsys.readouterr().err == "Error: a b [2J\nTry: c d\n"
