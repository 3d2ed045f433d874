from __future__ import annotations

import pytest

from atmosphere.errors import DecodeError, Unreachable
from atmosphere.network import servers
from atmosphere.network.servers import MOST, Resolved, family_of, parse_servers, resolve_all
from atmosphere.turn.uri import parse_stun


def test_written_in_either_way() -> None:
    uri = parse_stun("stun:stun.example:3478")
    assert parse_servers(["stun.example", uri, "stun:stun.example"]) == [uri]
    assert len(parse_servers(f"s{n}.example" for n in range(99))) == MOST
    with pytest.raises(DecodeError):
        parse_servers(["turn:example"])


async def test_names_and_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    async def resolve(host: str, port: int, *, timeout: float) -> list[tuple[str, int]]:
        if host == "nowhere.example":
            raise Unreachable("no address for nowhere.example in DNS")
        return [("192.0.2.1", port), ("2001:db8::1", port)]

    monkeypatch.setattr(servers, "resolve", resolve)
    both, nowhere = await resolve_all(parse_servers(["both.example", "nowhere.example"]))
    assert both.address(4) == ("192.0.2.1", 3478)
    assert both.address(6) == ("2001:db8::1", 3478)
    assert nowhere == Resolved(parse_stun("nowhere.example"), [], "no address for nowhere.example in DNS")
    assert nowhere.address(4) is None


def test_families() -> None:
    assert (family_of(("192.0.2.1", 1)), family_of(("::1", 1))) == (4, 6)
