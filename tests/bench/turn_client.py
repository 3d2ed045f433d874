"""The least of a TURN client, on a blocking socket: what a relay is measured with, whoever made it."""

from __future__ import annotations

import socket
import struct

from atmosphere.stun.longterm import Challenge
from atmosphere.stun.message import Class, Message, Method, decode

USER, PASSWORD = "bench", "bench-password"
UDP_TRANSPORT = 17 << 24
SOL_UDP, UDP_SEGMENT, UDP_GRO = 17, 103, 104
Address = tuple[str, int]


def udp(connect: Address | None = None) -> socket.socket:
    """A socket on loopback that takes bursts whole, as a program that cares would have it."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(SOL_UDP, UDP_GRO, 1)
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        sock.setsockopt(socket.SOL_SOCKET, option, 4 << 20)
    sock.bind(("127.0.0.1", 0))
    if connect is not None:
        sock.connect(connect)
    return sock


def send_burst(sock: socket.socket, data: bytes, segment: int, destination: Address | None = None) -> None:
    """Many datagrams in one call."""
    ancillary = [(SOL_UDP, UDP_SEGMENT, struct.pack("=H", segment))]
    sock.sendmsg([data], ancillary, 0, *([destination] if destination else []))


def drain(sock: socket.socket) -> tuple[int, int]:
    """Read what is there, without waiting: bytes, datagrams."""
    sock.setblocking(False)
    size = count = 0
    while True:
        try:
            data, ancillary, _, _ = sock.recvmsg(65536, 64)
        except BlockingIOError:
            return size, count
        size += len(data)
        segment = struct.unpack("=i", ancillary[0][2])[0] if ancillary else len(data)
        count += -(-len(data) // segment)


class TurnClient:
    """One client and its allocation."""

    def __init__(self, server: Address) -> None:
        self.sock = udp(server)
        self.patience = 5.0
        self._challenge: Challenge | None = None
        self.relayed: Address = ("", 0)

    def allocate(self) -> None:
        """Two round trips: the challenge and the answer."""
        answer = self._ask(Method.ALLOCATE, {"REQUESTED-TRANSPORT": UDP_TRANSPORT})
        self.relayed = answer.attributes["XOR-RELAYED-ADDRESS"]

    def bind(self, number: int, peer: Address) -> None:
        """A channel to a peer."""
        self._ask(Method.CHANNEL_BIND, {"CHANNEL-NUMBER": number, "XOR-PEER-ADDRESS": peer})

    def close(self) -> None:
        """Give the allocation back."""
        self._ask(Method.REFRESH, {"LIFETIME": 0})
        self.sock.close()

    def _ask(self, method: Method, attributes: dict[str, object]) -> Message:
        self.sock.settimeout(self.patience)
        for _ in range(2):
            request = Message(method, Class.REQUEST, attributes=dict(attributes))
            if self._challenge is not None:
                self._challenge.sign(request, USER, PASSWORD)
            self.sock.send(bytes(request))
            answer = decode(self.sock.recv(2048))
            if answer.message_class is Class.RESPONSE:
                return answer
            self._challenge = Challenge.of(answer)
        raise ConnectionError(f"{method.name}: {answer.error_code}")
