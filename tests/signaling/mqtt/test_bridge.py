from __future__ import annotations

import asyncio

import pytest

from signaling.errors import DecodeError
from signaling.mqtt import bridge as module
from signaling.mqtt.bridge import Bridge
from tests.signaling.broker import packet


class FakeTransport:
    """Hands out what the test scripts, then the end or an error."""

    def __init__(self, *script: bytes | Exception) -> None:
        self.script = list(script)
        self.written = bytearray()
        self.ended = ""

    async def read(self) -> bytes:
        await asyncio.sleep(0)
        said = self.script.pop(0) if self.script else b""
        if isinstance(said, Exception):
            raise said
        return said

    async def write(self, data: bytes) -> None:
        self.written += data
        if data == b"break":
            raise ConnectionResetError(104, "Connection reset by peer")

    async def finish(self) -> None:
        self.ended = "finished"

    def abort(self) -> None:
        self.ended = self.ended or "aborted"


async def received(bridge: Bridge) -> bytes:
    """What the library gets, to the end."""
    loop, data = asyncio.get_running_loop(), b""
    bridge.near.setblocking(False)
    while more := await loop.sock_recv(bridge.near, 1000):
        data += more
    return data


async def test_bytes_go_inward_to_the_end() -> None:
    pong = packet(13, b"")
    bridge = Bridge(transport := FakeTransport(pong, pong[:1], pong[1:]))
    _, got = await asyncio.gather(bridge.inward(), received(bridge))
    assert got == pong * 2
    assert bridge.reason == "the broker closed the connection"
    bridge.close()
    assert transport.ended == "aborted"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ConnectionResetError(104, "Connection reset by peer"), "Connection reset by peer"),
        (DecodeError("the broker sent text"), "the broker sent text"),
        (b"\xd0\x80\x80\x80\x80", "the broker sent a packet without an end"),
    ],
)
async def test_why_it_ended_is_remembered(error: Exception | bytes, reason: str) -> None:
    bridge = Bridge(FakeTransport(error))
    await bridge.inward()
    assert await received(bridge) == b""
    assert bridge.reason == reason
    bridge.near.close()
    await bridge.inward()  # the library's end is closed already
    bridge.close()


async def test_bytes_go_outward_until_the_library_leaves() -> None:
    bridge = Bridge(transport := FakeTransport())
    bridge.near.sendall(b"goodbye")
    bridge.near.close()
    await bridge.outward()
    assert transport.written == b"goodbye"
    assert transport.ended == "finished"
    bridge.close()


async def test_a_connection_that_takes_no_more() -> None:
    bridge = Bridge(FakeTransport())
    bridge.near.sendall(b"break")
    await bridge.outward()
    assert bridge.reason == "Connection reset by peer"
    bridge.close()


async def test_it_reads_at_a_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    real = asyncio.sleep

    async def sleep(delay: float) -> None:
        slept.append(delay)
        await real(0)

    monkeypatch.setattr(module, "PACE", 1.0)
    monkeypatch.setattr(module, "BURST", 4.0)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    bridge = Bridge(FakeTransport(packet(13, b"") * 2, packet(13, b"") * 2))
    await bridge.inward()
    assert max(slept) == pytest.approx(4.0, abs=0.5)
    bridge.close()


async def test_the_loop_forgets_the_librarys_end() -> None:
    loop = asyncio.get_running_loop()
    bridge = Bridge(FakeTransport())
    number = bridge.near.fileno()
    loop.add_reader(number, bridge.close)
    loop.add_writer(number, bridge.close)
    bridge.close()
    assert not loop.remove_reader(number)
    assert not loop.remove_writer(number)
