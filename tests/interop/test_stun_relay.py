"""The STUN half of a relay server, which shares its port with TURN, asked by coturn's clients."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from atmosphere.ice.nat_probe import probe_nat
from atmosphere.network import RelayServer
from atmosphere.network.relay_settings import RelaySettings
from tests.interop.test_stun_server import ADDRESSES, run


@pytest.fixture(params=[True, False], ids=["with TURN", "without TURN"])
async def relay(request: pytest.FixtureRequest) -> AsyncIterator[RelayServer]:
    settings = RelaySettings(turn=request.param, discovery=True, discovery_port=0)
    async with RelayServer(ADDRESSES, 0, settings=settings) as server:
        yield server


@pytest.mark.needs("turnutils_stunclient")
async def test_stunclient(relay: RelayServer) -> None:
    said = await run("turnutils_stunclient", "-p", str(relay.port), "127.0.0.1")
    assert said.count("UDP reflexive addr: 127.0.0.1:") == 3
    assert "Other addr: : 127.0.0.2:" in said
    assert "UDP reflexive addr: ::1:" in await run("turnutils_stunclient", "-p", str(relay.port), "::1")


@pytest.mark.needs("turnutils_natdiscovery")
async def test_natdiscovery(relay: RelayServer) -> None:
    said = await run("turnutils_natdiscovery", "-m", "-f", "-L", "127.0.0.1", "-p", str(relay.port), "127.0.0.1")
    assert "No NAT! (Endpoint Independent Mapping)" in said
    assert "NAT with Endpoint Independent Filtering!" in said
    assert f"Response origin: : 127.0.0.2:{relay.port}" in said


async def test_our_own_prober(relay: RelayServer) -> None:
    found = (await probe_nat([("127.0.0.1", relay.port)])).behaviour
    assert (found.mapping, found.filtering, found.type) == ("none", "none", "open")
