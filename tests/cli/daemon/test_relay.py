"""The options of the public helper as its settings, and what it says of itself."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from atmosphere.cli.commands.relay import relay as command
from atmosphere.cli.daemon.relay import describe, settings_of, start, users_of
from atmosphere.errors import AtmosphereError
from atmosphere.network import RelayServer, RelaySettings
from signaling.cluster.instance import ClusterSettings

NOTHING: dict[str, Any] = {
    str(param.name): () if param.multiple else False if param.is_flag else None  # type: ignore[attr-defined]
    for param in command.params
    if param.name != "help"
}


def test_nothing_said_is_the_default() -> None:
    assert settings_of(NOTHING) == RelaySettings()


def test_every_option_has_its_place() -> None:
    said: dict[str, Any] = {
        "public_host": "relay.example.org",
        "public_url": "https://relay.example.org/atm",
        "secret": "hush",
        "user": ("anna:pass:word\nben:word", "carla:x"),
        "turn": ("turn:turn.example.org",),
        "allow_peer": ("10.0.0.0/8",),
        "realm": "example.org",
        "min_port": 1000,
        "max_port": 2000,
        "single_relay_port": 3000,
        "plain": True,
        "allow_origin": ("https://example.org",),
        "trust_proxy": ("127.0.0.1/32",),
        "max_connections": 1,
        "max_connections_per_address": 2,
        "max_allocations": 3,
        "max_allocations_per_user": 4,
        "max_allocations_per_address": 5,
        "max_bytes_per_second": 6,
        "max_sessions": 7,
        "cluster": "nats://one:1,nats://two:2",
        "cluster_name": "ours",
        "cluster_creds": "nats.creds",
        "limit": ("mailbox_messages=9",),
    }
    made = settings_of(NOTHING | said)
    assert (made.public_host, made.public_url, made.secret) == ("relay.example.org", said["public_url"], "hush")
    assert made.users == {"anna": "pass:word", "ben": "word", "carla": "x"}
    assert (made.turn, made.turn_uris, made.plain) == (True, said["turn"], True)
    assert (made.relay.allow_peers, made.relay.realm) == (said["allow_peer"], "example.org")
    assert (made.relay.min_port, made.relay.max_port, made.relay.single_relay_port) == (1000, 2000, 3000)
    assert (made.signaling.allow_origins, made.signaling.trusted_proxies) == (said["allow_origin"], said["trust_proxy"])
    assert made.signaling.max_connections == made.streams.connections == 1
    assert made.signaling.max_connections_per_address == made.streams.connections_per_address == 2
    assert (made.relay.allocations, made.relay.allocations_per_user, made.relay.allocations_per_address) == (3, 4, 5)
    assert made.relay.bytes_per_second == made.sessions.bytes_per_second == 6
    assert made.sessions.sessions == 7
    assert made.signaling.mailbox_messages == 9
    assert made.cluster == ClusterSettings(("nats://one:1", "nats://two:2"), "ours", Path("nats.creds"))
    assert settings_of(NOTHING | {"no_turn": True}).turn is False


@pytest.mark.parametrize(
    "said",
    [
        {"user": ("anna",)},
        {"user": (":word",)},
        {"user": ("anna:",)},
        {"allow_peer": ("nonsense",)},
        {"trust_proxy": ("nonsense",)},
        {"public_url": "ftp://example.org"},
        {"public_url": "https://example.org/?x"},
        {"min_port": 2, "max_port": 1},
        {"realm": ""},
        {"secret": ""},
        {"cluster": "nonsense"},
        {"cluster": "nats://one", "cluster_name": "a b"},
        {"limit": ("nonsense=1",)},
        {"turn": ("turn:example.org",)},
    ],
)
def test_what_cannot_work(said: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        settings_of(NOTHING | said)


def test_a_password_is_in_no_error() -> None:
    with pytest.raises(ValueError) as caught:
        users_of([":hushhush"])
    assert "hushhush" not in str(caught.value)


async def test_describe() -> None:
    async with RelayServer("127.0.0.1", 0) as server:
        place = f"127.0.0.1:{server.port}"
        assert describe(server) == {
            "port": server.port,
            "addresses": [place],
            "signaling": [f"ws://{place}"],
            "stun": [f"stun:{place}"],
            "turn": [f"turn:{place}", f"turn:{place}?transport=ws"],
        }


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
async def test_port_taken(kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            other.listen()
        port = other.getsockname()[1]
        with pytest.raises(AtmosphereError, match=f"port {port} is already in use"):
            await start(RelayServer("127.0.0.1", port))


async def test_an_address_that_is_not_ours() -> None:
    with pytest.raises(OSError):
        await start(RelayServer("192.0.2.1", 0))


async def test_discovery_without_two_addresses() -> None:
    with pytest.raises(AtmosphereError, match="two addresses"):
        await start(RelayServer("127.0.0.1", 0, settings=RelaySettings(discovery=True)))


async def test_a_cluster_that_can_never_be(tmp_path: Path) -> None:
    cluster = ClusterSettings(("nats://127.0.0.1:1",), credentials=tmp_path / "missing.creds")
    with pytest.raises(AtmosphereError, match="credentials"):
        await start(RelayServer("127.0.0.1", 0, settings=RelaySettings(cluster=cluster)))
