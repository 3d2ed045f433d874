from __future__ import annotations

import os
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.datastructures import Headers
from websockets.exceptions import InvalidProxy, InvalidProxyMessage, InvalidProxyStatus, ProxyError
from websockets.http11 import Response

from signaling.proxy import choose, describe_proxy_error, proxy_for

PROXY = "http://proxy.example:3128"
OTHER = "http://other.example:8080"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("url", "proxies", "expected"),
    [
        ("wss://a.example", {"https": PROXY, "http": OTHER}, PROXY),
        ("wss://a.example", {"http": OTHER}, None),
        ("wss://a.example", {"http": OTHER, "all": PROXY}, PROXY),
        ("wss://a.example", {"wss": OTHER, "https": PROXY}, OTHER),
        ("ws://a.example", {"https": PROXY, "http": OTHER}, OTHER),
        ("ws://a.example", {"https": PROXY}, PROXY),
        ("ws://a.example", {"all": PROXY}, PROXY),
        ("wss://a.example", {"https": "proxy.example:3128"}, PROXY),
        ("wss://a.example", {"https": ""}, None),
        ("wss://a.example", {}, None),
    ],
)
def test_which_proxy(url: str, proxies: dict[str, str], expected: str | None) -> None:
    assert choose(url, proxies) == expected


@pytest.mark.parametrize("host", ["localhost", "db.localhost", "127.0.0.1", "127.9.9.9", "[::1]"])
def test_loopback_is_reached_directly(host: str) -> None:
    assert choose(f"wss://{host}:8443", {"https": PROXY}) is None


@pytest.mark.parametrize(
    ("host", "exceptions"),
    [
        ("a.example", "*"),
        ("a.example", "b.example, A.Example"),
        ("a.example", "example"),
        ("a.example", ".example"),
        ("a.example", "*.example"),
        ("a.example:8443", "a.example:8443"),
        ("a.example", "a.example:443"),
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.7", "192.0.2.0/24"),
        ("192.0.2.7", "192.0.2.0/24:443"),
        ("[2001:db8::7]", "2001:db8::/32"),
        ("[2001:db8::7]", "2001:db8:0::7"),
        ("[2001:db8::7]", "[2001:db8::7]:443"),
        ("[2001:db8::7]", "[2001:db8::7]"),
    ],
)
def test_whom_to_reach_without(host: str, exceptions: str) -> None:
    assert choose(f"wss://{host}", {"https": PROXY, "no": exceptions}) is None


@pytest.mark.parametrize(
    ("host", "exceptions"),
    [
        ("a.example", ""),
        ("a.example", "ample"),
        ("a.example", "b.a.example"),
        ("a.example", "a.example:8443"),
        ("a.example:8443", "a.example:443"),
        ("192.0.2.7", "2.7"),
        ("192.0.2.7", "192.0.3.0/24"),
        ("192.0.2.7", "2001:db8::/32"),
        ("[2001:db8::7]", "[2001:db8::7]:8443"),
        ("a.example", ",, ,"),
    ],
)
def test_whom_to_reach_through_it(host: str, exceptions: str) -> None:
    assert choose(f"wss://{host}", {"https": PROXY, "no": exceptions}) == PROXY


@given(st.text(max_size=40))
def test_any_exceptions_are_survived(text: str) -> None:
    assert choose("wss://192.0.2.1", {"https": PROXY, "no": text}) in (PROXY, None)
    assert choose("wss://a.example", {"https": PROXY, "no": text}) in (PROXY, None)


def test_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert proxy_for("wss://a.example") is None
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    assert proxy_for("wss://a.example") == PROXY
    monkeypatch.setenv("https_proxy", OTHER)
    assert proxy_for("wss://a.example") == OTHER
    monkeypatch.setenv("NO_PROXY", "example:8443")
    assert proxy_for("wss://a.example:8443") is None
    assert proxy_for("wss://a.example") == OTHER
    monkeypatch.setenv("no_proxy", "*")
    assert proxy_for("wss://a.example") is None


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            InvalidProxyStatus(Response(407, "Proxy Authentication Required", Headers())),
            "the proxy refused: 407 Proxy ",
        ),
        (InvalidProxyStatus(Response(403, "\x1b[2J" + "no" * 50, Headers())), "the proxy refused: 403 [2Jnono"),
        (InvalidProxyStatus(Response(502, "", Headers())), "the proxy refused: 502"),
        (InvalidProxyMessage("x"), "the proxy does not answer as one"),
        (
            InvalidProxy("ftp://u:secret@x", "scheme ftp isn't supported"),
            "the proxy in the environment cannot be used: s",
        ),
        (ImportError(), "a SOCKS proxy needs"),
        (socket.gaierror(-2, "x"), "the proxy's name does not resolve"),
        (ConnectionRefusedError(), "the proxy is not there"),
        (ProxyError(), "the proxy refused"),
    ],
)
def test_where_the_proxy_is_at_fault_it_is_said(error: Exception, expected: str) -> None:
    told = describe_proxy_error(error)
    assert told is not None
    assert told.startswith(expected)
    assert "secret" not in told
    assert told.isprintable()
    assert len(told) < 100


def test_other_errors_are_not_the_proxys() -> None:
    assert describe_proxy_error(TimeoutError()) is None
    assert describe_proxy_error(ConnectionResetError()) is None
