"""What an endpoint does when the network changes: addresses, ways out, and where servers see it."""

from __future__ import annotations

from typing import Any

import pytest

from atmosphere.ice import changes, following, keepalive
from atmosphere.ice.agent import REST_LEAST
from atmosphere.ice.consent import REST
from atmosphere.ice.endpoint import IceEndpoint
from atmosphere.ice.gather import KEEPALIVE
from atmosphere.ice.settings import IceSettings, parse_stun
from atmosphere.stun.message import Class, Message, Method, decode, encode
from atmosphere.udp.addresses import LocalAddress, Quality
from atmosphere.udp.netlink import AddressChange, LinkChange
from atmosphere.udp.socket import UdpSocket
from tests.ice.loopback import LOOPBACK, connect, exchange
from tests.until import until


async def test_addresses_come_and_go(monkeypatch: pytest.MonkeyPatch) -> None:
    present = [LocalAddress("a", "127.0.0.2", 4, Quality.WIRED)]
    monkeypatch.setattr("atmosphere.ice.sockets.local_addresses", lambda: list(present))
    monkeypatch.setattr("atmosphere.ice.sockets.address_class", lambda address: "private")
    monkeypatch.setattr(following, "TICK", 0.01)
    monkeypatch.setattr("atmosphere.ice.following.NetlinkSocket.open", lambda heard: None)
    async with IceEndpoint(IceSettings()) as host, IceEndpoint(LOOPBACK) as dialer:
        session, _ = await connect(host, dialer)
        present.append(LocalAddress("b", "127.0.0.3", 4, Quality.WIFI))
        await until(lambda: host.addresses == ["127.0.0.2", "127.0.0.3"])
        host_candidates = {one.address: one for one in host.candidates}
        assert host_candidates["127.0.0.2"].priority > host_candidates["127.0.0.3"].priority
        assert {one.port for one in host.candidates} == {host.port}
        session.add_remote(host_candidates["127.0.0.3"])
        del present[0]
        await until(lambda: host.addresses == ["127.0.0.3"])
        await until(lambda: session.path is not None and session.path.remote.address == "127.0.0.3")
        assert await exchange(session, [b"\x20moved"])


class Present:
    """The machine's addresses and its way out, as the test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
        self.addresses = [LocalAddress("eth0", address, 4, Quality.WIRED) for address in addresses]
        self.ways: tuple[str | None, ...] = (addresses[0], None, "127.0.0.254")
        monkeypatch.setattr("atmosphere.ice.sockets.local_addresses", lambda: list(self.addresses))
        monkeypatch.setattr("atmosphere.ice.sockets.address_class", lambda address: "private")
        monkeypatch.setattr(changes, "ways_out", lambda: self.ways)


def spy(monkeypatch: pytest.MonkeyPatch, endpoint: IceEndpoint) -> list[str]:
    """What the endpoint does about a change, in its order."""
    done: list[str] = []

    def watch(owner: object, name: str) -> None:
        call = getattr(owner, name)

        def called(*given: object) -> None:
            done.append(name)
            call(*given)

        monkeypatch.setattr(owner, name, called)

    watch(endpoint._gatherer, "ask_again")
    watch(endpoint._relays, "hurry")
    watch(endpoint.mux, "network_changed")
    endpoint.on_change.append(lambda: done.append("told"))
    return done


ALL_OF_IT = ["ask_again", "hurry", "network_changed", "told"]


async def test_an_address_that_goes_takes_its_socket_along_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    present = Present(monkeypatch, "127.0.0.2", "127.0.0.3")
    async with IceEndpoint(IceSettings()) as endpoint:
        done = spy(monkeypatch, endpoint)
        sock = endpoint.sockets[0]
        del present.addresses[0]
        endpoint._following.heard([AddressChange("127.0.0.2", True)])
        assert endpoint.addresses == ["127.0.0.3"]
        assert sock.closed
        assert {one.address for one in endpoint.candidates} == {"127.0.0.3"}
        assert done == ALL_OF_IT


async def test_another_way_out_is_another_network_though_the_addresses_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    present = Present(monkeypatch, "127.0.0.2", "127.0.0.3")
    async with IceEndpoint(IceSettings()) as endpoint:
        done = spy(monkeypatch, endpoint)
        assert not endpoint.refresh_addresses()
        present.ways = ("127.0.0.3", None, "127.0.0.253")
        assert endpoint.refresh_addresses()
        assert not endpoint.refresh_addresses()
        assert done == ALL_OF_IT
        assert endpoint.refresh_addresses(sure=True)
        assert done == 2 * ALL_OF_IT
    assert not endpoint.refresh_addresses(sure=True)


async def test_an_interface_that_goes_down_is_noticed_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    present = Present(monkeypatch, "127.0.0.2")
    async with IceEndpoint(IceSettings()) as endpoint:
        done = spy(monkeypatch, endpoint)
        endpoint._following.heard([LinkChange("eth1", False)])
        assert done == []
        present.addresses.clear()
        endpoint._following.heard([LinkChange("eth0", False)])
        assert "127.0.0.2" not in endpoint.addresses
        assert done == ALL_OF_IT


async def test_a_socket_without_a_way_out_makes_it_look(monkeypatch: pytest.MonkeyPatch) -> None:
    present = Present(monkeypatch, "127.0.0.2")
    monkeypatch.setattr(following, "SETTLE", 0.001)
    async with IceEndpoint(IceSettings()) as endpoint:
        done = spy(monkeypatch, endpoint)
        present.ways = (None, None, None)
        endpoint.sockets[0].send(b"x", ("255.255.255.255", 9))
        await until(lambda: done == ALL_OF_IT)


class Sees:
    """STUN servers that see everybody as `address`."""

    def __init__(self, count: int) -> None:
        self.address = ("203.0.113.5", 40000)
        self.other: tuple[str, int] | None = None
        self.sockets = [UdpSocket.bind("127.0.0.1") for _ in range(count)]
        self.uris = tuple(parse_stun(f"127.0.0.1:{sock.port}") for sock in self.sockets)
        for sock in self.sockets:
            sock.on_datagram = lambda data, source, sock=sock: self.answer(sock, data, source)  # type: ignore[misc]

    def answer(self, sock: UdpSocket, data: bytes, source: tuple[str, int]) -> None:
        attributes: dict[str, Any] = {"XOR-MAPPED-ADDRESS": self.address}
        if self.other is not None:
            attributes["OTHER-ADDRESS"] = self.other
        response = Message(Method.BINDING, Class.RESPONSE, decode(data).transaction_id, attributes)
        sock.send(encode(response), source)

    def close(self) -> None:
        for sock in self.sockets:
            sock.close()


def mapped_as(endpoint: IceEndpoint) -> list[tuple[str, int]]:
    return [one.endpoint for one in endpoint.candidates if one.type == "srflx"]


async def test_a_router_with_another_address_is_another_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is one keepalive that sees it; what other servers saw before is forgotten, and they are asked at once."""
    seen = Sees(3)
    async with IceEndpoint(IceSettings(("127.0.0.1",), stun=seen.uris)) as endpoint:
        await endpoint.gathered(5)
        (base,) = endpoint._bases.values()
        assert len(base.reflexive) == 3
        monkeypatch.setattr(changes, "CHANGE_TAKES", 0.0)
        done = spy(monkeypatch, endpoint)
        told: list[tuple[str, int]] = []
        endpoint.on_candidate = lambda candidate: told.append(candidate.endpoint)
        seen.address = ("203.0.113.77", 40000)
        keeper = endpoint._gatherer._keepers[base.id]
        keeper.due = 0.0
        endpoint._gathering.run()
        await until(lambda: len(base.reflexive) == 3 and mapped_as(endpoint) == [seen.address])
        assert {one.endpoint for one in base.reflexive.values()} == {seen.address}
        assert told == [seen.address]
        assert done == ["hurry", "network_changed", "told"]
        endpoint.set_servers(seen.uris[:1], ())
        assert len(base.reflexive) == 1
        endpoint.set_servers((), ())
        assert mapped_as(endpoint) == []
    seen.close()


async def test_another_port_is_told_but_no_other_network(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = Sees(1)
    async with IceEndpoint(IceSettings(("127.0.0.1",), stun=seen.uris)) as endpoint:
        await endpoint.gathered(5)
        monkeypatch.setattr(changes, "CHANGE_TAKES", 0.0)
        done = spy(monkeypatch, endpoint)
        told: list[tuple[str, int]] = []
        endpoint.on_candidate = lambda candidate: told.append(candidate.endpoint)
        seen.address = ("203.0.113.5", 40001)
        endpoint._gatherer.ask_again(0.0)
        endpoint._gathering.run()
        await until(lambda: told == [seen.address])
        assert mapped_as(endpoint) == [seen.address]
        assert done == ["ask_again"]
    seen.close()


async def test_the_address_that_a_change_brings_is_no_second_change(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = Sees(1)
    async with IceEndpoint(IceSettings(("127.0.0.1",), stun=seen.uris)) as endpoint:
        await endpoint.gathered(5)
        done = spy(monkeypatch, endpoint)
        seen.address = ("203.0.113.77", 40000)
        assert endpoint.refresh_addresses(sure=True)
        await until(lambda: mapped_as(endpoint) == [seen.address])
        assert done == ALL_OF_IT
    seen.close()


async def test_a_failing_receiver_of_changes_is_contained(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def raises() -> None:
        raise ZeroDivisionError

    async with IceEndpoint(LOOPBACK) as endpoint:
        endpoint.on_change.append(raises)
        done = spy(monkeypatch, endpoint)
        assert endpoint.refresh_addresses(sure=True)
        assert done == ALL_OF_IT
        assert "a receiver of changes failed" in caplog.text


async def test_a_change_of_the_network_disturbs_no_session(monkeypatch: pytest.MonkeyPatch) -> None:
    async with IceEndpoint(LOOPBACK) as host, IceEndpoint(LOOPBACK) as dialer:
        session, _ = await connect(host, dialer)
        for _ in range(5):
            assert dialer.refresh_addresses(sure=True)
            assert host.refresh_addresses(sure=True)
            assert await exchange(session, [b"\x20still here"])
        assert session.state == "connected"


async def test_the_nats_own_memory_sets_the_pace_of_idle_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[tuple[tuple[str, int], str | None]] = []

    async def probe(server: tuple[str, int], limit: float, *, local: str | None, used: bool) -> float:
        measured.append((server, local))
        return 20.0

    monkeypatch.setattr(keepalive, "SETTLE", 0.0)
    monkeypatch.setattr(keepalive, "probe_lifetime", probe)
    seen = Sees(1)
    async with (
        IceEndpoint(IceSettings(("127.0.0.1",), stun=seen.uris)) as dialer,
        IceEndpoint(LOOPBACK) as host,
    ):
        session, _ = await connect(host, dialer)
        await dialer.gathered(5)
        assert (session.rest, dialer._gatherer.keepalive, measured) == (REST, KEEPALIVE, [])
        seen.other = ("203.0.113.6", 3479)
        dialer._gatherer.ask_again(0.0)
        dialer._gathering.run()
        await until(lambda: session.rest == 10.0)
        assert dialer._gatherer.keepalive == 10.0
        assert measured == [(("127.0.0.1", seen.sockets[0].port), "127.0.0.1")]
        for port in range(2 * 4):  # the NAT forgets all the same, again and again
            seen.address = ("203.0.113.5", 40001 + port)
            dialer._gatherer.ask_again(0.0)
            dialer._gathering.run()
            await until(lambda: mapped_as(dialer) == [seen.address])
        assert (session.rest, dialer._gatherer.keepalive) == (REST_LEAST, REST_LEAST)
        seen.other = None
        assert dialer.refresh_addresses(sure=True)
        assert (session.rest, dialer._gatherer.keepalive) == (REST, KEEPALIVE)
    seen.close()
