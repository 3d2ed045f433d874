"""An end with nothing but what every packet needs: AES-GCM for each, and bursts through the kernel.

No congestion control, no loss recovery, no messages: a floor for what Python can do with a datagram. The host answers
each burst with a datagram, and so many are on their way at most that none is lost.
"""

from __future__ import annotations

import asyncio
import socket
import struct

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.bench.end import BLOCK, PATIENCE, now, pieces

PACKET = 1172
"""Bytes of content in a packet, which then has 1,200."""
MOST = 54
"""Packets in a burst."""
ON_THEIR_WAY = 8
UDP_SEGMENT, UDP_GRO = 103, 104
KEY = AESGCM(bytes(16))
BUFFER = 4_000_000


def bound() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        sock.setsockopt(socket.SOL_SOCKET, option, BUFFER)
    sock.setsockopt(socket.IPPROTO_UDP, UDP_GRO, 1)
    return sock


class BareEnd:
    """One socket."""

    def __init__(self) -> None:
        self._socket = bound()
        self._buffer = bytearray(65536)
        self._arrived = 0

    async def prepare(self) -> str:
        self._socket.setblocking(False)
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._readable)
        return str(self._socket.getsockname()[1])

    async def dial(self, text: str) -> str:
        self._socket.connect(("127.0.0.1", int(text)))
        return ""

    async def respond(self, text: str) -> str:
        return text

    async def finish(self, text: str) -> float:
        return await self.reconnect()

    async def reconnect(self) -> float:
        return (await self.echo("channel", 1))[0] / 1e6

    async def throughput(self, kind: str, seconds: float, size: int = len(BLOCK)) -> tuple[float, float]:
        self._socket.settimeout(PATIENCE)
        began, messages, flying, sent = now(), pieces(size), 0, 0
        while now() < began + seconds:
            waiting = next(messages)
            while len(waiting) < 40_000:
                waiting += next(messages)
            for start in range(0, len(waiting), PACKET * MOST):
                self._burst(waiting[start : start + PACKET * MOST])
                flying += 1
                while flying >= ON_THEIR_WAY:
                    self._socket.recv(64)
                    flying -= 1
            sent += len(waiting)
        for _ in range(flying):
            self._socket.recv(64)
        return sent / (now() - began) / 1e6, sent / 1e6

    def _burst(self, data: bytes) -> None:
        encrypt, nonce = KEY.encrypt, bytes(12)
        sealed = [nonce + encrypt(nonce, data[start : start + PACKET], None) for start in range(0, len(data), PACKET)]
        segment = struct.pack("=H", len(sealed[0]))
        self._socket.sendmsg(sealed, [(socket.IPPROTO_UDP, UDP_SEGMENT, segment)])

    def _readable(self) -> None:
        for _ in range(16):
            try:
                size, ancillary, _, source = self._socket.recvmsg_into([self._buffer], 64)
            except BlockingIOError:
                return
            segment = struct.unpack("=i", ancillary[0][2])[0] if ancillary else size
            view, decrypt = memoryview(self._buffer)[:size], KEY.decrypt
            for start in range(0, size, segment):
                packet = view[start : start + segment]
                self._arrived += len(decrypt(packet[:12], packet[12:], None))
            self._socket.sendto(b"x", source)

    async def echo(self, kind: str, count: int) -> list[float]:
        took = []
        for _ in range(count):
            began = now()
            self._burst(bytes(100))
            self._socket.recv(64)
            took.append((now() - began) * 1e6)
        return took

    async def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._socket.close()
