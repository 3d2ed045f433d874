"""A bare hole punch, to prove that the laboratory's routers allow what theory says they allow.

    python puncher.py LOCAL_PORT REMOTE_ADDRESS REMOTE_PORT [SECONDS]

Sends a packet every 50 ms and prints the address of the first one that comes back, as JSON (null when none does).
"""

from __future__ import annotations

import json
import socket
import sys
import time


def punch(local_port: int, remote: tuple[str, int], seconds: float) -> tuple[str, int] | None:
    """The address the first packet came from, or None after `seconds`."""
    family = socket.AF_INET6 if ":" in remote[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.bind(("", local_port))
        sock.settimeout(0.05)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            sock.sendto(b"knock", remote)
            try:
                _, (address, port, *_) = sock.recvfrom(64)
            except (TimeoutError, ConnectionError):
                continue
            for _ in range(5):  # the other side may still be waiting for its first
                sock.sendto(b"knock", (address, port))
            return address, port
    return None


if __name__ == "__main__":
    print(
        json.dumps(
            punch(int(sys.argv[1]), (sys.argv[2], int(sys.argv[3])), float(sys.argv[4]) if len(sys.argv) > 4 else 5.0)
        )
    )
