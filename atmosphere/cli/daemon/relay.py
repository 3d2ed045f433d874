"""The options of `atmosphere relay` as the settings of a relay server, and what it says of itself."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from atmosphere.cli import units
from atmosphere.errors import AtmosphereError
from atmosphere.network.relay_server import RelayServer
from atmosphere.network.relay_sessions import SessionLimits
from atmosphere.network.relay_settings import RelaySettings
from atmosphere.turn.server.clients import StreamLimits
from atmosphere.turn.server.settings import TurnSettings
from signaling.cluster.instance import ClusterSettings
from signaling.cluster.nats_link import ClusterError, servers_of
from signaling.settings import Settings

_SAME = ("public_host", "public_url", "secret", "tls_cert", "tls_key", "plain")
_RELAY = {
    "realm": "realm",
    "min_port": "min_port",
    "max_port": "max_port",
    "single_relay_port": "single_relay_port",
    "max_allocations": "allocations",
    "max_allocations_per_user": "allocations_per_user",
    "max_allocations_per_address": "allocations_per_address",
    "max_bytes_per_second": "bytes_per_second",
}
_STREAMS = {"max_connections": "connections", "max_connections_per_address": "connections_per_address"}
_SIGNALING = {"max_connections": "max_connections", "max_connections_per_address": "max_connections_per_address"}
_SESSIONS = {"max_sessions": "sessions", "max_bytes_per_second": "bytes_per_second"}
"""Option → setting; an option that was not given leaves the setting's default."""


def settings_of(options: Mapping[str, Any]) -> RelaySettings:
    """The settings that the options say; raises ValueError, with one line, for what cannot work."""
    return RelaySettings(
        **_given(options, {name: name for name in _SAME}),
        turn=not options["no_turn"],
        turn_uris=tuple(options["turn"]),
        users=users_of(options["user"]),
        relay=TurnSettings(allow_peers=tuple(options["allow_peer"]), **_given(options, _RELAY)),
        cluster=cluster_of(options),
        signaling=Settings(
            allow_origins=tuple(options["allow_origin"]),
            trusted_proxies=tuple(options["trust_proxy"]),
            **_given(options, _SIGNALING),
        ).override(options["limit"]),
        streams=StreamLimits(**_given(options, _STREAMS)),
        sessions=SessionLimits(**_given(options, _SESSIONS)),
    )


def _given(options: Mapping[str, Any], table: Mapping[str, str]) -> dict[str, Any]:
    return {setting: options[option] for option, setting in table.items() if options[option] is not None}


def cluster_of(options: Mapping[str, Any]) -> ClusterSettings | None:
    """The cluster to join, if any; raises ValueError."""
    if options["cluster"] is None:
        return None
    credentials = Path(options["cluster_creds"]) if options["cluster_creds"] else None
    try:
        return ClusterSettings(servers_of(options["cluster"]), options["cluster_name"] or "atmosphere", credentials)
    except ClusterError as error:
        raise ValueError(str(error)) from None


def users_of(texts: Iterable[str]) -> dict[str, str]:
    """Names and passwords from `NAME:PASSWORD`, one a line; raises ValueError without repeating what may be secret."""
    users: dict[str, str] = {}
    for line in (line.strip() for text in texts for line in text.splitlines()):
        if not line:
            continue
        name, colon, password = line.partition(":")
        if not name or not colon or not password:
            raise ValueError("a user is written NAME:PASSWORD")
        users[name] = password
    return users


async def start(server: RelayServer) -> None:
    """Start it; raises AtmosphereError when the port is taken."""
    try:
        await server.start()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            hint = "stop the other program, or choose another port with --port"
            raise AtmosphereError(f"port {server.port} is already in use", hint=hint) from error
        raise
    except (ValueError, ClusterError) as error:
        raise AtmosphereError(str(error)) from error


def describe(server: RelayServer) -> dict[str, Any]:
    """Where it listens and what to give to nodes."""
    places = server.places
    return {
        "port": server.port,
        "addresses": [units.endpoint(address, server.port) for address in server.addresses],
        "signaling": [places.signaling],
        "stun": [places.stun],
        "turn": list(places.turn),
    }
