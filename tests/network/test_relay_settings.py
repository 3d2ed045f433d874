from __future__ import annotations

from typing import Any

import pytest

from atmosphere.network.relay_settings import RelaySettings, is_literal, place, public_place
from signaling.settings import Settings


@pytest.mark.parametrize(
    "wrong",
    [
        {"secret": ""},
        {"turn_uris": ("turn:example.org",)},
        {"turn_uris": ("nonsense",), "secret": "s"},
        {"tls_key": "key.pem"},
        {"public_url": "nonsense"},
        {"public_url": "https://example.org/?query"},
        {"signaling": Settings(trusted_proxies=("nonsense",))},
    ],
)
def test_what_cannot_work(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        RelaySettings(**wrong)


def test_secrets_are_in_no_text() -> None:
    text = repr(RelaySettings(secret="hushhush", users={"anna": "password1"}))
    assert "hushhush" not in text
    assert "password1" not in text


@pytest.mark.parametrize(
    ("url", "netloc", "path", "secure"),
    [
        ("https://example.org", "example.org:443", "", True),
        ("wss://example.org/atm/", "example.org:443", "/atm", True),
        ("http://[2001:db8::1]:8080/", "[2001:db8::1]:8080", "", False),
        ("ws://example.org", "example.org:80", "", False),
    ],
)
def test_public_places(url: str, netloc: str, path: str, secure: bool) -> None:
    found = public_place(url)
    assert (found.netloc, found.path, found.secure) == (netloc, path, secure)


def test_literals_and_places() -> None:
    assert is_literal("192.0.2.1")
    assert is_literal("::1")
    assert not is_literal("example.org")
    assert place("::1", 1) == "[::1]:1"
    assert place("example.org", 1) == "example.org:1"
