"""The commands' side of the control socket; plain blocking calls, so that a command needs no event loop."""

from __future__ import annotations

import contextlib
import shlex
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from atmosphere.cli import failures
from atmosphere.cli.control import messages, place
from atmosphere.cli.state import default_home
from atmosphere.errors import DecodeError, NotRunning, Unreachable

ANSWER_TIMEOUT = 30.0
"""Seconds that a node may take over an ordinary request."""


def not_running(home: Path) -> NotRunning:
    """The error for a home without a running node."""
    return NotRunning(f"no node is running for {home}", hint=start_command(home))


def start_command(home: Path) -> str:
    """What starts the node of `home`."""
    named = "" if home == default_home() else f" --home {shlex.quote(str(home))}"
    return f"atmosphere{named} serve --detach"


class ControlClient:
    """One connection to the running node: one request."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._lines = connection.makefile("rb")

    @classmethod
    def connect(cls, home: Path) -> ControlClient:
        """Connect to the node of `home`; raises NotRunning."""
        path = place.locate(home)
        if path is None:
            raise not_running(home)
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(5.0)
            connection.connect(str(path))
        except TimeoutError as error:
            connection.close()
            raise Unreachable(f"the node of {home} does not answer on its control socket") from error
        except (FileNotFoundError, ConnectionRefusedError) as error:
            connection.close()
            raise not_running(home) from error
        except OSError:
            connection.close()
            raise
        return cls(connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; a request that still runs is cancelled."""
        with contextlib.suppress(OSError):
            self._lines.close()
        self._socket.close()

    def call(
        self,
        request: messages.Request,
        progress: Callable[[Any], None] | None = None,
        *,
        timeout: float | None = ANSWER_TIMEOUT,
    ) -> Any:
        """The result of `request`, its progress handed to `progress`; raises the error that the node raised.

        `timeout` is the longest silence, in seconds.
        """
        for reply in self.replies(request, timeout=timeout):
            if isinstance(reply, messages.Progress):
                if progress is not None:
                    progress(reply.data)
            else:
                return reply.data
        raise AssertionError

    def replies(
        self, request: messages.Request, *, timeout: float | None = None
    ) -> Iterator[messages.Progress | messages.Done]:
        """Every reply to `request`, the result last; raises the error that the node raised."""
        self._socket.settimeout(timeout)
        line = _encoded(request)
        with contextlib.suppress(BrokenPipeError):  # the reason, if any, is in what it still sent
            self._socket.sendall(line)
        while True:
            reply = messages.decode_reply(self._line())
            if isinstance(reply, messages.Failed):
                raise failures.error_of(reply.kind, reply.message, hint=reply.hint, reason=reply.reason)
            yield reply
            if isinstance(reply, messages.Done):
                return

    def _line(self) -> bytes:
        try:
            line = self._lines.readline(messages.MAX_REPLY)
        except TimeoutError as error:
            raise Unreachable("the node does not answer", hint="atmosphere stop, then atmosphere serve") from error
        except ConnectionError:
            line = b""
        if not line.endswith(b"\n"):
            raise NotRunning("the node ended before it answered", hint="atmosphere serve --detach")
        return line


def _encoded(request: messages.Request) -> bytes:
    """The request's line; DecodeError where an argument was no text, or too much of it."""
    try:
        line = messages.encode(request)
    except UnicodeEncodeError as error:
        raise DecodeError("an argument is not UTF-8 text") from error
    if len(line) > messages.MAX_REQUEST:
        raise DecodeError("too many arguments at once", hint="name a folder, or send them in several goes")
    return line


def call(home: Path, request: messages.Request, **arguments: Any) -> Any:
    """Connect, call, close: the result of `request`."""
    with ControlClient.connect(home) as client:
        return client.call(request, **arguments)
