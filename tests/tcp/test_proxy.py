"""atmosphere.tcp.proxy."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.errors import DecodeError, Unreachable
from atmosphere.tcp.proxy import MAX_ANSWER, ConnectAnswer, Proxy, connect_request, parse_proxy


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://proxy.example", Proxy("proxy.example", 80)),
        ("http://proxy.example:3128/", Proxy("proxy.example", 3128)),
        ("https://proxy.example", Proxy("proxy.example", 443, tls=True)),
        ("http://[2001:db8::1]:8080", Proxy("2001:db8::1", 8080)),
        ("http://ben:a%40b@proxy.example", Proxy("proxy.example", 80, False, "ben", "a@b")),
        ("http://ben@proxy.example", Proxy("proxy.example", 80, False, "ben", "")),
    ],
)
def test_proxies(url: str, expected: Proxy) -> None:
    assert parse_proxy(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "socks5://ben:secret@h",
        "http://ben:secret@",
        "http://ben:secret@h:x",
        "http://ben:secret@h/path",
        "http://[::1",
    ],
)
def test_what_is_no_proxy_is_said_without_its_password(url: str) -> None:
    with pytest.raises(DecodeError) as caught:
        parse_proxy(url)
    assert "secret" not in str(caught.value)
    assert caught.value.hint


@given(st.text(max_size=60), st.sampled_from(["", "http://", "https://u:p@"]))
def test_any_text_is_a_proxy_or_none(text: str, scheme: str) -> None:
    with contextlib.suppress(DecodeError):
        assert parse_proxy(scheme + text).host


def test_no_secret_is_in_a_repr() -> None:
    assert "secret" not in repr(parse_proxy("http://ben:secret@proxy.example"))
    assert "ben" not in repr(parse_proxy("http://ben:secret@proxy.example"))


def test_the_request() -> None:
    assert connect_request(Proxy("p", 1), "relay.example", 443) == (
        b"CONNECT relay.example:443 HTTP/1.1\r\nHost: relay.example:443\r\n\r\n"
    )
    request = connect_request(Proxy("p", 1, False, "ben", "ä"), "2001:db8::1", 5349)
    assert request == (
        b"CONNECT [2001:db8::1]:5349 HTTP/1.1\r\nHost: [2001:db8::1]:5349\r\n"
        b"Proxy-Authorization: Basic YmVuOsOk\r\n\r\n"
    )


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.0 200 Connection established\r\nProxy-agent: x\r\n\r\n",
        b"HTTP/1.1 204\n\n",
    ],
)
def test_a_tunnel_opens_by_every_second_hundred(answer: bytes) -> None:
    assert ConnectAnswer().feed(answer)
    slowly = ConnectAnswer()
    assert [slowly.feed(answer[index : index + 1]) for index in range(len(answer))] == [False] * (len(answer) - 1) + [
        True
    ]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\nA: b\r\n\r\nbody", "the proxy refused: 407 Proxy Auth"),
        (b"HTTP/1.1 403\r\n\r\n", "the proxy refused: 403"),
        (b"HTTP/1.1 403 \x1b[2J\r\n\r\n", r"the proxy refused: 403 \[2J$"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "does not answer as one"),
        (b"HTTP/1.1 200 OK\r\n\r\nmore", "does not answer as one"),
        (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * MAX_ANSWER, "does not answer as one"),
        (b"x" * (MAX_ANSWER + 1), "does not answer as one"),
    ],
)
def test_a_refusal_is_one_line(answer: bytes, expected: str) -> None:
    with pytest.raises(Unreachable, match=expected):
        ConnectAnswer().feed(answer)


@given(st.lists(st.binary(max_size=200) | st.sampled_from([b"HTTP/1.1 200 OK\r\n", b"\r\n\r\n"]), max_size=20))
def test_any_answer_is_survived(chunks: list[bytes]) -> None:
    answer = ConnectAnswer()
    with contextlib.suppress(Unreachable):
        for chunk in chunks:
            if answer.feed(chunk):
                return
