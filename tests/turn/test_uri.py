"""atmosphere.turn.uri."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.errors import DecodeError
from atmosphere.turn.uri import ServerUri, TurnServer, parse_stun, parse_turn


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("stun:stun.example.org", ServerUri("stun", "stun.example.org", 3478)),
        ("stun.example.org:19302", ServerUri("stun", "stun.example.org", 19302)),
        ("STUN:192.0.2.1:1", ServerUri("stun", "192.0.2.1", 1)),
        ("stun:[2001:db8::1]:3479", ServerUri("stun", "2001:db8::1", 3479)),
        ("[2001:db8::1]", ServerUri("stun", "2001:db8::1", 3478)),
    ],
)
def test_stun(text: str, expected: ServerUri) -> None:
    assert parse_stun(text) == expected
    assert parse_stun(str(expected)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("turn:relay.example", ServerUri("turn", "relay.example", 3478)),
        ("turn:relay.example?transport=udp", ServerUri("turn", "relay.example", 3478, "udp")),
        ("turn:relay.example:80?transport=TCP", ServerUri("turn", "relay.example", 80, "tcp")),
        ("turns:relay.example", ServerUri("turns", "relay.example", 5349, "tls")),
        ("turns:[::1]:443?transport=tcp", ServerUri("turns", "::1", 443, "tls")),
        ("turn:relay.example?transport=ws", ServerUri("turn", "relay.example", 80, "ws", "/turn")),
        ("turns:relay.example?transport=WS", ServerUri("turns", "relay.example", 443, "wss", "/turn")),
        ("turns:[::1]:8443?path=/a%20b/t&transport=ws", ServerUri("turns", "::1", 8443, "wss", "/a b/t")),
    ],
)
def test_turn(text: str, expected: ServerUri) -> None:
    assert parse_turn(text) == TurnServer(expected)
    assert parse_turn(str(expected)).uri == expected


@pytest.mark.parametrize(
    ("text", "username", "password"),
    [
        ("turn:anna:secret@relay.example", "anna", "secret"),
        ("turn:1767225600:anna:c2VjcmV0@relay.example:3478", "1767225600:anna", "c2VjcmV0"),
        ("turn:anna@home:se%3Acret%40@relay.example", "anna@home", "se:cret@"),
    ],
)
def test_credentials_on_the_command_line(text: str, username: str, password: str) -> None:
    server = parse_turn(text, username="other", password="other")
    assert (server.username, server.password) == (username, password)
    assert password not in repr(server) + str(server)
    assert username not in repr(server) + str(server)


def test_credentials_given_beside_the_uri() -> None:
    server = parse_turn("turn:relay.example", username="anna", password="secret")
    assert (server.username, server.password) == ("anna", "secret")


@pytest.mark.parametrize(
    ("username", "expected"),
    [("1767225600:anna", 1767225600.0), ("1767225600", 1767225600.0), ("anna", None), (None, None)],
)
def test_rest_credentials_say_when_they_end(username: str | None, expected: float | None) -> None:
    assert parse_turn("turn:relay.example", username=username, password="p").expires_at == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "turn",
        "turn:",
        "turn:@host",
        "turn:anna@host",
        "turn::secret@host",
        "turn:host:0",
        "turn:host:65536",
        "turn:host:port",
        "turn:host?transport=sctp",
        "turn:host?x=1",
        "turn:host?path=/turn",
        "turn:host?transport=tcp&path=/turn",
        "turns:host?path=/turn",
        "turn:host?transport=ws&transport=ws",
        "turn:host?transport=ws&path=turn",
        "turn:host?transport=ws&path=",
        "turn:host?transport=ws&path=/%0A",
        "turn:host?transport=ws&path=/%ff",
        "turn:host?transport=ws&path=/" + "x" * 200,
        "turns:host?transport=udp",
        "turn:2001:db8::1",
        "turn:[2001:db8::1",
        "turn:[192.0.2.1]",
        "turn:[::1]x",
        "turn:[fe80::1%eth0]",
        "turn:300.1.2.3",
        "turn:-host",
        "turn:ho st",
        "turn:" + "a." * 200,
        "turn:" + "x" * 2000,
        "stun:host",
        "http:host",
    ],
)
def test_a_wrong_turn_server_is_one_line_with_a_hint(text: str) -> None:
    with pytest.raises(DecodeError) as caught:
        parse_turn(text)
    assert "\n" not in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("text", ["", "stuns:host", "turn:host", "stun:u:p@host", "stun:host?transport=udp", "stun:"])
def test_a_wrong_stun_server_is_one_line_with_a_hint(text: str) -> None:
    with pytest.raises(DecodeError) as caught:
        parse_stun(text)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("turn:relay.example?transport=ws", "ws://relay.example/turn"),
        ("turn:relay.example:443?transport=ws", "ws://relay.example:443/turn"),
        ("turns:[2001:db8::1]?transport=ws", "wss://[2001:db8::1]/turn"),
        ("turns:a:b@relay.example?transport=ws&path=/%3Fx%23y%40", "wss://relay.example/%3Fx%23y%40"),
    ],
)
def test_the_address_of_a_websocket(text: str, url: str) -> None:
    uri = parse_turn(text).uri
    assert uri.is_websocket
    assert uri.url == url


_NAMES = st.sampled_from(["relay.example", "192.0.2.1", "2001:db8::1", "localhost"])
_PATHS = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), max_size=199).map(lambda s: "/" + s)


@given(_NAMES, st.integers(1, 65535), st.sampled_from(["ws", "wss"]), _PATHS)
def test_a_websocket_uri_says_everything(host: str, port: int, transport: Literal["ws", "wss"], path: str) -> None:
    uri = ServerUri("turns" if transport == "wss" else "turn", host, port, transport, path)
    assert parse_turn(str(uri)).uri == uri


def test_no_error_shows_credentials() -> None:
    for tail in ("", ":0", "?transport=x", "/"):
        with pytest.raises(DecodeError) as caught:
            parse_turn(f"turn:anna:hunter2@bad host{tail}")
        assert "hunter2" not in str(caught.value) + str(caught.value.hint)


@given(st.text(max_size=60), st.sampled_from(["", "turn:", "turns:", "stun:", "turn:u:p@", "turn:["]))
def test_any_text_gives_a_server_or_a_decode_error(text: str, scheme: str) -> None:
    for parse in (parse_turn, parse_stun):
        try:
            server = parse(scheme + text)
        except DecodeError:
            continue
        assert parse(str(server)) is not None
