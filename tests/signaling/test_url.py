from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.errors import InvalidURL
from signaling.url import normalize


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("ws://example.org", "ws://example.org/"),
        ("WSS://Example.org:443/signal", "wss://example.org:443/signal"),
        ("http://192.0.2.1:8080/", "ws://192.0.2.1:8080/"),
        (" https://[2001:DB8::1]:7777 ", "wss://[2001:db8::1]:7777/"),
        ("ws://h/signal?x=1", "ws://h/signal?x=1"),
    ],
)
def test_a_url_has_one_form(text: str, url: str) -> None:
    assert normalize(text) == normalize(url) == url


@pytest.mark.parametrize(
    "text",
    ["", "example.org", "example.org:80", "ftp://h", "ws://", "ws://:80", "ws://h:99999", "ws://h:x", "ws://[::1"],
)
def test_what_is_no_address_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(InvalidURL) as caught:
        normalize(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["ws://u:p@h", "ws://h/#x", "ws://é", "ws://h/\x00", "ws://" + "h" * 600],
)
def test_anything_else_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(InvalidURL) as caught:
        normalize(text)
    assert "\n" not in str(caught.value)


@given(st.text(max_size=60) | st.text(max_size=60).map(lambda rest: "ws://" + rest))
def test_arbitrary_text_gives_a_stable_url_or_an_error(text: str) -> None:
    try:
        url = normalize(text)
    except InvalidURL:
        return
    assert normalize(url) == url
