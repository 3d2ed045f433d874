"""STUN with and without TURN on the same sockets, and what follows for TURN from where it listens."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses

import pytest

from atmosphere.ice.nat_probe import probe_nat
from atmosphere.network import RelayServer, RelaySettings, discover_public_ip
from atmosphere.network.relay_places import Places
from atmosphere.network.relay_turn import turn_settings
from atmosphere.turn.server.settings import TurnSettings

TWO = ("127.0.0.1", "127.0.0.2")


def test_a_nat_s_address_is_announced_and_not_relayed_to() -> None:
    made = turn_settings(Places(RelaySettings(public_host="203.0.113.9"), ("10.0.0.5",), 3478))
    assert made.addresses == {"10.0.0.5": "203.0.113.9"}
    assert made.own_addresses == ("203.0.113.9",)


def test_what_was_set_stays() -> None:
    relay = TurnSettings(addresses={"10.0.0.6": "198.51.100.6"}, own_addresses=("10.0.0.7",), realm="tests")
    made = turn_settings(Places(RelaySettings(public_host="relay.example.org", relay=relay), ("10.0.0.5",), 3478))
    assert made == dataclasses.replace(relay, own_addresses=made.own_addresses)
    assert set(made.own_addresses) == {"10.0.0.7", "198.51.100.6"}


@pytest.mark.parametrize("turn", [True, False])
async def test_two_addresses_tell_what_a_nat_does(turn: bool) -> None:
    settings = RelaySettings(discovery=True, discovery_port=0, turn=turn)
    async with RelayServer(TWO, 0, settings=settings) as server:
        report = await probe_nat([("127.0.0.1", server.port)])
        assert (report.behaviour.mapping, report.behaviour.filtering) == ("none", "none")
        assert await discover_public_ip([f"127.0.0.2:{server.port}"])


async def test_without_turn_noise_gets_no_answer() -> None:
    async with RelayServer("127.0.0.1", 0, settings=RelaySettings(turn=False)) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"\x00\x03")
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()
