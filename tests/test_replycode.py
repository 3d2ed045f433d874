from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere import codetext
from atmosphere.errors import CodeError
from atmosphere.replycode import ReplyCode


@given(st.binary(min_size=8, max_size=8), st.binary(min_size=1, max_size=300))
def test_what_is_written_is_read(invite: bytes, sealed: bytes) -> None:
    reply = ReplyCode(invite.hex(), sealed)
    assert str(reply).startswith("atr1")
    assert ReplyCode.parse(str(reply).upper()) == reply


def test_join_codes_are_told_apart() -> None:
    with pytest.raises(CodeError, match="join code") as caught:
        ReplyCode.parse("atm1abc")
    assert caught.value.hint


def test_wrong_replies() -> None:
    text = str(ReplyCode("00" * 8, b"sealed"))
    for wrong, reason in (
        ("hello", "malformed"),
        (text[:-2], "truncated"),
        (text[:-1] + "9", "mistyped"),
        (codetext.wrap("atr", b"12345678"), "malformed"),
    ):
        with pytest.raises(CodeError) as caught:
            ReplyCode.parse(wrong)
        assert caught.value.reason == reason


@pytest.mark.parametrize("invite", ["", "00", "AB" * 8, "zz" * 8])
def test_ids_that_are_none(invite: str) -> None:
    with pytest.raises(ValueError):
        ReplyCode(invite, b"sealed")


def test_repr_is_short() -> None:
    assert repr(ReplyCode("00" * 8, b"sealed")) == "ReplyCode(invite_id='0000000000000000')"
