"""A node in the foreground of a process: started, served over the control socket, ended by a signal or by `stop`."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import logging
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import msgspec

from atmosphere.cli.control.server import ControlServer
from atmosphere.cli.daemon.faces import NodeFace
from atmosphere.cli.daemon.handlers import Handlers
from atmosphere.cli.daemon.options import NodeOptions, Ready
from atmosphere.cli.daemon.services import register
from atmosphere.errors import AtmosphereError

logger = logging.getLogger(__name__)

Maker = Callable[[Path, NodeOptions], NodeFace]
Announce = Callable[[Ready], None]
First = Callable[[Handlers], Awaitable[None]]


class Daemon:
    """One node and its control socket; `run` lasts until a signal or a `stop` ends it."""

    def __init__(self, home: Path, options: NodeOptions, make: Maker) -> None:
        self._home = home
        self._options = options
        self._make = make
        self._stopping = asyncio.Event()
        self._stopped = asyncio.Event()
        self._interrupt: Callable[[], object] | None = None

    def stop(self) -> None:
        """Begin to end; a start that is under way is given up."""
        self._stopping.set()
        if self._interrupt is not None:
            self._interrupt()

    async def stopped(self) -> None:
        """Wait until the node has left its mesh's links and its home."""
        await self._stopped.wait()

    async def run(self, announce: Announce, first: First | None = None) -> None:
        """Start, tell `announce`, do `first`, and last; raises what kept the node from starting or `first` from it."""
        with signals(self.stop):
            node = await self._started()
            if node is None:
                return
            handlers = Handlers(node, self._options, self)
            control = ControlServer(self._home, handlers)
            try:
                await control.start()
                announce(_ready(node))
                if first is not None:
                    await first(handlers)
                await self._stopping.wait()
            finally:
                await _end(node)
                self._stopped.set()
                await control.close()

    async def _started(self) -> NodeFace | None:
        """The node, listening; None when a signal came first."""
        starting = asyncio.current_task()
        self._interrupt = starting.cancel if starting else None
        try:
            return await self._start()
        except asyncio.CancelledError:
            if not self._stopping.is_set():
                raise
            return None
        finally:
            self._interrupt = None

    async def _start(self) -> NodeFace:
        if self._options.host is not None:
            _check_host(self._options.host)
        try:
            return await self._start_on(self._options)
        except (OSError, AtmosphereError) as error:
            if not _port_taken(error):
                raise
            if not self._options.any_port:
                hint = "stop the other program, or choose another port with --port"
                raise AtmosphereError(f"port {self._options.port} is already in use", hint=hint) from error
        logger.warning("port %d is in use; taking a free one", self._options.port)
        return await self._start_on(msgspec.structs.replace(self._options, port=0))

    async def _start_on(self, options: NodeOptions) -> NodeFace:
        node = self._make(self._home, options)
        register(node, options.inbox_of(self._home))
        try:
            await node.start()
        except asyncio.CancelledError:
            await node.stop()
            raise
        return node


def _check_host(host: str) -> None:
    """Refuse an address that this machine does not have."""
    try:
        family = socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((host, 0))
    except (ValueError, OSError) as error:
        raise AtmosphereError(f"{host} is no address of this machine", hint="atmosphere network") from error


def _port_taken(error: BaseException | None) -> bool:
    """Whether `error`, or what it came from, is the system's "address in use"."""
    while error is not None:
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            return True
        error = error.__cause__
    return False


async def _end(node: NodeFace) -> None:
    try:
        async with asyncio.timeout(15.0):
            await node.stop()
    except TimeoutError:
        logger.warning("the node took too long to stop; ending anyway")


def _ready(node: NodeFace) -> Ready:
    status = node.status()
    mesh = status.mesh
    return Ready(
        id=status.node.id,
        name=status.node.name,
        mesh_id=mesh.id if mesh else None,
        mesh_name=mesh.name if mesh else None,
        port=status.port,
        addresses=status.addresses,
        pid=os.getpid(),
    )


@contextlib.contextmanager
def signals(stop: Callable[[], None]) -> Iterator[None]:
    """SIGTERM, SIGINT and SIGHUP call `stop` while this lasts; SIGHUP stays ignored where nohup ignores it."""
    loop = asyncio.get_running_loop()
    caught = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        caught.append(signal.SIGHUP)
    for number in caught:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in caught:
            loop.remove_signal_handler(number)


def serve(home: Path, options: NodeOptions, announce: Announce, first: First | None = None) -> None:
    """Run the node of `home` until a signal or `stop`; raises what kept it from starting, or `first` from ending."""
    from atmosphere.cli.daemon.options import make_node

    async def main() -> None:
        await Daemon(home, options, make_node).run(announce, first)

    asyncio.run(main())
