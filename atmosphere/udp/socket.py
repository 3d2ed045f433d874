"""A UDP socket of the node: datagrams out without waiting, datagrams in by callback.

The socket is ours, non-blocking and read through the loop's `add_reader`: asyncio's DatagramProtocol adds 70 µs to
a small message's way, and queues without a bound where the network is slower than we are. A datagram that the kernel
does not take at once is dropped and counted, as the network itself would drop it.

Who moves much takes and gives bursts: datagrams of one size to or from one address that pass the kernel in one call
(UDP_GRO and UDP_SEGMENT of Linux). Elsewhere a burst is one datagram, and the callers need not know.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import struct
import sys
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from atmosphere.udp.options import enlarge, set_fragmentation
from atmosphere.udp.window import Buffer, Window

logger = logging.getLogger(__name__)

BUFFER_SIZE = 2 * 1024 * 1024
"""Asked of the kernel for each direction: a burst of 64 KB overflows the usual 208 KB of a slow reader."""
DRAIN = 64
"""Datagrams read per wake: enough to amortise the wake, few enough that timers and other sockets get their turn."""
MAX_DATAGRAM = 65536
BURST_DRAIN = 8 * 65536
"""Bytes of bursts read per wake, after which the others get their turn."""
LOOK_AGAIN = 8
"""Of so many wakes one looks whether a second burst is there, once such a look was in vain: at moderate rates there
hardly ever is, and looking is a tenth of what a burst costs. While it finds one, every wake looks."""
MAX_SEGMENTS = 64
MAX_BURST = 65507
"""What one UDP_SEGMENT send may hold: the datagrams, and their bytes."""

SOL_UDP, UDP_SEGMENT, UDP_GRO = 17, 103, 104
_NO_SEGMENTS = frozenset({errno.EIO, errno.ENOPROTOOPT, errno.EOPNOTSUPP})
"""How a kernel or a network card says that it sends no bursts."""
_NOT_THESE_SEGMENTS = frozenset({errno.EINVAL, errno.EMSGSIZE})
"""How it says that a segment is larger than the path's MTU, and would be fragmented."""
_NO_WAY = frozenset(
    {
        errno.ENETUNREACH,
        errno.EHOSTUNREACH,
        errno.EADDRNOTAVAIL,
        errno.ENETDOWN,
        errno.ENODEV,
        errno.EPERM,
        errno.EACCES,
        errno.EINVAL,
    }
)
"""How it says that there is no way from this socket, EINVAL that its own address is gone."""
_ANCILLARY = 64
_U16, _INT = struct.Struct("=H"), struct.Struct("=i")

Address = tuple[str, int]
Receiver = Callable[[bytes, Address], None]
BurstReceiver = Callable[[bytes, int, Address], None]
WindowReceiver = Callable[[Window, int, int, Address], None]


def _ignore(data: bytes, source: Address) -> None:
    """Stand in for a receiver until somebody assigns one."""


class UdpSocket:
    """One bound UDP socket. Assign `on_datagram(data, (host, port))`; it must not block.

    `address` and `port` are what it is bound to, `family` is 4 or 6 (an IPv6 socket is IPv6 only). Counters tell what
    happened: `sent`, `received`, `bytes_sent`, `bytes_received`; `dropped` (the kernel's buffer was full), `errors`
    (the network said no, as after an address is gone; `last_error` is the latest), `failures` of the receiver.
    `on_error(error)` is called for each error, `on_no_way()` for one that says there is no way from here.
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
        self.on_no_way: Callable[[], None] | None = None
        self.on_error: Callable[[Exception], None] | None = None
        self._sock = sock
        self._family = int(sock.family)  # the property makes an enum of it each time
        self._closed = False
        self._on_burst: BurstReceiver | None = None
        self._window: Window | None = None
        self._on_window: WindowReceiver | None = None
        self._can_burst = hasattr(sock, "sendmsg") and sys.platform == "linux"
        self._on_writable: dict[Callable[[], None], None] = {}
        self._lazy = 0
        self._receive = self._with_ancillary if sys.platform == "linux" else self._alone
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
            enlarge(sock, BUFFER_SIZE)
            if "%" in address:  # an IPv6 scope
                sock.bind(socket.getaddrinfo(address, port, family, socket.SOCK_DGRAM, 0, socket.AI_NUMERICHOST)[0][4])
            else:
                _check_literal(family, address)
                sock.bind((address, port))
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

    def set_option(self, level: int, option: int, value: int) -> bool:
        """Set a socket option; whether the system has it."""
        try:
            self._sock.setsockopt(level, option, value)
        except OSError as error:
            logger.debug("%r: option %d of %d: %s", self, option, level, error)
            return False
        return True

    @property
    def on_burst(self) -> BurstReceiver | None:
        """Gets what arrives instead of `on_datagram`, as `on_burst(data, segment, source)`.

        `data` is datagrams end to end, each `segment` bytes but the last, which may have fewer. Of an empty datagram
        both are empty.
        """
        return self._on_burst

    @on_burst.setter
    def on_burst(self, receiver: BurstReceiver | None) -> None:
        if receiver is None:
            self.read_into(None, None)
        else:
            self.read_into(
                Window(), lambda window, size, segment, source: receiver(bytes(window.view[:size]), segment, source)
            )
        self._on_burst = receiver

    def read_into(self, window: Window | None, receiver: WindowReceiver | None) -> None:
        """Read bursts into `window`, which many sockets may share, and tell `receiver(window, size, segment, source)`.

        What lies there is good until the receiver returns. None: back to `on_datagram`.
        """
        self._on_burst = None
        self._window, self._on_window = window, receiver
        if sys.platform == "linux":
            self.set_option(SOL_UDP, UDP_GRO, receiver is not None)

    def send(self, data: Buffer, destination: Address) -> None:
        """Send one datagram to (literal address, port). Never raises: what cannot be sent is counted and forgotten."""
        self._send_one(data, destination)

    def _send_one(self, data: Buffer, destination: Address) -> bool:
        """False only where the kernel's buffer was full: the same datagram may pass later."""
        if self._closed:
            return True
        try:
            # A name would make sendto ask DNS and block the loop.
            _check_literal(self._family, destination[0])
            self._sock.sendto(data, destination)
        except BlockingIOError:
            self.dropped += 1
            return False
        except (OSError, OverflowError, ValueError, TypeError) as error:
            self._note(error)
        else:
            self.sent += 1
            self.bytes_sent += len(data)
        return True

    def send_unfragmented(self, data: Buffer, destination: Address) -> None:
        """Send one datagram that nobody on its way may fragment; not at all where the system cannot promise that.

        Only for this one: what was found to fit shall still arrive when the path has become narrower, in fragments.
        """
        if not self._closed and set_fragmentation(self._sock, allowed=False):
            self._send_one(data, destination)
            set_fragmentation(self._sock, allowed=True)

    def send_burst(self, parts: Sequence[Buffer], destination: Address) -> int:
        """Send datagrams to one address, in as few calls as their sizes allow; never raises.

        How many are done with: fewer than all where the kernel's buffer was full. `dropped` counts that refusal; the
        caller may keep the rest and try again when `when_writable` says so.
        """
        done = 0
        while done < len(parts):
            count = _burst_length(parts, done)
            taken = self.send_pieces(parts[done : done + count], len(parts[done]), count, destination)
            done += taken
            if taken < count:
                break
        return done

    def send_pieces(self, pieces: Sequence[Buffer], segment: int, count: int, destination: Address) -> int:
        """The same for `count` datagrams end to end in pieces, `segment` bytes each, the last perhaps fewer."""
        if count == 1:
            return int(self._send_one(pieces[0] if len(pieces) == 1 else b"".join(pieces), destination))
        if self._can_burst and count <= MAX_SEGMENTS and segment * count <= MAX_BURST:
            taken = self._send_segments(pieces, segment, count, destination)
            if taken is not None:
                return count if taken else 0
        return self._send_split(b"".join(pieces), segment, destination)

    def _send_split(self, data: bytes, segment: int, destination: Address) -> int:
        """What is too much for one call, or cannot be sent at once."""
        most = max(1, min(MAX_SEGMENTS, MAX_BURST // segment)) if self._can_burst else 1
        done, size = 0, len(data)
        view = memoryview(data)
        while done * segment < size:
            piece = view[done * segment : (done + most) * segment]
            count = -(-len(piece) // segment)
            taken = self._send_segments((piece,), segment, count, destination) if count > 1 else None
            if taken is None:
                count, taken = 1, self._send_one(piece[:segment], destination)
            if not taken:
                break
            done += count
        return done

    def _send_segments(self, pieces: Sequence[Buffer], segment: int, count: int, destination: Address) -> bool | None:
        """One call for several datagrams; None: that does not work here, send them one by one."""
        if self._closed:
            return True
        try:
            _check_literal(self._family, destination[0])
            size = self._sock.sendmsg(pieces, ((SOL_UDP, UDP_SEGMENT, _U16.pack(segment)),), 0, destination)
        except BlockingIOError:
            self.dropped += 1
            return False
        except OSError as error:
            if error.errno in _NO_SEGMENTS | _NOT_THESE_SEGMENTS:
                logger.debug("%r: no UDP_SEGMENT: %s", self, error)
                self._can_burst = error.errno in _NOT_THESE_SEGMENTS
                return None
            self._note(error)
            return True
        except (OverflowError, ValueError, TypeError, struct.error) as error:
            self._note(error)
            return True
        self.sent += count
        self.bytes_sent += size
        return True

    def when_writable(self, callback: Callable[[], None] | None) -> None:
        """Call `callback` once, as soon as the kernel's buffer has room; None: nobody is to be called any more."""
        if self._closed:
            return
        if callback is None:
            self._loop.remove_writer(self._sock.fileno())
            self._on_writable.clear()
        else:
            self._loop.add_writer(self._sock.fileno(), self._writable)
            self._on_writable[callback] = None

    def _writable(self) -> None:
        waiting, self._on_writable = self._on_writable, {}
        self._loop.remove_writer(self._sock.fileno())
        for callback in waiting:
            callback()

    def close(self) -> None:
        """Stop reading and free the port. Further calls do nothing."""
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._sock.fileno())
        self._loop.remove_writer(self._sock.fileno())
        self._sock.close()

    def _note(self, error: Exception) -> None:
        self.errors += 1
        if type(error) is not type(self.last_error):
            logger.debug("%r: %s", self, error)
        self.last_error = error
        if self.on_error is not None:
            self.on_error(error)
        if self.on_no_way is not None and isinstance(error, OSError) and error.errno in _NO_WAY:
            self.on_no_way()

    def _readable(self) -> None:
        if self._window is not None and self._on_window is not None:
            self._read_bursts(self._window, self._on_window)
            return
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

    def _with_ancillary(self, window: Window) -> tuple[int, int, Any]:
        size, ancillary, _, source = self._sock.recvmsg_into((window.buffer,), _ANCILLARY)
        return size, _INT.unpack(ancillary[0][2])[0] if ancillary else size, source

    def _alone(self, window: Window) -> tuple[int, int, Any]:
        """The same of a system without UDP_GRO, which may have no recvmsg either: a burst is one datagram."""
        size, source = self._sock.recvfrom_into(window.buffer)
        return size, size, source

    def _read_bursts(self, window: Window, receiver: WindowReceiver) -> None:
        left = BURST_DRAIN
        self._lazy -= self._lazy > 0
        for number in range(1 if self._lazy else DRAIN):
            try:
                size, segment, source = self._receive(window)
            except (BlockingIOError, InterruptedError):
                if number == 1:
                    self._lazy = LOOK_AGAIN
                return
            except OSError as error:
                self._note(error)
                return
            self.received += -(-size // segment) if segment else 1
            self.bytes_received += size
            try:
                receiver(window, size, segment, source[:2])
            except Exception:
                self.failures += 1
                logger.exception("%r: a receiver failed", self)
            left -= size
            if self._closed or left <= 0 or self._window is not window:
                return


@lru_cache(maxsize=4096)
def _check_literal(family: int, host: str) -> None:
    """OSError for what is not a literal address of `family`."""
    socket.inet_pton(family, host.partition("%")[0])


def _burst_length(parts: Sequence[Buffer], start: int) -> int:
    """How many of `parts` from `start` on are of one size, the last perhaps smaller but not empty."""
    size = len(parts[start])
    for place in range(start + 1, len(parts)):
        if len(parts[place]) != size or not size:
            return place - start + (0 < len(parts[place]) < size)
    return len(parts) - start
