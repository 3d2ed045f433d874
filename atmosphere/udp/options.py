"""Socket options that Python has no names for, and what a system without them does instead."""

from __future__ import annotations

import contextlib
import socket
import sys

_FORCED = {int(socket.SO_SNDBUF): 32, int(socket.SO_RCVBUF): 33}
"""SO_SNDBUFFORCE and SO_RCVBUFFORCE of Linux, which need CAP_NET_ADMIN."""
MTU_DISCOVER = {4: (socket.IPPROTO_IP, 10), 6: (socket.IPPROTO_IPV6, 23)}
"""Level and option (IP_MTU_DISCOVER, IPV6_MTU_DISCOVER of Linux) by family."""
_WANT, _PROBE = 1, 3
"""Fragment what is larger than the path's MTU, as far as the kernel knows it; never fragment, and know nothing."""


def enlarge(sock: socket.socket, size: int) -> None:
    """Ask for buffers of `size` bytes in both directions, beyond the system's limit where we are allowed to."""
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        if sys.platform == "linux":
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, _FORCED[option], size)
                continue
        sock.setsockopt(socket.SOL_SOCKET, option, size)


def set_fragmentation(sock: socket.socket, *, allowed: bool) -> bool:
    """Whether what is sent from now on may be fragmented, here and on its way; False where that cannot be chosen."""
    if sys.platform != "linux":
        return False
    level, option = MTU_DISCOVER[6 if sock.family == socket.AF_INET6 else 4]
    try:
        sock.setsockopt(level, option, _WANT if allowed else _PROBE)
    except OSError:
        return False
    return True
