from __future__ import annotations

import asyncio
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import pytest

from atmosphere.ice import nat_probe
from atmosphere.ice.nat_probe import probe_nat
from atmosphere.stun.message import Message, binding_response, decode, encode, error_response
from atmosphere.udp.socket import UdpSocket

Address = tuple[str, int]


class FakeServer:
    """A STUN server with as many addresses as it is given, that sees clients through a NAT of its own making.

    `see` maps (our address asked, client) to the mapped address; `obey` says which CHANGE-REQUESTs get through;
    `error` refuses them all.
    """

    def __init__(self, hosts: tuple[str, ...] = ("127.0.0.1",)) -> None:
        self.sockets: list[UdpSocket] = []
        for _ in range(len(hosts)):  # a second port only with a second address
            first = UdpSocket.bind(hosts[0])
            self.sockets += [first, *(UdpSocket.bind(host, first.port) for host in hosts[1:])]
        self.addresses: list[Address] = [(item.address, item.port) for item in self.sockets]
        self.hosts = len(hosts)
        self.obey: set[int] = set()
        self.error = False
        self.other: Address | None = self._address(1, 1) if self.hosts > 1 else None
        for item in self.sockets:
            item.on_datagram = lambda data, source, item=item: self.received(item, data, source)  # type: ignore[misc]

    def _address(self, host: int, port: int) -> Address:
        return self.addresses[host + port * self.hosts]

    def see(self, at: UdpSocket, client: Address) -> Address:
        return client

    def received(self, at: UdpSocket, data: bytes, source: Address) -> None:
        request = decode(data) if data[:1] == b"\0" else None
        if request is None:
            return
        change = request.attributes.get("CHANGE-REQUEST", 0)
        out = at
        if change and self.error:
            self.answer(at, error_response(request, 420, "Unknown Attribute"), source)
            return
        if change:
            if change not in self.obey:
                return
            out = self.sockets[-1] if change == 6 else self.sockets[self.hosts]
        response = binding_response(request, self.see(at, source))
        if self.other:
            response.attributes["OTHER-ADDRESS"] = self.other
        self.answer(out, response, source)

    def answer(self, out: UdpSocket, response: Message, destination: Address) -> None:
        out.send(encode(response), destination)

    def close(self) -> None:
        for item in self.sockets:
            item.close()


class Servers(AsyncExitStack):
    """Makes servers and closes them."""

    def make(self, *hosts: str, kind: type[FakeServer] = FakeServer) -> FakeServer:
        server = kind(hosts or ("127.0.0.1",))
        self.callback(server.close)
        return server


@pytest.fixture
async def servers() -> AsyncIterator[Servers]:
    async with Servers() as stack:
        yield stack


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nat_probe, "FILTER_TIMEOUT", 0.3)
    monkeypatch.setattr(nat_probe, "HAIRPIN_TIMEOUT", 0.3)


class Cone(FakeServer):
    """Behind a NAT that gives each socket one public port."""

    def see(self, at: UdpSocket, client: Address) -> Address:
        return ("203.0.113.9", client[1])


class Symmetric(FakeServer):
    """Behind a NAT that gives each destination another port."""

    def see(self, at: UdpSocket, client: Address) -> Address:
        return ("203.0.113.9", (client[1] + at.port) % 64512 + 1024)


class PerAddress(FakeServer):
    """Behind a NAT that gives each destination address another port."""

    def see(self, at: UdpSocket, client: Address) -> Address:
        return ("203.0.113.9", (client[1] + int(at.address[-1])) % 64512 + 1024)


async def test_no_nat(servers: Servers) -> None:
    server = servers.make("127.0.0.1", "127.0.0.2")
    server.obey = {2, 6}
    report = await probe_nat(server.addresses[:1])
    found = report.behaviour
    assert (found.mapping, found.filtering, found.hairpinning, found.type) == ("none", "none", None, "open")
    assert report.public is not None
    assert report.public[0] == "127.0.0.1"


@pytest.mark.parametrize(
    ("obey", "filtering", "kind"),
    [
        ({2, 6}, "endpoint-independent", "full-cone"),
        ({2}, "address-dependent", "restricted-cone"),
        (set(), "address-and-port-dependent", "port-restricted-cone"),
    ],
)
async def test_cones(servers: Servers, obey: set[int], filtering: str, kind: str) -> None:
    server = servers.make("127.0.0.1", "127.0.0.2", kind=Cone)
    server.obey = obey
    found = (await probe_nat(server.addresses[:1])).behaviour
    assert (found.mapping, found.filtering, found.type) == ("endpoint-independent", filtering, kind)
    assert found.hairpinning is False


@pytest.mark.parametrize(
    ("kind", "mapping"), [(Symmetric, "address-and-port-dependent"), (PerAddress, "address-dependent")]
)
async def test_symmetric(servers: Servers, kind: type[FakeServer], mapping: str) -> None:
    server = servers.make("127.0.0.1", "127.0.0.2", kind=kind)
    found = (await probe_nat(server.addresses[:1])).behaviour
    assert (found.mapping, found.type) == (mapping, "symmetric")


async def test_two_servers_of_one_address_each(servers: Servers) -> None:
    cone = [servers.make("127.0.0.1", kind=Cone), servers.make("127.0.0.2", kind=Cone)]
    found = (await probe_nat([server.addresses[0] for server in cone], hairpin=False)).behaviour
    assert (found.mapping, found.filtering, found.type) == ("endpoint-independent", "unknown", "port-restricted-cone")
    assert found.hairpinning is None


async def test_a_server_that_refuses_to_answer_from_elsewhere(servers: Servers) -> None:
    server = servers.make("127.0.0.1", "127.0.0.2", kind=Cone)
    server.error = True
    assert (await probe_nat(server.addresses[:1])).behaviour.filtering == "unknown"


async def test_hairpinning(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    class Hairpin(FakeServer):
        """The public address is another name of loopback."""

        def see(self, at: UdpSocket, client: Address) -> Address:
            return ("127.0.0.3", client[1])

    server = servers.make(kind=Hairpin)

    class Door(UdpSocket):
        """Our router: what we send to its public address comes back to the socket behind that port."""

        def send(self, data: bytes | bytearray | memoryview, destination: Address) -> None:
            super().send(data, ("127.0.0.1", destination[1]) if destination[0] == "127.0.0.3" else destination)

    monkeypatch.setattr(nat_probe, "UdpSocket", Door)
    found = (await probe_nat(server.addresses)).behaviour
    assert found.hairpinning is True


async def test_nobody_answers() -> None:
    silent = UdpSocket.bind("127.0.0.1")
    report = await probe_nat([("127.0.0.1", silent.port)], timeout=0.2)
    silent.close()
    assert report.behaviour.type == "udp-blocked"
    assert report.public is None
    assert [answer.error for answer in report.answers.values()] == ["no answer"]


async def test_no_servers_and_no_route() -> None:
    assert (await probe_nat([])).behaviour.type == "unknown"
    assert (await probe_nat([("127.0.0.1", 9)], local="203.0.113.250")).behaviour.type == "unknown"


@pytest.mark.parametrize(
    "other",
    [("127.0.0.1", 9), ("224.0.0.1", 9), ("127.0.0.9", 0), ("2001:db8::1", 9)],
)
async def test_a_second_address_that_is_none(servers: Servers, other: Address) -> None:
    server = servers.make(kind=Cone)
    server.other = other
    found = (await probe_nat(server.addresses, timeout=1)).behaviour
    assert (found.mapping, found.filtering) == ("unknown", "unknown")


def test_a_public_server_cannot_aim_us_at_private_networks() -> None:
    class Answer:
        server = ("8.8.8.8", 3478)
        other = ("10.0.0.1", 3478)

    assert nat_probe._second_address(Answer()) is None  # type: ignore[arg-type]


@contextmanager
def coturn(tmp_path: Path) -> Iterator[Address]:
    """A real coturn on two addresses and two ports."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["turnserver", "-n", "-L", "127.0.0.1", "-L", "127.0.0.2", "-p", str(port), "-S"]
    command += ["--no-tls", "--no-dtls", "--no-cli", "-m", "1", "--log-file=stdout", f"--pidfile={tmp_path / 'pid'}"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=tmp_path)
    try:
        yield ("127.0.0.1", port)
    finally:
        process.terminate()
        process.wait(10)


@pytest.mark.needs("coturn")
async def test_against_coturn(tmp_path: Path) -> None:
    with coturn(tmp_path) as server:
        async with asyncio.timeout(15):
            while (report := await probe_nat([server], timeout=1)).public is None:
                continue
            report = await probe_nat([server])
    found = report.behaviour
    assert (found.mapping, found.filtering, found.type) == ("none", "none", "open")
    assert report.answers[server].other is not None
