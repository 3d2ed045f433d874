"""A real nats-server on loopback, which can be stopped, and started again on its port."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator

PATIENCE = 20.0


class NatsServer:
    """One process; `arguments` go to nats-server as they are, `login` (`user:password@`) into the URL."""

    def __init__(self, *arguments: str, login: str = "", scheme: str = "nats") -> None:
        self._arguments = arguments
        self._login = login
        self._scheme = scheme
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self.port = -1

    @property
    def url(self) -> str:
        return f"{self._scheme}://{self._login}127.0.0.1:{self.port}"

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *("nats-server", "-a", "127.0.0.1", "-p", str(self.port), *self._arguments),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        stderr = self._process.stderr
        assert stderr
        async with asyncio.timeout(PATIENCE):
            while found := await stderr.readline():
                if match := re.search(rb"Listening for client connections on .*:(\d+)", found):
                    self.port = int(match[1])
                    break
            else:
                raise AssertionError("nats-server did not start")
        self._reader = asyncio.create_task(_drain(stderr))

    async def stop(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        if self._reader is not None:
            await self._reader


async def _drain(stream: asyncio.StreamReader) -> None:
    while await stream.read(65536):
        pass


@contextlib.asynccontextmanager
async def nats_server(*arguments: str, login: str = "", scheme: str = "nats") -> AsyncIterator[NatsServer]:
    server = NatsServer(*arguments, login=login, scheme=scheme)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
