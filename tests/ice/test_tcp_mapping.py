"""atmosphere.ice.tcp_mapping, with servers on this machine that see what they are told to see."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import AsyncIterator

import pytest

from atmosphere.ice import tcp_mapping as module
from atmosphere.ice.tcp_mapping import TcpMapped, TcpMapping, reusable_socket
from atmosphere.stun.message import binding_response, decode, encode, error_response
from atmosphere.tasks import Tasks
from tests.until import until

LOCAL = "127.0.0.1"
EXTERNAL = ("203.0.113.9", 40000)


class Server:
    """STUN over TCP. It answers with `sees`, with `raw` bytes, with the error `refuses`, or hangs up on `silent`.

    All that once `hold` is set, as it is at first.
    """

    def __init__(self) -> None:
        self.sees: tuple[str, int] | None = EXTERNAL
        self.raw = b""
        self.hold = asyncio.Event()
        self.hold.set()
        self.refuses = self.silent = False
        self.clients: list[tuple[str, int]] = []
        self.writers: list[asyncio.StreamWriter] = []

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, LOCAL, 0)
        self.address: tuple[str, int] = self._server.sockets[0].getsockname()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        peer = writer.get_extra_info("peername")
        self.clients.append(peer)
        request = decode(await reader.readexactly(20))
        await self.hold.wait()
        answer = error_response(request, 400, "no") if self.refuses else binding_response(request, self.sees or peer)
        if self.silent:
            writer.close()
            return
        for byte in self.raw or encode(answer):
            writer.write(bytes((byte,)))
            await writer.drain()

    async def stop(self) -> None:
        self._server.close()
        for writer in self.writers:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


@contextlib.asynccontextmanager
async def asking(number: int = 1) -> AsyncIterator[tuple[TcpMapping, list[Server], list[str]]]:
    """A mapping that has some servers to ask, and what it told."""
    servers, told, tasks = [Server() for _ in range(number)], list[str](), Tasks("test")
    for server in servers:
        await server.start()
    mapping = TcpMapping(tasks, told.append)
    for place, server in enumerate(servers):
        mapping.set_server(f"stun:{place}", [server.address])
    try:
        yield mapping, servers, told
    finally:
        await tasks.close()
        mapping.close()
        for server in servers:
            await server.stop()


async def looked(mapping: TcpMapping) -> None:
    """Ask, and wait until everybody has been asked."""
    mapping.want([LOCAL])
    await until(lambda: not mapping._tasks)


async def test_two_servers_are_asked_from_one_port() -> None:
    async with asking(3) as (mapping, servers, told):
        await looked(mapping)
        ports = {client[1] for server in servers for client in server.clients}
        assert [len(server.clients) for server in servers] == [1, 1, 0]
        assert mapping.known == {LOCAL: TcpMapped(ports.pop(), EXTERNAL)}
        assert (ports, told) == (set(), [LOCAL])


async def test_what_is_fresh_is_not_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with asking() as (mapping, (server,), told):
        await looked(mapping)
        await looked(mapping)
        assert len(server.clients) == 1
        monkeypatch.setattr(module, "FRESH", 0.0)
        await looked(mapping)
        first, second = server.clients
        assert first == second, "from the same port"
        assert told == [LOCAL], "no news"
        server.sees = ("203.0.113.9", 50000)
        await looked(mapping)
        assert (mapping.known[LOCAL].external, told) == (server.sees, [LOCAL, LOCAL])


async def test_a_router_that_maps_each_destination_otherwise_is_no_use() -> None:
    async with asking(2) as (mapping, servers, told):
        servers[1].sees = ("203.0.113.9", 40001)
        await looked(mapping)
        assert (mapping.known, told) == ({}, [])


async def test_without_a_router_there_is_nothing_to_learn() -> None:
    async with asking() as (mapping, (server,), told):
        server.sees = None
        await looked(mapping)
        assert server.clients
        assert (mapping.known, told) == ({}, [])


@pytest.mark.parametrize("fault", ["silent", "refuses", "raw", "slow", "away"])
async def test_a_server_that_is_no_help_is_passed_over(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with asking(2) as (mapping, (bad, good), told):
        if fault == "raw":
            bad.raw = b"\xff no STUN"
        elif fault == "slow":
            monkeypatch.setattr(module, "ANSWER_TIMEOUT", 0.2)
            bad.raw = b"\x01\x01"
        elif fault == "away":
            await bad.stop()
        else:
            setattr(bad, fault, True)
        await looked(mapping)
        assert mapping.known[LOCAL].external == EXTERNAL
        assert len(good.clients) == 1
        assert told == [LOCAL]


async def test_nobody_is_asked_who_cannot_be_reached() -> None:
    async with asking() as (mapping, (server,), _):
        mapping.set_server("stun:0", [("192.0.2.1", 3478), ("2001:db8::1", 3478)])
        await looked(mapping)
        mapping.set_server("stun:0", [])
        await looked(mapping)
        assert not server.clients
        assert not mapping._asked


async def test_an_address_that_is_gone_is_forgotten() -> None:
    async with asking() as (mapping, (server,), _):
        await looked(mapping)
        held = mapping._held[LOCAL]
        mapping.forget(LOCAL)
        mapping.forget(LOCAL)
        assert not mapping.known
        assert all(sock.fileno() == -1 for sock in held)
        mapping.want(["192.0.2.77"])
        assert len(server.clients) == 1


async def test_an_address_that_goes_while_servers_are_asked_is_no_news() -> None:
    async with asking() as (mapping, (server,), told):
        server.hold.clear()
        mapping.want([LOCAL])
        await until(lambda: server.clients)
        mapping.forget(LOCAL)
        server.hold.set()
        await until(lambda: not mapping._tasks)
        assert (mapping.known, mapping._held, told) == ({}, {}, [])


async def test_an_end_while_asking_closes_what_was_opened() -> None:
    async with asking() as (mapping, (server,), _):
        server.raw = b"\x01\x01"
        mapping.want([LOCAL])
        await until(lambda: server.clients)
        await mapping._tasks.close()
        mapping.close()
        assert not mapping._held


async def test_sockets_share_a_port() -> None:
    first = reusable_socket(LOCAL, 0)
    second = reusable_socket(LOCAL, first.getsockname()[1])
    assert first.getsockname() == second.getsockname()
    first.close()
    second.close()
    with pytest.raises(OSError, match="assign") as caught:
        reusable_socket("192.0.2.1", 0)
    assert caught.value.errno == errno.EADDRNOTAVAIL


async def test_a_system_without_reuseport_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "SO_REUSEPORT")
    reusable_socket(LOCAL, 0).close()
