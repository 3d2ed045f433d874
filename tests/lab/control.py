"""Orders to a running program of the laboratory: one JSON object a datagram over a Unix socket, each one answered."""

from __future__ import annotations

import json
import os
import socket
import tempfile
from pathlib import Path
from typing import Any

LONGEST = 65_000


class Control:
    """The program's side: a socket to select on, and the orders that came."""

    def __init__(self, path: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.socket.setblocking(False)
        self._asking = ""

    def order(self) -> dict[str, Any] | None:
        """The next order; None when there is none for now. Each must be followed by `answer`."""
        try:
            data, self._asking = self.socket.recvfrom(LONGEST)
        except BlockingIOError:
            return None
        order = json.loads(data)
        assert isinstance(order, dict)
        return order

    def answer(self, value: object) -> None:
        """Tell who asked that it is done."""
        self.socket.sendto(json.dumps(value).encode(), self._asking)


def ask(path: Path, order: dict[str, Any], timeout: float = 5.0) -> Any:
    """Send an order and wait until it is done; what the program answered. TimeoutError when it does not."""
    with tempfile.TemporaryDirectory(prefix="ask-") as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(os.path.join(folder, "reply"))
        sock.settimeout(timeout)
        sock.sendto(json.dumps(order).encode(), str(path))
        return json.loads(sock.recv(LONGEST))
