from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.routes import Route, Routes, origin_is_allowed


async def nothing(connection: object) -> None:
    """Handle no connection."""


def route(path: str) -> Route:
    return Route(path.__eq__, nothing, path, 1)


def test_the_first_route_that_matches_counts() -> None:
    first, second = route("/turn"), route("/turn")
    routes = Routes((route("/"), first, second))
    assert routes.find("/turn") is first
    assert routes.find("/other") is None


@pytest.mark.parametrize(
    ("path", "inside"),
    [("/atm/turn", "/turn"), ("/atm", "/"), ("/atm/", "/"), ("/turn", "/turn"), ("/atmosphere", "/atmosphere")],
)
def test_a_prefix_is_taken_away_where_it_stands(path: str, inside: str) -> None:
    assert Routes((), "/atm/").inside(path) == inside


def test_without_a_prefix_paths_are_as_they_are() -> None:
    assert Routes(()).inside("/turn") == "/turn"


@pytest.mark.parametrize(
    ("origins", "host", "allowed"),
    [
        ((), "example.org", True),
        (("https://example.org",), "example.org", True),
        (("HTTPS://Example.org",), "example.ORG:443", True),
        (("http://example.org:3478",), "example.org:3478", True),
        (("http://[2001:db8::1]:3478",), "[2001:db8::1]:3478", True),
        (("https://friend.example/",), "example.org", True),
        (("https://evil.example",), "example.org", False),
        (("https://example.org.evil.example",), "example.org", False),
        (("https://example.org:8443",), "example.org", False),
        (("null",), "example.org", False),
        (("file://",), "", False),
        (("",), "", False),
        (("https://[",), "example.org", False),
        (("https://example.org", "https://example.org"), "example.org", False),
    ],
)
def test_origins(origins: tuple[str, ...], host: str, allowed: bool) -> None:
    assert origin_is_allowed(origins, host, ("https://Friend.example",), host_is_ours=True) is allowed


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("rebound.example", False),
        ("rebound.example:3478", False),
        ("localhost.rebound.example:3478", False),
        ("127.0.0.1.rebound.example", False),
        ("192.0.2.7", True),
        ("192.0.2.7:3478", True),
        ("[2001:db8::1]:3478", True),
        ("localhost:3478", True),
    ],
)
def test_a_name_that_is_not_known_to_be_ours_proves_nothing(host: str, allowed: bool) -> None:
    """An Origin that agrees with it may be that of a page whose owner pointed its name here."""
    assert origin_is_allowed((f"http://{host}",), host, ()) is allowed
    assert origin_is_allowed((f"http://{host}",), host, (), host_is_ours=True)
    assert origin_is_allowed((f"http://{host}",), host, (f"http://{host}",))


def test_any_origin_may_be_allowed() -> None:
    assert origin_is_allowed(("null",), "example.org", ("*",))


@given(st.text(), st.text())
def test_no_text_is_a_failure(origin: str, host: str) -> None:
    assert origin_is_allowed((origin,), host, ()) in (True, False)
