"""Our TURN server and other people's clients: aioice's, coturn's; and our own client, over UDP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from atmosphere.stun.library import create_turn_endpoint, stun
from atmosphere.turn.client import Allocation, TurnEndpoint
from atmosphere.turn.server.service import TurnService
from atmosphere.turn.server.settings import TurnSettings
from atmosphere.turn.server.users import RestUsers, Several, StaticUsers
from atmosphere.udp.socket import UdpSocket
from tests.interop.coturn import SECRET, rest_credentials
from tests.support import require
from tests.until import until

Address = tuple[str, int]


class Server:
    """Our server on one address of loopback, and a peer beside it that echoes."""

    def __init__(self, host: str) -> None:
        both = {address: address for address in (host, "127.0.0.1", "::1")}
        settings = TurnSettings(addresses=both, allow_peers=("127.0.0.0/8", "::1/128"), realm="tests")
        users = Several([StaticUsers({"anna": "correct-horse"}), RestUsers(SECRET)])
        self.service = TurnService(settings, users)
        self.door = UdpSocket.bind(host)
        self.peer = UdpSocket.bind(host)
        self.peer.on_datagram = self.peer.send
        self.address = (host, self.door.port)
        self.echo = (host, self.peer.port)


@asynccontextmanager
async def running(host: str = "127.0.0.1") -> AsyncIterator[Server]:
    server = Server(host)
    await server.service.start()
    server.service.listen(server.door)
    try:
        yield server
    finally:
        await server.service.stop()
        server.door.close()
        server.peer.close()
        await asyncio.sleep(0)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running() as made:
        yield made


class Receiver(asyncio.DatagramProtocol):
    """aioice's user: what came, and whether it is over."""

    def __init__(self) -> None:
        self.got: asyncio.Queue[tuple[bytes, Address]] = asyncio.Queue()
        self.lost = asyncio.Event()

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self.got.put_nowait((data, addr))

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()


@pytest.mark.parametrize("rest", [False, True])
async def test_aioices_stock_client(server: Server, rest: bool) -> None:
    user, password = rest_credentials() if rest else ("anna", "correct-horse")
    transport, receiver = await create_turn_endpoint(Receiver, server.address, user, password)
    assert transport.get_extra_info("sockname")[0] == "127.0.0.1"
    for data in (b"first", b"x" * 1200, b""):
        transport.sendto(data, server.echo)
        async with asyncio.timeout(5):
            assert await receiver.got.get() == (data, server.echo)
    transport.close()
    async with asyncio.timeout(5):
        await receiver.lost.wait()
    await until(lambda: not server.service.stats()["turn_allocations"])


async def test_two_of_aioices_clients_through_one_server(server: Server) -> None:
    ends = [await create_turn_endpoint(Receiver, server.address, "anna", "correct-horse") for _ in range(2)]
    (one, at_one), (two, at_two) = ends
    to_one, to_two = (end.get_extra_info("sockname") for end, _ in ends)
    async with asyncio.timeout(5):
        while at_one.got.empty() or at_two.got.empty():  # what comes before the other's permission is dropped
            one.sendto(b"hello two", to_two)
            two.sendto(b"hello one", to_one)
            await asyncio.sleep(0.05)
        assert await at_two.got.get() == (b"hello two", to_one)
        assert await at_one.got.get() == (b"hello one", to_two)
    for end, receiver in ends:
        end.close()
        async with asyncio.timeout(5):
            await receiver.lost.wait()


async def test_aioice_is_told_no(server: Server) -> None:
    for user, password in (("anna", "wrong"), ("nobody", "x")):
        with pytest.raises(stun.TransactionFailed, match="401"):
            await create_turn_endpoint(Receiver, server.address, user, password)


async def test_our_own_client(server: Server) -> None:
    allocation = Allocation(TurnEndpoint(server.address, "udp", *rest_credentials()))
    got: list[tuple[bytes, Address]] = []
    allocation.on_datagram = lambda data, source: got.append((data, source))
    await allocation.open()
    allocation.send(b"there and back", server.echo)
    await until(lambda: got)
    assert got == [(b"there and back", server.echo)]
    await allocation.close()


async def uclient(server: Server, *arguments: str) -> None:
    """coturn's test client against our server: clients in pairs that talk through it, and lose nothing.

    By Send indications (-s): the channel numbers that it takes, up to 0x7FFF as in RFC 5766, RFC 8656 has refused.
    """
    require("turnutils_uclient")
    host, port = server.address
    program = ["turnutils_uclient", "-y", "-s", "-u", "anna", "-w", "correct-horse", "-p", str(port)]
    process = await asyncio.create_subprocess_exec(
        *program, *arguments, host, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(60):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
    assert b"Total lost packets 0 (0.000000%)" in output, output.decode(errors="replace")


@pytest.mark.parametrize("more", [(), ("-g",), ("-Z",), ("-G",)], ids=["plain", "whole", "dual", "extra"])
async def test_coturns_client(server: Server, more: tuple[str, ...]) -> None:
    await uclient(server, "-c", "-m", "2", "-n", "20", "-l", "200", *more)
    await until(lambda: server.service.stats()["turn_bytes_inside_total"] >= 20 * 200)


async def test_coturns_client_wants_a_pair_of_ports(server: Server) -> None:
    """With RTCP it asks for an even port, and brings the reservation's token for the second allocation."""
    await uclient(server, "-m", "2", "-n", "5", "-l", "100")
    assert server.service.stats()["turn_refused_capacity_total"] == 0


async def test_coturns_client_over_ipv6() -> None:
    async with running("::1") as server:
        await uclient(server, "-c", "-x", "-m", "2", "-n", "20", "-l", "200")


async def test_coturns_stun_client(server: Server) -> None:
    require("turnutils_stunclient")
    process = await asyncio.create_subprocess_exec(
        "turnutils_stunclient",
        *("-p", str(server.door.port), "127.0.0.1"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(30):
        output, _ = await process.communicate()
    assert b"UDP reflexive addr: 127.0.0.1" in output
