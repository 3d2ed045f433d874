from __future__ import annotations

import asyncio

from atmosphere.channels.protected import ProtectedPath
from tests.channels.pipe import ALICE, BOB, End, Weather, path, within


class Receiver:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.protected = self.writable = 0
        self.packets: list[bytes] = []
        self.ended: list[str] = []

    def path_protected(self) -> None:
        self.protected += 1

    def packets_arrived(self, bursts: list[tuple[bytes, int]]) -> None:
        for data, segment in bursts:
            self.packets += [data[start : start + segment] for start in range(0, len(data), segment)]

    def path_writable(self) -> None:
        self.writable += 1

    def path_ended(self, reason: str) -> None:
        self.ended.append(reason)


def two_paths(weather: Weather | None = None) -> tuple[End, ProtectedPath, Receiver, ProtectedPath, Receiver]:
    one, other = path(weather)
    client_receiver, server_receiver = Receiver(), Receiver()
    client = ProtectedPath(one, ALICE, client_receiver, client=True, srtp=False)
    server = ProtectedPath(other, BOB, server_receiver, client=False, srtp=False)
    client.listen()
    server.listen()
    return one, client, client_receiver, server, server_receiver


async def test_packets_pass_once_the_path_is_protected() -> None:
    end, client, client_receiver, server, server_receiver = two_paths()
    client.start()
    server.start()
    await within(lambda: client_receiver.protected and server_receiver.protected)
    client.send(b"one", 3)
    server.send(b"twothree", 3)
    await within(lambda: client_receiver.packets[2:] and server_receiver.packets)
    assert (client_receiver.packets, server_receiver.packets) == ([b"two", b"thr", b"ee"], [b"one"])
    assert not client.blocked and client_receiver.writable == 0
    assert client.bytes_sent == server.bytes_received
    end._deliver(b"\0 not DTLS")
    client.close()
    await within(lambda: server_receiver.ended)
    assert server_receiver.ended == ["closed by the peer"]
    server.close()
    assert client._timer is None and server._timer is None


async def test_the_timer_mends_a_lost_first_flight() -> None:
    end, client, client_receiver, server, server_receiver = two_paths()
    end.dead = True
    client.start()
    end.dead = False
    async with asyncio.timeout(5):
        await within(lambda: client_receiver.protected and server_receiver.protected)
    client.close()
    server.close()
    assert client_receiver.ended == []
