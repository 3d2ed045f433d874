from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.errors import DecodeError
from atmosphere.mesh.filenames import MAX_DEPTH, MAX_NAME, numbered, safe_name, safe_path


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("holiday.jpg", "holiday.jpg"),
        (".bashrc", ".bashrc"),
        ("日本 の机.txt", "日本 の机.txt"),
        ("..", "unnamed"),
        (".", "unnamed"),
        ("", "unnamed"),
        (" ", "unnamed"),
        ("...", "unnamed"),
        ("../../etc/passwd", ".._.._etc_passwd"),
        ("/etc/passwd", "_etc_passwd"),
        ("a\\b", "a_b"),
        ("C:\\x", "C__x"),
        ("nul\x00byte", "nul_byte"),
        ("gpj.\u202eexe", "gpj._exe"),
        ("a\u200bb\nc", "a_b_c"),
        ("CON", "_CON"),
        ("nul.txt", "_nul.txt"),
        ("Com1 .txt", "_Com1 .txt"),
        ("console", "console"),
        ("end. . ", "end"),
        (" lead", "lead"),
        (".atmosphere-partial", "_.atmosphere-partial"),
        (".ATMOSPHERE-x", "_.ATMOSPHERE-x"),
        ("e\u0301", "é"),
        ("x" * 300 + ".jpg", "x" * (MAX_NAME - 4) + ".jpg"),
        ("x." + "y" * 300, "x." + "y" * (MAX_NAME - 2)),
        ("é" * 200, "é" * 120),
    ],
)
def test_names(name: str, safe: str) -> None:
    assert safe_name(name) == safe


@given(st.text(max_size=400))
def test_any_name_becomes_safe_and_stays_so(name: str) -> None:
    safe = safe_name(name)
    assert safe not in ("", ".", "..")
    assert not set(safe) & set("/\\\x00:")
    assert all(unicodedata.category(letter)[0] != "C" for letter in safe)
    assert len(safe.encode()) <= MAX_NAME + 1
    assert safe_name(safe) == safe or len(safe.encode()) > MAX_NAME


def test_paths() -> None:
    assert safe_path(["a", "..", "b/c"]) == ("a", "unnamed", "b_c")
    assert safe_path([]) == ()
    with pytest.raises(DecodeError, match="deep"):
        safe_path(["a"] * (MAX_DEPTH + 1))
    with pytest.raises(DecodeError, match="long"):
        safe_path(["a" * 200] * 30)


@pytest.mark.parametrize(
    ("name", "number", "folder", "expected"),
    [
        ("a.txt", 0, False, "a.txt"),
        ("a.txt", 1, False, "a (1).txt"),
        ("a.tar.gz", 2, False, "a (2).tar.gz"),
        ("README", 3, False, "README (3)"),
        (".bashrc", 1, False, ".bashrc (1)"),
        ("conf.d", 1, True, "conf.d (1)"),
    ],
)
def test_numbers(name: str, number: int, folder: bool, expected: str) -> None:
    assert numbered(name, number, folder=folder) == expected
