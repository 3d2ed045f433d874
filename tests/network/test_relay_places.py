from __future__ import annotations

from typing import Any

import pytest

from atmosphere.network.relay_places import MAX_URIS, Places
from atmosphere.network.relay_settings import RelaySettings

OURS = ("192.0.2.1", "2001:db8::1", "127.0.0.1", "::1")


def places(addresses: tuple[str, ...] = OURS, **settings: Any) -> Places:
    return Places(RelaySettings(**settings), addresses, 3478)


def test_without_a_name_the_first_address_counts() -> None:
    made = places()
    assert made.signaling == "ws://192.0.2.1:3478"
    assert made.stun == "stun:192.0.2.1:3478"
    assert made.turn == ("turn:192.0.2.1:3478", "turn:192.0.2.1:3478?transport=ws")
    assert made.names == ()
    assert places(()).host == "127.0.0.1"


def test_with_tls() -> None:
    made = places(public_host="2001:db8::9", tls_cert="cert.pem")
    assert made.signaling == "wss://[2001:db8::9]:3478"
    assert made.turn == ("turn:[2001:db8::9]:3478", "turns:[2001:db8::9]:3478?transport=ws")


def test_behind_a_proxy() -> None:
    made = places(public_host="relay.example.org", public_url="https://example.org/atm/")
    assert made.signaling == "wss://example.org:443/atm"
    assert made.turn == ("turn:relay.example.org:3478", "turns:example.org:443?transport=ws&path=/atm/turn")
    assert made.names[:2] == ("relay.example.org", "example.org")
    plain = places(public_url="http://example.org:8080")
    assert plain.signaling == "ws://example.org:8080"
    assert plain.turn[1] == "turn:example.org:8080?transport=ws"


def test_names_are_ours_and_our_addresses() -> None:
    assert places(public_host="relay.example.org").names == (
        "relay.example.org",
        "192.0.2.1",
        "[2001:db8::1]",
        "127.0.0.1",
        "[::1]",
        "localhost",
    )


def test_others_servers_come_after_ours() -> None:
    others = tuple(f"turn:t{number}.example.org" for number in range(9))
    made = places(turn_uris=others, secret="s")
    assert made.turn[2:] == others[: MAX_URIS - 2]
    assert places(turn_uris=others[:1], secret="s", turn=False).turn == others[:1]
    assert places(turn=False).turn == ()


@pytest.mark.parametrize(
    ("addresses", "public", "relayed"),
    [
        (OURS, None, {"192.0.2.1": "192.0.2.1", "2001:db8::1": "2001:db8::1"}),
        (OURS, "relay.example.org", {"192.0.2.1": "192.0.2.1", "2001:db8::1": "2001:db8::1"}),
        (OURS, "192.0.2.1", {"192.0.2.1": "192.0.2.1", "2001:db8::1": "2001:db8::1"}),
        (("10.0.0.5", "2001:db8::1"), "203.0.113.9", {"10.0.0.5": "203.0.113.9", "2001:db8::1": "2001:db8::1"}),
        (("10.0.0.5", "2001:db8::1"), "2001:DB8::9", {"10.0.0.5": "10.0.0.5", "2001:db8::1": "2001:db8::9"}),
        (("127.0.0.1", "::1"), None, {"127.0.0.1": "127.0.0.1", "::1": "::1"}),
    ],
)
def test_relayed_addresses(addresses: tuple[str, ...], public: str | None, relayed: dict[str, str]) -> None:
    assert places(addresses, public_host=public).relayed == relayed


@pytest.mark.parametrize(
    ("addresses", "resolved", "relayed"),
    [
        (("10.0.0.5",), ("203.0.113.9",), {"10.0.0.5": "203.0.113.9"}),
        (("100.64.0.5",), ("2001:db8::9", "203.0.113.9"), {"100.64.0.5": "203.0.113.9"}),
        (("10.0.0.5",), (), {"10.0.0.5": "10.0.0.5"}),
        (("10.0.0.5",), ("2001:db8::9",), {"10.0.0.5": "10.0.0.5"}),
        (("198.51.100.5",), ("203.0.113.9",), {"198.51.100.5": "198.51.100.5"}),  # perhaps a proxy's
    ],
)
def test_a_name_tells_what_a_private_address_is_seen_as(
    addresses: tuple[str, ...], resolved: tuple[str, ...], relayed: dict[str, str]
) -> None:
    settings = RelaySettings(public_host="relay.example.org")
    assert Places(settings, addresses, 3478, resolved).relayed == relayed
