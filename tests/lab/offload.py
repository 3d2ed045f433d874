"""Make a card send whole packets with checksums, as a wire carries them.

    python -m tests.lab.offload CARD

A virtual card leaves checksums and the cutting of large TCP segments to a next one that is real; a link in user space
is not. (`ethtool -K CARD tx off tso off gso off`, which is not installed everywhere.)
"""

from __future__ import annotations

import ctypes
import fcntl
import socket
import struct
import sys

SIOCETHTOOL = 0x8946
STXCSUM, STSO, SGSO = 0x17, 0x1F, 0x24  # linux/ethtool.h


def switch_off(card: str) -> None:
    """OSError when there is no such card."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for feature in (STSO, SGSO, STXCSUM):
            value = ctypes.create_string_buffer(struct.pack("II", feature, 0), 8)
            request = struct.pack("16sP16x", card.encode(), ctypes.addressof(value))
            fcntl.ioctl(sock, SIOCETHTOOL, request)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        switch_off(name)
