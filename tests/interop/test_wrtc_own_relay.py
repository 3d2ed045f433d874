"""libwebrtc, the WebRTC of browsers, forced to relay through us: over UDP and TCP, and with coturn on the other side.

Over TLS it verifies certificates against roots of its own, so no certificate of ours can serve here.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from atmosphere.network import RelayServer
from atmosphere.network.relay_settings import RelaySettings
from atmosphere.turn.server.settings import TurnSettings
from signaling.turn_credentials import TurnCredentialSource
from tests.interop.coturn import PASSWORD, SECRET, USER, running_coturn
from tests.interop.wrtc import relay_only, relay_peers

pytestmark = pytest.mark.needs("wrtc")

LOOPBACK = TurnSettings(allow_peers=("127.0.0.0/8",))


@pytest.fixture
async def relay() -> AsyncIterator[RelayServer]:
    async with RelayServer("127.0.0.1", 0, settings=settings(LOOPBACK)) as server:
        yield server


def settings(turn: TurnSettings) -> RelaySettings:
    return RelaySettings(users={USER: PASSWORD}, secret=SECRET, relay=turn)


def uri(server: RelayServer, transport: str = "udp") -> str:
    return f"turn:127.0.0.1:{server.port}?transport={transport}"


def through(server: RelayServer, transport: str = "udp") -> dict[str, Any]:
    return relay_only(uri(server, transport), USER, PASSWORD)


@pytest.mark.parametrize(("one", "other"), [("udp", "udp"), ("tcp", "tcp"), ("tcp", "udp")])
async def test_both_through_us(relay: RelayServer, one: str, other: str) -> None:
    outcome = await relay_peers(through(relay, one), through(relay, other), messages=20, size=10_000)
    first, second = outcome.pairs
    assert (first.local.relay_protocol, second.local.relay_protocol) == (one, other)
    for pair in (first, second):
        assert (pair.local.type, pair.remote.type) == ("relay", "relay")
        assert pair.local.address == "127.0.0.1"
    assert (first.remote.port, second.remote.port) == (second.local.port, first.local.port)
    assert outcome.echoed == {"offerer": 20, "answerer": 20}


async def test_with_credentials_that_the_signaling_server_mints(relay: RelayServer) -> None:
    minted = TurnCredentialSource((uri(relay),), SECRET).mint("browser", time.time())
    peer = relay_only(uri(relay), minted.username, minted.password)
    assert (await relay_peers(peer, peer)).ok


@pytest.mark.needs("coturn")
async def test_one_through_us_and_one_through_coturn(relay: RelayServer, tmp_path: Path) -> None:
    async with running_coturn(tmp_path) as coturn:
        theirs = relay_only(f"turn:127.0.0.1:{coturn.port}?transport=udp", USER, PASSWORD)
        for offerer, answerer in ((through(relay), theirs), (theirs, through(relay))):
            outcome = await relay_peers(offerer, answerer)
            assert {pair.local.type for pair in outcome.pairs} == {"relay"}
            assert len({pair.local.url for pair in outcome.pairs}) == 2


@pytest.mark.needs("coturn")
async def test_peers_in_loopback_are_refused_unless_they_are_allowed(tmp_path: Path) -> None:
    """Whoever has an allocation here may be reached by the others, wherever that is; nobody else in loopback may."""
    async with (
        RelayServer("127.0.0.1", 0, settings=settings(TurnSettings())) as server,
        running_coturn(tmp_path) as coturn,
    ):
        assert (await relay_peers(through(server), through(server))).ok
        theirs = relay_only(f"turn:127.0.0.1:{coturn.port}?transport=udp", USER, PASSWORD)
        outcome = await relay_peers(through(server), theirs, timeout=3)
    assert not outcome.ok
    assert all(outcome.candidates.values())


async def test_a_wrong_password_gets_no_relay(relay: RelayServer) -> None:
    outcome = await relay_peers(through(relay), relay_only(uri(relay), USER, "wrong"), timeout=3)
    assert not outcome.ok
    assert outcome.candidates["answerer"] == []
