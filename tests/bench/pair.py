"""Two worker processes of one stack, as the one who measures sees them."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from tests.bench.end import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
AIOLIBDATACHANNEL = ROOT / ".aiolibdatachannel" / "bin" / "python"
_BENCH = ROOT / "tests" / "bench"
_PROGRAMS = {
    "libdatachannel": ("node", str(_BENCH / "libdatachannel_end.mjs")),
    "aiolibdatachannel": (str(AIOLIBDATACHANNEL), str(_BENCH / "aiolibdatachannel_end.py")),
}
"""Workers that are not ours."""


class Failed(Exception):
    """A worker could not do what it was asked."""


class Worker:
    """One worker process, at `address` (loopback, if nothing is said), started by the command `prefix`."""

    def __init__(
        self, stack: str, prefix: Sequence[str] = (), address: str = "", environment: Mapping[str, str] | None = None
    ) -> None:
        self._stack = stack
        self._prefix = prefix
        self._environment = os.environ | ({"BENCH_ADDRESS": address} if address else {}) | dict(environment or {})
        self._process: asyncio.subprocess.Process

    async def start(self) -> None:
        pipe = asyncio.subprocess.PIPE
        program = _PROGRAMS.get(self._stack, (sys.executable, "-m", "tests.bench.worker", self._stack))
        self._process = await asyncio.create_subprocess_exec(
            *self._prefix, *program, stdin=pipe, stdout=pipe, cwd=ROOT, limit=1 << 24, env=self._environment
        )

    async def ask(self, end: str, call: str, *arguments: Any) -> Any:
        """What the worker answers; Failed if it could not, or took more than a minute."""
        if self._process.stdin is None or self._process.stdout is None:
            raise AssertionError("started with pipes")
        self._process.stdin.write(json.dumps({"end": end, "call": call, "with": arguments}).encode() + b"\n")
        async with asyncio.timeout(PATIENCE):
            line = await self._process.stdout.readline()
        answer = json.loads(line) if line else {"error": "the process ended"}
        if "error" in answer:
            raise Failed(f"{self._stack}: {call}: {answer['error']}")
        return answer["result"]

    async def stop(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(10):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


class Pair:
    """A host process and a dialer process; `async with` starts and stops them."""

    def __init__(self, stack: str, host: Worker | None = None, dialer: Worker | None = None) -> None:
        self.stack = stack
        self.host = host or Worker(stack)
        self.dialer = dialer or Worker(stack)

    async def __aenter__(self) -> Self:
        await asyncio.gather(self.host.start(), self.dialer.start())
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(self.dialer.stop(), self.host.stop())

    async def connect(self, host: str, dialer: str) -> float:
        """Connect these two ends; seconds from the dialer's beginning to its first byte back."""
        needed = await self.host.ask(host, "prepare")
        said = await self.dialer.ask(dialer, "dial", needed)
        answered = await self.host.ask(host, "respond", said)
        return float(await self.dialer.ask(dialer, "finish", answered))

    async def close(self, host: str, dialer: str) -> None:
        """Close these two ends."""
        await self.dialer.ask(dialer, "close")
        await self.host.ask(host, "close")

    async def both(self, call: str) -> float:
        """The sum of what both processes say about themselves."""
        return float(await self.host.ask("", call)) + float(await self.dialer.ask("", call))
