"""A UDP socket of the node: datagrams out without waiting, datagrams in by callback.

The socket is ours, non-blocking and read through the loop's `add_reader`: asyncio's DatagramProtocol adds 70 µs to
a small message's way, and queues without a bound where the network is slower than we are. A datagram that the kernel
does not take at once is dropped and counted, as the network itself would drop it.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable

logger = logging.getLogger(__name__)

BUFFER_SIZE = 2 * 1024 * 1024
"""Asked of the kernel for each direction: a burst of 64 KB overflows the usual 208 KB of a slow reader."""
DRAIN = 64
"""Datagrams read per wake: enough to amortise the wake, few enough that timers and other sockets get their turn."""
MAX_DATAGRAM = 65536

Address = tuple[str, int]
Receiver = Callable[[bytes, Address], None]


def _ignore(data: bytes, source: Address) -> None:
    """Stand in for a receiver until somebody assigns one."""


class UdpSocket:
    """One bound UDP socket. Assign `on_datagram(data, (host, port))`; it must not block.

    `address` and `port` are what it is bound to, `family` is 4 or 6 (an IPv6 socket is IPv6 only). Counters tell what
    happened: `sent`, `received`, `bytes_sent`, `bytes_received`; `dropped` (the kernel's buffer was full), `errors`
    (the network said no, as after an address is gone; `last_error` is the latest), `failures` of the receiver.
    """

    def __init__(self, sock: socket.socket) -> None:
        """Take over a bound, non-blocking socket (see `bind`); needs a running loop."""
        self.on_datagram: Receiver = _ignore
        self.family = 6 if sock.family == socket.AF_INET6 else 4
        name = sock.getsockname()
        self.address: str = name[0]
        self.port: int = name[1]
        self.sent = self.received = self.bytes_sent = self.bytes_received = 0
        self.dropped = self.errors = self.failures = 0
        self.last_error: Exception | None = None
        self._sock = sock
        self._closed = False
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock.fileno(), self._readable)

    @classmethod
    def bind(cls, address: str, port: int = 0) -> UdpSocket:
        """A socket on a local address (a literal, IPv4 or IPv6); port 0 takes a free one. Raises OSError."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
                sock.setsockopt(socket.SOL_SOCKET, option, BUFFER_SIZE)
            sock.bind(socket.getaddrinfo(address, port, family, socket.SOCK_DGRAM, 0, socket.AI_NUMERICHOST)[0][4])
            if family == socket.AF_INET:  # multicast leaves by this address's interface, not by the first one
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(sock.getsockname()[0]))
            return cls(sock)
        except BaseException:
            sock.close()
            raise

    def __repr__(self) -> str:
        return f"UdpSocket({self.address!r}, {self.port})"

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def fileno(self) -> int:
        """The file descriptor, -1 after `close`."""
        return self._sock.fileno()

    def send(self, data: bytes, destination: Address) -> None:
        """Send one datagram to (literal address, port). Never raises: what cannot be sent is counted and forgotten."""
        if self._closed:
            return
        try:
            # A name would make sendto ask DNS and block the loop; inet_pton lets literals through and nothing else.
            socket.inet_pton(self._sock.family, destination[0].partition("%")[0])
            self._sock.sendto(data, destination)
        except BlockingIOError:
            self.dropped += 1
        except (OSError, OverflowError, ValueError, TypeError) as error:
            self._note(error)
        else:
            self.sent += 1
            self.bytes_sent += len(data)

    def close(self) -> None:
        """Stop reading and free the port. Further calls do nothing."""
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._sock.fileno())
        self._sock.close()

    def _note(self, error: Exception) -> None:
        self.errors += 1
        if type(error) is not type(self.last_error):
            logger.debug("%r: %s", self, error)
        self.last_error = error

    def _readable(self) -> None:
        for _ in range(DRAIN):
            try:
                data, source = self._sock.recvfrom(MAX_DATAGRAM)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                # An ICMP answer to something sent earlier (ECONNREFUSED, ECONNRESET on Windows): reading clears it.
                self._note(error)
                return
            self.received += 1
            self.bytes_received += len(data)
            try:
                self.on_datagram(data, (source[0], source[1]))
            except Exception:
                # One datagram must not take the node down, whatever a receiver does with it.
                self.failures += 1
                logger.exception("%r: a receiver failed", self)
            if self._closed:
                return
