"""coturn's own test client against our relay: UDP, TCP, TLS, both address families, static and REST credentials.

It sends by Send indications (`-s`): left to itself it takes channel numbers up to 0x7FFF, as RFC 5766 allowed, and
RFC 8656 §12 wants those above 0x4FFF refused. Channels are tried with libwebrtc, aioice and our own client.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from atmosphere.network import RelayServer, RelaySettings
from atmosphere.turn.server.settings import TurnSettings
from tests.certificates import LOOPBACK, self_signed
from tests.network.relays import PASSWORD, USER, relaying
from tests.until import until

pytestmark = pytest.mark.needs("turnutils_uclient")

SECRET = "north"
BOTH = ("127.0.0.1", "::1")
MESSAGES = 10


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RelayServer]:
    files = self_signed(tmp_path, *LOOPBACK)
    settings = RelaySettings(
        users={USER: PASSWORD},
        secret=SECRET,
        tls_cert=files[0],
        tls_key=files[1],
        relay=TurnSettings(allow_peers=("127.0.0.0/8", "::1/128")),
    )
    async with RelayServer(BOTH, 0, settings=settings) as started:
        yield started


async def uclient(server: RelayServer, host: str, *flags: str, user: tuple[str, ...] = ("-w", PASSWORD)) -> str:
    """What coturn's client prints; two of its clients talk to each other through the relay (`-y`)."""
    process = await asyncio.create_subprocess_exec(
        "turnutils_uclient",
        *("-y", "-c", "-s", "-z", "5", "-n", str(MESSAGES), "-l", "171", "-u", USER, *user),
        *(*flags, "-p", str(server.port), host),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(60):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    text = output.decode()
    assert process.returncode == 0, text
    return text


def nothing_lost(text: str) -> None:
    sent, received = map(int, re.findall(r"tot_send_msgs=(\d+), tot_recv_msgs=(\d+)", text)[-1])
    assert sent == received >= MESSAGES
    assert "Total lost packets 0 " in text


@pytest.mark.parametrize("host", BOTH)
@pytest.mark.parametrize("flags", [(), ("-t",), ("-t", "-S")], ids=["udp", "tcp", "tls"])
async def test_two_clients_talk(server: RelayServer, host: str, flags: tuple[str, ...]) -> None:
    family = ("-x",) if host == "::1" else ()
    nothing_lost(await uclient(server, host, *flags, *family))
    assert server.stats()["turn_packets_relayed_total"] >= 2 * MESSAGES
    if flags:
        assert server.stats()["turn_streams_total"] >= 2
        await until(lambda: server.stats()["turn_allocations"] == 0)  # gone with their connections


async def test_rest_credentials(server: RelayServer) -> None:
    nothing_lost(await uclient(server, "127.0.0.1", user=("-W", SECRET)))


async def test_ipv6_for_who_comes_over_ipv4(server: RelayServer) -> None:
    nothing_lost(await uclient(server, "127.0.0.1", "-x"))


async def test_many_clients(server: RelayServer) -> None:
    nothing_lost(await uclient(server, "127.0.0.1", "-t", "-m", "8"))


async def test_by_default_it_may_not_relay_to_loopback() -> None:
    async with relaying(relay=TurnSettings(), users={USER: PASSWORD}) as server:
        process = await asyncio.create_subprocess_exec(
            "turnutils_uclient",
            *("-e", "127.0.0.1", "-n", "1", "-c", "-u", USER, "-w", PASSWORD, "-p", str(server.port), "127.0.0.1"),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        async with asyncio.timeout(60):
            await process.wait()
        assert process.returncode != 0
        assert server.stats()["turn_packets_relayed_total"] == 0
