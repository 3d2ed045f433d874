"""What a worker can be asked about one end of one connection, whichever stack is under it."""

from __future__ import annotations

import asyncio
import itertools
import math
import os
import random
from collections.abc import Iterator
from typing import Protocol

BLOCK = random.Random(7).randbytes(64 * 1024)
"""What throughput is measured with, again and again; the receiver compares every byte."""
_LONG = BLOCK * 17
SMALL = bytes(100)
"""What latency is measured with."""
PATIENCE = 60.0
ADDRESS = os.environ.get("BENCH_ADDRESS", "127.0.0.1")
"""Where this end is: loopback alone, unless somebody put the process elsewhere."""


class End(Protocol):
    """One end. The four steps of connecting carry text between the ends, as a person or a server would."""

    async def prepare(self) -> str:
        """Host: be there, and the text that the dialer needs."""

    async def dial(self, text: str) -> str:
        """Dialer: begin; the clock of the set-up starts here. The text that the host needs."""

    async def respond(self, text: str) -> str:
        """Host: answer the dialer."""

    async def finish(self, text: str) -> float:
        """Dialer: be connected and have a byte come back; seconds since `dial`."""

    async def reconnect(self) -> float:
        """Dialer: go away (off the clock) and come back; seconds until a byte came back."""

    async def throughput(self, kind: str, seconds: float, size: int = len(BLOCK)) -> tuple[float, float]:
        """Dialer: send `pieces` of `size` bytes (a BLOCK, if nothing is said) by `kind` stream or channel.

        MB a second that arrived at the host, and MB in all.
        """

    async def echo(self, kind: str, count: int) -> list[float]:
        """Dialer: microseconds of each of `count` round trips of SMALL, one at a time."""

    async def close(self) -> None:
        """Leave."""


def pieces(size: int) -> Iterator[bytes]:
    """BLOCK after BLOCK without end, cut into pieces of `size` bytes, at most sixteen BLOCKs each."""
    cycle = math.lcm(size, len(BLOCK)) // size
    return itertools.cycle([_LONG[place : place + size] for place in (n * size % len(BLOCK) for n in range(cycle))])


class Sink:
    """Takes what `throughput` sends and compares every byte."""

    def __init__(self) -> None:
        self.bytes = 0
        self._twice = BLOCK * 2

    def take(self, data: bytes) -> None:
        """Count `data`, which goes on where the last ended; ValueError if it is not what was sent."""
        for start in range(0, len(data), len(BLOCK)):
            part, offset = data[start : start + len(BLOCK)], self.bytes % len(BLOCK)
            if part != self._twice[offset : offset + len(part)]:
                raise ValueError(f"bytes from {self.bytes} on arrived changed")
            self.bytes += len(part)


def now() -> float:
    """The loop's clock in seconds."""
    return asyncio.get_running_loop().time()
