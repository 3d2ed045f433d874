"""The process around a node: ready, ended by stop or a signal, port taken, first work that fails."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
from pathlib import Path

import pytest

from atmosphere.cli.control import client, messages
from atmosphere.cli.daemon.handlers import Handlers
from atmosphere.cli.daemon.options import NodeOptions, Ready
from atmosphere.cli.daemon.run import Daemon
from atmosphere.errors import AtmosphereError, StateError, Unreachable
from tests.cli.fake import FakeNode


class Started:
    """A daemon around a fake node, running as a task."""

    def __init__(self, home: Path, node: FakeNode, options: NodeOptions | None = None) -> None:
        self.ready: asyncio.Future[Ready] = asyncio.get_running_loop().create_future()
        self.daemon = Daemon(home, options or NodeOptions(), lambda *_: node)
        self.node = node

    async def run(self) -> None:
        await asyncio.wait_for(self.daemon.run(self.ready.set_result), 10)


async def test_ready_then_stop(home: Path) -> None:
    node = FakeNode()
    started = Started(home, node)
    async with asyncio.TaskGroup() as group:
        group.create_task(started.run())
        ready = await started.ready
        assert ready.line() == "READY laptop (nnnnnnnn) in mesh home, listening on 192.0.2.1:7777"
        assert ready.document()["pid"] == os.getpid()
        result = await asyncio.to_thread(client.call, home, messages.Stop())
    assert result == {"stopped": {"id": node.id, "name": "laptop"}}
    assert node.asked[-1] == ("stop",)
    assert ("on_stream", "atmosphere.bench") in node.asked
    assert not (home / "control.sock").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signals_end_it_cleanly(home: Path, number: signal.Signals) -> None:
    started = Started(home, FakeNode())
    async with asyncio.TaskGroup() as group:
        group.create_task(started.run())
        await started.ready
        os.kill(os.getpid(), number)
    assert started.node.asked[-1] == ("stop",)


async def test_a_signal_during_the_start(home: Path) -> None:
    class Slow(FakeNode):
        async def start(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.Event().wait()

    started = Started(home, Slow())
    await started.run()
    assert not started.ready.done()


class Taken(FakeNode):
    """Its first start finds the port taken."""

    def __init__(self, starts: list[int], options: NodeOptions) -> None:
        super().__init__()
        self._starts, self._options = starts, options

    async def start(self) -> None:
        self._starts.append(self._options.port)
        if len(self._starts) == 1:
            raise StateError("TCP port is taken") from OSError(errno.EADDRINUSE, "in use")


async def test_port_taken(home: Path) -> None:
    daemon = Daemon(home, NodeOptions(port=7777), lambda _, options: Taken([], options))
    with pytest.raises(AtmosphereError, match="port 7777 is already in use") as raised:
        await daemon.run(lambda _: None)
    assert raised.value.hint
    assert "--port" in raised.value.hint


async def test_any_port_will_do(home: Path) -> None:
    starts: list[int] = []
    daemon = Daemon(home, NodeOptions(port=7777, any_port=True), lambda _, options: Taken(starts, options))
    await asyncio.wait_for(daemon.run(lambda _: daemon.stop()), 5)
    assert starts == [7777, 0]


@pytest.mark.parametrize("host", ["192.0.2.77", "2001:db8::77", "somewhere"])
async def test_no_such_address(home: Path, host: str) -> None:
    daemon = Daemon(home, NodeOptions(host=host), lambda *_: FakeNode())
    with pytest.raises(AtmosphereError, match=f"{host} is no address of this machine"):
        await daemon.run(lambda _: None)


async def test_first_work_that_fails_ends_it(home: Path) -> None:
    node = FakeNode()

    async def first(handlers: Handlers) -> None:
        raise Unreachable("nobody")

    with pytest.raises(Unreachable):
        await asyncio.wait_for(Daemon(home, NodeOptions(), lambda *_: node).run(lambda _: None, first), 5)
    assert node.asked[-1] == ("stop",)
