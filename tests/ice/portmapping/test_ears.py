from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from atmosphere.ice.portmapping import ears as ears_module
from atmosphere.ice.portmapping.ears import Ears, listen
from atmosphere.udp.socket import UdpSocket
from tests.ice.portmapping.fake_gateway import LINK
from tests.ice.portmapping.test_ssdp import NOTIFY
from tests.until import until

Address = tuple[str, int]


def free_port(address: str = "127.0.0.1") -> Address:
    sock = UdpSocket.bind(address)
    sock.close()
    return (address, sock.port)


class Heard:
    """Ears with their hints counted, a router, and a neighbour."""

    def __init__(self) -> None:
        self.hints = 0
        self.announcements, self.group = free_port(), free_port()
        self.ears = Ears(LINK, self.announcements, self.group, self._hint)
        self.router, self.neighbour = UdpSocket.bind("127.0.0.1"), UdpSocket.bind("127.0.0.2")

    def _hint(self) -> None:
        self.hints += 1

    async def all_arrived(self) -> None:
        """What was sent before has been heard: a last datagram follows it to each socket."""
        arrived: set[int] = set()
        sockets = list(self.ears._sockets)
        before = [sock.received for sock in sockets]
        for sock in sockets:
            self.router.send(b"?", (sock.address, sock.port))
        await until(lambda: all(sock.received > count for sock, count in zip(sockets, before, strict=True)))
        await asyncio.sleep(0)
        del arrived

    def close(self) -> None:
        for one in (self.ears, self.router, self.neighbour):
            one.close()


@pytest.mark.parametrize("data", [b"\x00\x80\x00\x00\x00\x00\x00\x01\xcb\x00\x71\x09", b"\x02\x80" + bytes(22)])
async def test_a_router_announces_its_restart(data: bytes) -> None:
    heard = Heard()
    heard.router.send(data, heard.announcements)
    await until(lambda: heard.hints)
    heard.close()


async def test_announcements_that_do_not_count() -> None:
    heard = Heard()
    heard.neighbour.send(b"\x00\x80" + bytes(10), heard.announcements)
    heard.router.send(b"hello", heard.announcements)
    heard.neighbour.send(NOTIFY, heard.group)
    heard.router.send(NOTIFY.replace(b"alive", b"byebye"), heard.group)
    await heard.all_arrived()
    assert heard.hints == 0
    heard.close()


async def test_only_another_boot_is_news() -> None:
    heard = Heard()
    heard.ears.boot = "17"
    heard.router.send(NOTIFY, heard.group)
    await heard.all_arrived()
    assert heard.hints == 0
    heard.router.send(NOTIFY.replace(b"17", b"18"), heard.group)
    await until(lambda: heard.hints)
    assert heard.ears.boot == "18"
    heard.close()


async def test_a_flood_is_one_hint() -> None:
    heard = Heard()
    for boot in range(20):
        heard.router.send(NOTIFY.replace(b"17", b"%d" % boot), heard.group)
        heard.router.send(b"\x00\x80" + bytes(10), heard.announcements)
    await until(lambda: heard.hints)
    await heard.all_arrived()
    assert heard.hints == 1
    heard.close()


async def test_hints_come_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ears_module, "QUIET", 0.0)
    heard = Heard()
    for count in (1, 2):
        heard.router.send(b"\x00\x80" + bytes(10), heard.announcements)
        await until(lambda count=count: heard.hints == count)  # type: ignore[misc]
    heard.close()


async def test_ports_that_somebody_else_has() -> None:
    other = UdpSocket.bind("127.0.0.1")
    ears = Ears(LINK, (other.address, other.port), free_port(), lambda: None)
    assert len(ears._sockets) == 1
    ears.close()
    assert ears._sockets == []
    other.close()


@pytest.mark.parametrize(("address", "group"), [("127.0.0.1", "224.0.0.1"), ("::1", "ff02::1")])
async def test_multicast(address: str, group: str) -> None:
    """Two nodes of one machine hear the same group."""
    port = free_port(address)[1]
    link = replace(LINK, address=address)
    heard = [listen(link, (group, port)), listen(link, (group, port))]
    assert [sock.port for sock in heard] == [port, port]
    for sock in heard:
        sock.close()
