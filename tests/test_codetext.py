from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere import base32, codetext
from atmosphere.errors import CodeError, DecodeError

BODY = bytes(range(100))
TEXT = codetext.wrap("atm", BODY)


def reason(text: str) -> str:
    with pytest.raises(CodeError) as caught:
        codetext.unwrap("atm", text, "join code")
    return caught.value.reason


@given(st.binary(max_size=300))
def test_what_is_wrapped_is_unwrapped(body: bytes) -> None:
    assert codetext.unwrap("atm", codetext.wrap("atm", body), "join code") == body


def test_the_layout_is_this() -> None:
    data = base32.decode(TEXT.removeprefix("atm1"))
    assert data[:3] == bytes((1, 0, 107))
    assert data[3:-4] == BODY
    assert data[-4:] == hashlib.sha256(b"atm" + data[:-4]).digest()[:4]


@pytest.mark.parametrize(
    "text",
    [
        TEXT.upper(),
        f'  "{TEXT}"\n',
        "\n".join(TEXT[place : place + 20] for place in range(0, len(TEXT), 20)),
        "–".join(TEXT),
        "\u200b \u00a0".join(TEXT),
        f"> `{TEXT}`.",
        f"atmosphere join {TEXT}",
        "".join(chr(ord(letter) + 0xFEE0) for letter in TEXT),  # full-width forms
        "atml" + TEXT[4:],
        TEXT[:4] + TEXT[4:].replace("o", "0").replace("l", "1").replace("b", "8"),
    ],
)
def test_what_is_forgiven(text: str) -> None:
    assert codetext.unwrap("atm", text, "join code") == BODY


@pytest.mark.parametrize(
    "text", ["", "hello", "atm", "at", "atmx" + TEXT[4:], "x" * 20000, "atr1" + TEXT[4:], "atm0aa"]
)
def test_what_is_no_code(text: str) -> None:
    assert reason(text) == ("truncated" if text in ("at", "atm") else "malformed")


@given(st.integers(4, len(TEXT) - 1))
def test_every_beginning_is_truncated(length: int) -> None:
    assert reason(TEXT[:length]) == "truncated"


@given(st.integers(9, len(TEXT) - 1), st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"))
def test_every_wrong_letter_is_noticed(place: int, letter: str) -> None:
    if TEXT[place] != letter:
        assert reason(TEXT[:place] + letter + TEXT[place + 1 :]) == "mistyped"


def test_other_ways_of_being_mistyped() -> None:
    assert reason(TEXT[:30] + "9" + TEXT[31:]) == "mistyped"
    assert reason(TEXT + "a") == "mistyped"
    alphabet = "abcdefghijklmnopqrstuvwxyz234567"
    assert reason(TEXT[:-1] + alphabet[alphabet.index(TEXT[-1]) + 1]) == "mistyped", "bits are left over at the end"
    assert reason("atm1" + base32.encode(b"\x01\x00\x05ab")) == "truncated"
    assert reason("atm1" + base32.encode(b"\x01\x00\x07abcd")) == "mistyped"


def test_newer_codes_say_so() -> None:
    assert reason("atm2" + TEXT[4:]) == "newer"
    data = b"\x02\x00\x0babcd"
    later = data + hashlib.sha256(b"atm" + data).digest()[:4]
    assert reason("atm1" + base32.encode(later)) == "newer"


def test_a_body_too_long() -> None:
    with pytest.raises(ValueError, match="at most"):
        codetext.wrap("atm", bytes(codetext.MAX_BODY + 1))
    body = bytes(codetext.MAX_BODY)
    assert codetext.unwrap("atm", codetext.wrap("atm", body), "join code") == body


@given(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=255))))
def test_fields_and_back(entries: list[tuple[int, bytes]]) -> None:
    data = b"".join(codetext.field(tag, value) for tag, value in entries)
    assert list(codetext.fields(data)) == entries


@given(st.binary(max_size=60))
def test_any_bytes_are_fields_or_a_decode_error(data: bytes) -> None:
    try:
        entries = list(codetext.fields(data))
    except DecodeError:
        return
    assert b"".join(codetext.field(tag, value) for tag, value in entries) == data


@given(st.text(max_size=60) | st.text(alphabet=TEXT).map(lambda rest: "atm1" + rest))
def test_any_text_is_a_body_or_a_code_error(text: str) -> None:
    try:
        codetext.unwrap("atm", text, "join code")
    except CodeError as error:
        assert error.reason in ("malformed", "truncated", "mistyped", "newer")
