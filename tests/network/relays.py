"""A relay server on loopback, and clients of it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from typing import Any

from atmosphere.network import RelayServer
from atmosphere.network.relay_settings import RelaySettings
from atmosphere.turn.client import Allocation
from atmosphere.turn.endpoint import TurnEndpoint
from atmosphere.turn.server.settings import TurnSettings
from atmosphere.turn.uri import Transport

USER, PASSWORD = "anna", "correct-horse"
PATIENCE = 10.0

Address = tuple[str, int]


@contextlib.asynccontextmanager
async def relaying(host: str | None = "127.0.0.1", **settings: Any) -> AsyncIterator[RelayServer]:
    """A relay that lets its static user reach loopback."""
    settings.setdefault("users", {USER: PASSWORD})
    settings.setdefault("relay", TurnSettings(allow_peers=("127.0.0.0/8", "::1/128")))
    async with RelayServer(host, 0, settings=RelaySettings(**settings)) as server:
        yield server


def endpoint(server: RelayServer, transport: Transport, tls: ssl.SSLContext | None = None, **more: Any) -> TurnEndpoint:
    """Where its static user makes an allocation."""
    address = (server.addresses[0], server.port)
    host = f"[{address[0]}]" if ":" in address[0] else address[0]
    url = f"{transport}://{host}:{server.port}/turn" if transport in ("ws", "wss") else ""
    family = 6 if ":" in address[0] else None
    options = {
        "family": family,
        "username": USER,
        "password": PASSWORD,
        "host": address[0],
        "tls": tls,
        "url": url,
        **more,
    }
    return TurnEndpoint(address, transport, **options)


@contextlib.asynccontextmanager
async def allocated(end: TurnEndpoint) -> AsyncIterator[Allocation]:
    """An open allocation."""
    allocation = Allocation(end)
    await allocation.open()
    try:
        yield allocation
    finally:
        await allocation.close()


async def talk(one: Allocation, two: Allocation, *messages: bytes) -> None:
    """Each message from `one` to `two` and back; the first ones may be lost until permissions stand."""
    got: asyncio.Queue[tuple[bytes, Address]] = asyncio.Queue()
    two.on_datagram = lambda data, source: one_to_two(data, source)
    one.on_datagram = lambda data, source: got.put_nowait((data, source))

    def one_to_two(data: bytes, source: Address) -> None:
        two.send(data, source)

    two.send(b"permission", one.relayed)
    async with asyncio.timeout(PATIENCE):
        for message in messages:
            while True:
                one.send(message, two.relayed)
                try:
                    async with asyncio.timeout(0.2):
                        while await got.get() != (message, two.relayed):
                            pass
                except TimeoutError:
                    continue
                break
