"""atmosphere.ice.turn_ways."""

from __future__ import annotations

import pytest

from atmosphere.errors import Unreachable
from atmosphere.ice import turn_ways
from atmosphere.ice.turn_ways import ways_to
from atmosphere.turn.uri import parse_turn

V4, V6 = ("192.0.2.1", 443), ("2001:db8::1", 443)


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    """The only name there is has two addresses; there is no proxy."""

    async def resolve(host: str, port: int, *, timeout: float) -> list[tuple[str, int]]:
        if host != "relay.example":
            raise Unreachable(f"no address for {host} in DNS")
        return [V6, V4]

    monkeypatch.setattr(turn_ways, "resolve", resolve)
    monkeypatch.setattr(turn_ways, "proxy_for", lambda url: None)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("turn:relay.example:443", [("udp", V6), ("udp", V4), ("tcp", V6), ("tcp", V4)]),
        ("turn:relay.example:443?transport=tcp", [("tcp", V6), ("tcp", V4)]),
        ("turns:relay.example:443", [("tls", V6), ("tls", V4)]),
        ("turns:relay.example?transport=ws", [("wss", V6), ("wss", V4)]),
    ],
)
async def test_transports_and_addresses(uri: str, expected: list[tuple[str, tuple[str, int]]]) -> None:
    ways = await ways_to(parse_turn(uri, username="anna", password="secret"))
    assert [(way.transport, way.address) for way in ways] == expected
    assert {(way.host, way.username, way.password) for way in ways} == {("relay.example", "anna", "secret")}
    assert {way.url for way in ways} == {"wss://relay.example/turn" if "ws" in uri else ""}


async def test_a_proxy_resolves_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn_ways, "proxy_for", lambda url: "http://proxy.example:3128")
    (way,) = await ways_to(parse_turn("turns:unknown.example?transport=ws&path=/t"))
    assert (way.address, way.transport) == (("unknown.example", 443), "wss")
    assert (way.url, way.proxy) == ("wss://unknown.example/t", "http://proxy.example:3128")


async def test_a_name_that_nobody_knows() -> None:
    with pytest.raises(Unreachable, match="no address"):
        await ways_to(parse_turn("turns:unknown.example?transport=ws"))
