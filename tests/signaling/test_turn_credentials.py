from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from signaling.turn_credentials import TurnCredentialSource, is_turn_uri


def test_credentials_have_coturns_form() -> None:
    source = TurnCredentialSource(("turn:turn.example.org", "turns:turn.example.org:443"), "north", ttl=600)
    minted = source.mint("abc", 1_000_000.7)
    assert minted.username == "1000600:abc"
    expected = hmac.new(b"north", b"1000600:abc", hashlib.sha1).digest()
    assert base64.b64decode(minted.password) == expected
    assert minted.uris == ["turn:turn.example.org", "turns:turn.example.org:443"]
    assert minted.ttl == 600


def test_no_secret_is_in_a_repr() -> None:
    source = TurnCredentialSource(("turn:x",), "north")
    minted = source.mint("abc", 0)
    assert "north" not in repr(source)
    assert minted.password not in repr(minted)


@pytest.mark.parametrize(
    "uri", ["turn:a", "turns:a:443?transport=tcp", "turn:[2001:db8::1]:3478", "turns:a?transport=ws&path=/t"]
)
def test_turn_uris(uri: str) -> None:
    assert is_turn_uri(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "stun:a",
        "turn:",
        "turn:a b",
        "turn://a",
        "turn:u@a",
        "turn:a?x@y",
        "turn:?transport=ws",
        "turn:a\n",
        "turn:" + "a" * 300,
    ],
)
def test_no_turn_uris(uri: str) -> None:
    assert not is_turn_uri(uri)
