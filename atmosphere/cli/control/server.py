"""The node's side of the control socket: one request a connection, its progress, its result."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from atmosphere.cli import failures
from atmosphere.cli.control import messages, place
from atmosphere.errors import AtmosphereError, CodeError, DecodeError
from atmosphere.tasks import Tasks

logger = logging.getLogger(__name__)

MAX_CONNECTIONS = 64
REQUEST_TIMEOUT = 10.0
LAST_WORDS = 0.5
"""Seconds that requests get to end by themselves once the node has stopped."""

SOON_LIMIT = 256 * 1024
"""Bytes waiting for a slow client above which `Report.soon` leaves a line out."""


class Report:
    """What a handler tells its client on the way."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    async def __call__(self, data: Any) -> None:
        """Send `data` as progress; waits while the client does not read."""
        self._writer.write(messages.encode(messages.Progress(data)))
        await self._writer.drain()

    def soon(self, data: Any) -> None:
        """Send `data` without waiting; left out when the client lags far behind."""
        if self._writer.transport.get_write_buffer_size() < SOON_LIMIT:
            self._writer.write(messages.encode(messages.Progress(data)))


Handler = Callable[[messages.Request, Report], Awaitable[Any]]
"""Does what a request says and returns its result, or raises an AtmosphereError."""


class ControlServer:
    """Listens on the home's control socket and hands each request to `handler`."""

    def __init__(self, home: Path, handler: Handler) -> None:
        self._home = home
        self._handler = handler
        self._tasks = Tasks("control")
        self._server: asyncio.Server | None = None
        self._conversations: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        """Listen. The caller holds the home's lock, so an old socket is a dead node's."""
        listening, path = place.bind(self._home)
        self._server = await asyncio.start_unix_server(self._connected, sock=listening, limit=messages.MAX_REQUEST)
        logger.debug("control socket at %s", path)

    async def close(self) -> None:
        """Stop listening, let answers that are ready leave, cancel what still runs, remove the socket."""
        if self._server is None:
            return
        self._server.close()
        place.forget(self._home)
        if self._conversations:
            await asyncio.wait(self._conversations, timeout=LAST_WORDS)
        await self._tasks.close()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._conversations) >= MAX_CONNECTIONS or not _same_user(writer.get_extra_info("socket")):
            logger.warning("a control connection was refused")
            writer.transport.abort()
            return
        task = self._tasks.spawn(self._converse(reader, writer), "connection")
        if task is None:
            writer.transport.abort()
            return
        self._conversations.add(task)
        task.add_done_callback(self._conversations.discard)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            reply = await self._answer_while_present(reader, writer)
            if reply is not None:
                writer.write(messages.encode(reply))
                await writer.drain()
        except (OSError, TimeoutError) as error:
            logger.debug("a control connection ended: %s", error)
        finally:
            writer.close()

    async def _answer_while_present(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> messages.Reply | None:
        """The reply to the client's request; None when the client went before it was ready."""
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT):
                line = await _line(reader)
            request = messages.decode_request(line)
        except DecodeError as error:
            return failed(error)
        work = self._tasks.spawn(self._answer(request, Report(writer)), type(request).__name__)
        gone = self._tasks.spawn(reader.read(1), "client's end")
        if work is None or gone is None:
            return failed(AtmosphereError("the node is stopping"))
        try:
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
            return work.result() if work.done() else None
        finally:
            work.cancel()
            gone.cancel()

    async def _answer(self, request: messages.Request, report: Report) -> messages.Reply:
        try:
            return messages.Done(await self._handler(request, report))
        except AtmosphereError as error:
            return failed(error)
        except Exception as error:  # a request that fails must not take the node with it
            if not isinstance(error, OSError):
                logger.exception("%s failed", type(request).__name__)
            return failed(failures.as_atmosphere_error(error))


async def _line(reader: asyncio.StreamReader) -> bytes:
    """One line; DecodeError when it is longer than a request may be or ends early."""
    try:
        return await reader.readuntil(b"\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise DecodeError("not a control request: no line of at most 1 MiB") from error


def failed(error: AtmosphereError) -> messages.Failed:
    """`error` as it travels over the control socket."""
    reason = error.reason if isinstance(error, CodeError) else ""
    return messages.Failed(failures.kind_of(error), str(error), error.hint, reason)


def _same_user(connection: socket.socket) -> bool:
    """Whether the other end runs as our user or as root; where the system cannot say, the socket's mode decides."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return True
    _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, option, struct.calcsize("3i")))
    return uid in (os.geteuid(), 0)
