"""atmosphere.ice.nat_lifetime, with a server behind a NAT of its own making."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from atmosphere.ice import nat_lifetime
from atmosphere.ice.nat_lifetime import probe_lifetime
from atmosphere.network.stun_service import StunService
from atmosphere.stun.message import binding_response, decode, encode, error_response
from atmosphere.udp.socket import UdpSocket

Address = tuple[str, int]


class Forgetful:
    """Sees each client at another port, and remembers the first `remembers` of those that are asked for by
    RESPONSE-PORT: as if time went on from one to the next."""

    def __init__(self, remembers: int, *, knows_response_port: bool = True, answers: int = 1000) -> None:
        self.remembers = remembers
        self.answers = answers
        self.questions = 0
        self.knows_response_port = knows_response_port
        self.clients: dict[int, Address] = {}
        self.asked_for: dict[int, None] = {}
        self.socket = UdpSocket.bind("127.0.0.1")
        self.address = (self.socket.address, self.socket.port)
        self.socket.on_datagram = self.received

    def received(self, data: bytes, source: Address) -> None:
        request = decode(data)
        port = request.attributes.get("RESPONSE-PORT")
        if port is None:
            self.questions += 1
            if self.questions > self.answers:
                return
            mapped = source[1] % 60000 + 1024
            self.clients[mapped] = source
            self.socket.send(encode(binding_response(request, ("203.0.113.9", mapped))), source)
        elif not self.knows_response_port:
            self.socket.send(encode(error_response(request, 420, "Unknown Attribute")), source)
        else:
            self.asked_for[port] = None
            if list(self.asked_for).index(port) < self.remembers:
                self.socket.send(encode(binding_response(request, source)), self.clients[port])


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nat_lifetime, "STEPS", (0.01, 0.02, 0.03, 0.04))
    monkeypatch.setattr(nat_lifetime, "INTERVAL", 0.1)
    monkeypatch.setattr(nat_lifetime, "TIMEOUT", 0.5)


@pytest.fixture
async def nat() -> AsyncIterator[Any]:
    made: list[Forgetful] = []

    def make(remembers: int, **options: Any) -> Forgetful:
        made.append(Forgetful(remembers, **options))
        return made[-1]

    yield make
    for server in made:
        server.socket.close()


async def test_as_long_as_it_was_seen_to_live(nat: Any) -> None:
    assert await probe_lifetime(nat(3).address, 1.0) == 0.02


async def test_no_longer_than_was_tried(nat: Any) -> None:
    assert await probe_lifetime(nat(99).address, 0.025) == 0.025


async def test_not_even_the_first_step(nat: Any) -> None:
    assert await probe_lifetime(nat(1).address, 1.0) == 0.0


async def test_where_it_cannot_be_told(nat: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await probe_lifetime(nat(99, knows_response_port=False).address, 1.0) is None
    silent = nat(99)
    silent.socket.on_datagram = lambda data, source: None
    assert await probe_lifetime(silent.address, 1.0) is None
    async with StunService("127.0.0.1", 0) as without_nat:
        assert await probe_lifetime(("127.0.0.1", without_nat.port), 1.0) is None
    assert await probe_lifetime(silent.address, 1.0, local="203.0.113.250") is None
    monkeypatch.setattr(nat_lifetime, "source_for", lambda server: None)
    assert await probe_lifetime(silent.address, 1.0) is None


async def test_a_mapping_in_use_is_asked_twice_before_it_falls_silent(
    nat: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nat_lifetime, "IN_USE", 0.01)
    once, twice = nat(99), nat(99)
    assert await probe_lifetime(once.address, 0.025) == 0.025
    assert await probe_lifetime(twice.address, 0.025, used=True) == 0.025
    assert (once.questions, twice.questions) == (1 + 3, 1 + 2 * 3)
    gone = nat(99, answers=2)
    assert await probe_lifetime(gone.address, 0.025, used=True) is None


async def test_a_server_that_cannot_costs_two_sockets(nat: Any) -> None:
    server = nat(99, knows_response_port=False)
    assert await probe_lifetime(server.address, 300.0) is None
    assert server.questions == 1
