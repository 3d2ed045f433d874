"""Where a router lets TCP out: the address that STUN servers see, and the local port to connect from again.

Simultaneous-open (RFC 6544 §5.2) needs a router that maps one local port to one port of its own, wherever we connect
to. So two servers are asked from one port: where they disagree, there is nothing to offer. The connections are held, as
the mapping may end with them.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from atmosphere.errors import DecodeError
from atmosphere.ice.pair import same_reach
from atmosphere.stun.client import BindingTransaction
from atmosphere.stun.message import decode
from atmosphere.tasks import Tasks
from atmosphere.turn.stream import Deframer

__all__ = ["TcpMapped", "TcpMapping", "reusable_socket"]

logger = logging.getLogger(__name__)

ANSWER_TIMEOUT = 3.0
"""Seconds for a server's answer, the connection included."""
FRESH = 60.0
"""Seconds after which servers may be asked anew."""
MAX_SERVERS = 4
WITNESSES = 2

Address = tuple[str, int]


@dataclass(frozen=True)
class TcpMapped:
    """Connections from the local `port` are seen as coming from `external`."""

    port: int
    external: Address


class TcpMapping:
    """Asks when it is wanted and what it knows is not fresh; `on_mapped(local address)` tells that there is news."""

    def __init__(self, tasks: Tasks, on_mapped: Callable[[str], None]) -> None:
        self.known: dict[str, TcpMapped] = {}
        self._tasks = tasks
        self._on_mapped = on_mapped
        self._servers: dict[str, list[Address]] = {}
        self._asked: dict[str, float] = {}
        self._held: dict[str, list[socket.socket]] = {}

    def set_server(self, uri: str, addresses: list[Address]) -> None:
        """Ask the server `uri` at these addresses; none: no more."""
        self._servers[uri] = addresses

    def want(self, locals_: Iterable[str]) -> None:
        """Somebody could connect to us by simultaneous-open on these local addresses."""
        now = asyncio.get_running_loop().time()
        for local in locals_:
            servers = [one for each in self._servers.values() for one in each if same_reach(local, one[0])]
            if servers and now >= self._asked.get(local, -FRESH) + FRESH:
                self._asked[local] = now
                self._tasks.spawn(self._look(local, servers[:MAX_SERVERS]), f"TCP mapping of {local}")

    def forget(self, local: str) -> None:
        """The local address is gone."""
        self.known.pop(local, None)
        self._asked.pop(local, None)
        self._release(self._held.pop(local, []))

    def close(self) -> None:
        """Let go of everything."""
        for local in list(self._held):
            self.forget(local)

    async def _look(self, local: str, servers: list[Address]) -> None:
        before = self.known.get(local)
        port, seen = before.port if before else 0, list[Address]()
        # One port has one connection to a server, so the old ones go first.
        self._release(self._held.pop(local, []))
        held = self._held[local] = list[socket.socket]()
        for server in servers:
            answer = await _ask(local, port, server)
            if answer is not None:
                held.append(answer[0])
                port = answer[0].getsockname()[1]
                seen.append(answer[1])
            if len(seen) == WITNESSES:
                break
        if self._held.get(local) is not held:
            self._release(held)  # the address is gone
            return
        if seen and len(set(seen)) == 1 and seen[0] != (local, port):
            self.known[local] = TcpMapped(port, seen[0])
        else:
            self.known.pop(local, None)
        if self.known.get(local) not in (before, None):
            logger.info("TCP from %s port %d is seen as %s port %d", local, port, *seen[0])
            self._on_mapped(local)

    @staticmethod
    def _release(held: list[socket.socket]) -> None:
        for sock in held:
            sock.close()


def reusable_socket(local: str, port: int) -> socket.socket:
    """A socket bound to a local address and port that others may be bound to as well; raises OSError.

    It ends with a reset, so that its pair of ports is free again at once.
    """
    sock = socket.socket(socket.AF_INET6 if ":" in local else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "SO_REUSEPORT"):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.bind((local, port))
    except OSError:
        sock.close()
        raise
    return sock


async def _ask(local: str, port: int, server: Address) -> tuple[socket.socket, Address] | None:
    """The connection to a server, from a local port (0: any), and where the server sees it come from."""
    try:
        sock = reusable_socket(local, port)
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                return sock, await _binding(sock, server)
        except BaseException:
            sock.close()
            raise
    except (OSError, DecodeError) as error:
        logger.debug("no answer over TCP from %s port %d: %s", *server, str(error) or "in time")
        return None


async def _binding(sock: socket.socket, server: Address) -> Address:
    """What the server says; raises OSError, DecodeError. A Binding request goes over TCP as it is (RFC 8489 §6.2.2)."""
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, server)
    asking = BindingTransaction(server, loop.time(), timeout=ANSWER_TIMEOUT, reliable=True)
    await loop.sock_sendall(sock, asking.poll(loop.time()) or b"")
    deframer = Deframer()
    while not asking.done:
        data = await loop.sock_recv(sock, 4096)
        if not data:
            raise OSError("the connection ended")
        for message in deframer.feed(data):
            asking.receive(decode(message), server, loop.time())
    if asking.mapped is None:
        raise OSError(asking.error or "no address in the answer")
    return asking.mapped
