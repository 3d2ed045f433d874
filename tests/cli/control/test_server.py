"""Requests over a real socket: results, progress, errors, and clients that misbehave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from atmosphere.cli.control import messages
from atmosphere.cli.control.server import ControlServer, Report
from atmosphere.errors import CodeError, NotRunning, Unreachable


class Scripted:
    """A handler that does what the peer's name says."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def __call__(self, request: messages.Request, report: Report) -> Any:
        self.started.set()
        if isinstance(request, messages.Join):
            raise CodeError("no", reason="used", hint="ask again")
        if isinstance(request, messages.Status):
            raise ValueError("a bug")
        if isinstance(request, messages.Peers):
            raise FileNotFoundError(2, "No such file", "/x")
        if isinstance(request, messages.Watch):
            try:
                await asyncio.Event().wait()
            finally:
                self.cancelled.set()
        await report(1)
        report.soon(2)
        return "done"


@pytest.fixture
async def script() -> Scripted:
    return Scripted()


@pytest.fixture
async def server(home: Path, script: Scripted) -> AsyncIterator[ControlServer]:
    control = ControlServer(home, script)
    await control.start()
    yield control
    await control.close()


async def ask(home: Path, line: bytes) -> list[messages.Reply]:
    reader, writer = await asyncio.open_unix_connection(str(home / "control.sock"))
    writer.write(line)
    async with asyncio.timeout(5):
        lines = (await reader.read()).splitlines()
    writer.close()
    await writer.wait_closed()
    return [messages.decode_reply(line) for line in lines]


async def test_progress_then_result(home: Path, server: ControlServer) -> None:
    replies = await ask(home, messages.encode(messages.Invite()))
    assert replies == [messages.Progress(1), messages.Progress(2), messages.Done("done")]


async def test_errors_travel(home: Path, server: ControlServer) -> None:
    assert await ask(home, messages.encode(messages.Join("x"))) == [messages.Failed("code", "no", "ask again", "used")]
    [missing] = await ask(home, messages.encode(messages.Peers()))
    assert isinstance(missing, messages.Failed)
    assert missing.message == "No such file: /x"


async def test_a_bug_is_one_clear_error(home: Path, server: ControlServer, caplog: pytest.LogCaptureFixture) -> None:
    [reply] = await ask(home, messages.encode(messages.Status()))
    assert isinstance(reply, messages.Failed)
    assert "ValueError" in reply.message
    assert "a bug" in caplog.text


@pytest.mark.parametrize("line", [b"garbage\n", b"\n", b"x" * (messages.MAX_REQUEST + 2)])
async def test_garbage_is_refused(home: Path, server: ControlServer, line: bytes) -> None:
    [reply] = await ask(home, line)
    assert isinstance(reply, messages.Failed)
    assert reply.kind == "decode"


async def test_a_client_that_goes_cancels(home: Path, server: ControlServer, script: Scripted) -> None:
    _, writer = await asyncio.open_unix_connection(str(home / "control.sock"))
    writer.write(messages.encode(messages.Watch()))
    await asyncio.wait_for(script.started.wait(), 5)
    writer.close()
    await writer.wait_closed()
    await asyncio.wait_for(script.cancelled.wait(), 5)


async def test_close_cancels_and_removes(home: Path, server: ControlServer, script: Scripted) -> None:
    _, writer = await asyncio.open_unix_connection(str(home / "control.sock"))
    writer.write(messages.encode(messages.Watch()))
    await asyncio.wait_for(script.started.wait(), 5)
    await server.close()
    assert script.cancelled.is_set()
    assert not (home / "control.sock").exists()
    writer.close()


async def test_too_many_connections(home: Path, server: ControlServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atmosphere.cli.control.server.MAX_CONNECTIONS", 0)
    with pytest.raises((ConnectionError, AssertionError, IndexError)):
        assert (await ask(home, messages.encode(messages.Invite())))[0]


def test_a_node_that_hangs(home: Path) -> None:
    from atmosphere.cli.control import client, place

    bound, _ = place.bind(home)
    with bound:
        bound.listen()
        with pytest.raises(Unreachable, match="does not answer"):
            client.call(home, messages.Invite(), timeout=0.01)


def test_something_else_in_its_place(home: Path) -> None:
    from atmosphere.cli.control import client

    (home / "control.sock").mkdir()
    with pytest.raises(NotRunning):
        client.call(home, messages.Invite())


def test_a_node_that_ends_early(home: Path) -> None:
    import threading

    from atmosphere.cli.control import client, place

    bound, _ = place.bind(home)
    bound.listen()

    def answer() -> None:
        connection, _ = bound.accept()
        connection.recv(4096)
        connection.sendall(b'{"reply":"pro')
        connection.close()

    thread = threading.Thread(target=answer)
    thread.start()
    with pytest.raises(NotRunning, match="ended before"):
        client.call(home, messages.Invite())
    thread.join(5)
    bound.close()
    with pytest.raises(NotRunning, match="no node is running"):
        client.call(home, messages.Invite())
