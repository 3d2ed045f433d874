"""libwebrtc, the WebRTC of browsers, forced to relay: through coturn, which says that the harness is right."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from signaling.turn_credentials import TurnCredentialSource
from tests.interop.coturn import PASSWORD, SECRET, USER, Coturn, running_coturn
from tests.interop.wrtc import relay_only, relay_peers

pytestmark = pytest.mark.needs("wrtc", "coturn")


@pytest.fixture
async def coturn(tmp_path: Path) -> AsyncIterator[Coturn]:
    async with running_coturn(tmp_path) as server:
        yield server


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_both_through_coturn(coturn: Coturn, transport: str) -> None:
    relay = relay_only(f"turn:127.0.0.1:{coturn.port}?transport={transport}", USER, PASSWORD)
    outcome = await relay_peers(relay, relay)
    for pair in outcome.pairs:
        assert (pair.local.type, pair.remote.type) == ("relay", "relay")
        assert (pair.local.address, pair.local.relay_protocol) == ("127.0.0.1", transport)
    assert outcome.echoed == {"offerer": 3, "answerer": 3}


async def test_credentials_that_our_signaling_server_mints(tmp_path: Path) -> None:
    async with running_coturn(tmp_path, rest=True) as coturn:
        uri = f"turn:127.0.0.1:{coturn.port}?transport=udp"
        source = TurnCredentialSource((uri,), SECRET)
        one, other = source.mint("one", time.time()), source.mint("other", time.time())
        outcome = await relay_peers(
            relay_only(uri, one.username, one.password), relay_only(uri, other.username, other.password)
        )
        assert {pair.local.type for pair in outcome.pairs} == {"relay"}


async def test_without_a_relay_they_cannot(coturn: Coturn) -> None:
    """So that it is the relay that connects them, above."""
    good, bad = (relay_only(f"turn:127.0.0.1:{coturn.port}", USER, word) for word in (PASSWORD, "wrong"))
    outcome = await relay_peers(good, bad, timeout=3)
    assert not outcome.ok
    assert outcome.error == "no data within 3 s"
    assert (bool(outcome.candidates["offerer"]), outcome.candidates["answerer"]) == (True, [])
