"""atmosphere.ice.stun_servers, with a DNS that says what the test wants. On sockets it is in test_endpoint."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from atmosphere.errors import Unreachable
from atmosphere.ice import stun_servers as module
from atmosphere.ice.gather import Gatherer
from atmosphere.ice.settings import IceSettings, ServerUri, parse_stun, parse_turn
from atmosphere.ice.stun_servers import StunServers, binding_servers
from tests.until import until

ONE, TWO = parse_stun("one.example:1"), parse_stun("two.example:2")


class Asking:
    """What becomes of some servers: `names` are those that DNS knows, `told` what is said of each."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
        self.names = set(names)
        self.looked_up: list[str] = []
        self.told: list[tuple[str, list[tuple[str, int]]]] = []
        self.found = 0
        self.failures: list[tuple[str, str]] = []
        self.gatherer = Gatherer()
        monkeypatch.setattr(module, "resolve", self.resolve)
        self.servers = StunServers(self.gatherer, cast("Any", self), self.hear, self.fail)

    async def resolve(self, host: str, port: int) -> list[tuple[str, int]]:
        self.looked_up.append(host)
        if host not in self.names:
            raise Unreachable(f"no address for {host}")
        return [("192.0.2.1", port)]

    def set_server(self, name: str, addresses: list[tuple[str, int]]) -> None:
        self.told.append((name, addresses))

    def hear(self) -> None:
        self.found += 1

    def fail(self, name: str, error: str) -> None:
        self.failures.append((name, error))


def test_whom_to_ask() -> None:
    turn = tuple(
        parse_turn(f"turn:relay.example:3478?transport={transport}", username="u", password="p")
        for transport in ("udp", "tcp")
    )
    settings = IceSettings(stun=(ONE,), turn=(*turn, parse_turn("turn:open.example:5", username="u", password="p")))
    assert binding_servers(settings) == [
        ONE,
        ServerUri("stun", "relay.example", 3478),
        ServerUri("stun", "open.example", 5),
    ]
    assert binding_servers(IceSettings(stun=(ONE,), turn=turn, policy="relay")) == []


async def test_a_server_is_asked_once_its_name_is_found_and_no_more_when_it_goes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asking = Asking(monkeypatch, "one.example", "two.example")
    asking.servers.set_servers([ONE])
    await until(lambda: asking.found == 1)
    assert asking.told == [(str(ONE), [("192.0.2.1", 1)])]
    assert asking.gatherer.asks(("192.0.2.1", 1))
    asking.servers.set_servers([ONE, TWO])
    await until(lambda: asking.found == 2)
    assert asking.looked_up == ["one.example", "two.example"], "one that stays is left alone"
    asking.servers.set_servers([TWO])
    assert asking.told[2:] == [(str(ONE), [])]
    assert not asking.gatherer.asks(("192.0.2.1", 1))
    await asking.servers.close()


async def test_a_name_is_looked_up_until_it_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "NAME_RETRY", 0.001)
    asking = Asking(monkeypatch)
    asking.servers.set_servers([ONE])
    await until(lambda: len(asking.failures) >= 2)
    assert set(asking.failures) == {(str(ONE), "no address for one.example")}
    asking.names.add("one.example")
    await until(lambda: asking.found == 1)
    await asking.servers.close()


async def test_a_change_of_the_network_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    asking = Asking(monkeypatch)
    asking.servers.set_servers([ONE])
    await until(lambda: asking.failures)
    asking.names.add("one.example")
    asking.servers.hurry()
    await until(lambda: asking.found == 1)
    assert len(asking.failures) == 1
    await asking.servers.close()


async def test_one_that_goes_while_it_is_looked_up_is_looked_up_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    asking = Asking(monkeypatch)
    asking.servers.set_servers([ONE])
    await until(lambda: asking.failures)
    asking.servers.set_servers([])
    await until(lambda: not len(asking.servers._tasks))
    await asking.servers.close()
    asking.servers.set_servers([TWO])
    assert len(asking.servers._tasks) == 0, "after the end nothing is started"
    asking.servers.set_servers([])
    await asyncio.sleep(0)
    assert asking.looked_up == ["one.example"]
