"""Streams and channels of peers find their handlers, and a handler's fault stays its own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from atmosphere.channels.channel import Channel
from atmosphere.channels.stream import Stream
from atmosphere.errors import LinkError
from atmosphere.mesh import handlers as module
from atmosphere.mesh.handlers import Handlers
from atmosphere.mesh.peer import Peer


class FakePeer:
    name = "laptop"


class Arrival:
    """A stream or a channel, as far as handlers see it."""

    def __init__(self, name: str = "echo") -> None:
        self.name = self.label = name
        self.peer: Any = None
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def reset(self, reason: str = "") -> None:
        self.ended.set_result(f"reset: {reason}")

    async def close(self) -> None:
        if not self.ended.done():
            self.ended.set_result("closed")

    async def end(self) -> str:
        return await asyncio.wait_for(self.ended, 5)


PEER = cast("Peer", FakePeer())


@pytest.fixture
async def handlers() -> AsyncIterator[Handlers]:
    made = Handlers()
    yield made
    await made.close()


def stream(handlers: Handlers, name: str = "echo") -> Arrival:
    arrival = Arrival(name)
    handlers.stream_arrived(PEER, cast("Stream", arrival))
    return arrival


def channel(handlers: Handlers, label: str = "echo") -> Arrival:
    arrival = Arrival(label)
    handlers.channel_arrived(PEER, cast("Channel", arrival))
    return arrival


async def fine(arrival: Any) -> None:
    assert arrival.peer is PEER


async def broken(arrival: Any) -> None:
    raise RuntimeError("a bug of the application")


async def cut(arrival: Any) -> None:
    raise LinkError("the peer went away")


async def test_a_stream_is_closed_after_its_handler(handlers: Handlers) -> None:
    handlers.on_stream("echo", broken)
    handlers.on_stream("echo", fine)
    assert await stream(handlers).end() == "closed"


async def test_a_stream_whose_handler_fails_is_reset(handlers: Handlers, caplog: pytest.LogCaptureFixture) -> None:
    handlers.on_stream("echo", broken)
    assert await stream(handlers).end() == "reset: the handler failed"
    assert "a bug of the application" in caplog.text


async def test_the_end_of_the_link_is_no_bug(handlers: Handlers, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    handlers.on_stream("echo", cut)
    handlers.on_channel("echo", cut)
    stream(handlers)
    assert await channel(handlers).end() == "closed"
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert caplog.text.count("the peer went away") == 2


async def test_a_channel_is_closed_however_its_handler_ends(handlers: Handlers) -> None:
    handlers.on_channel("fine", fine)
    handlers.on_channel("broken", broken)
    assert await channel(handlers, "fine").end() == "closed"
    assert await channel(handlers, "broken").end() == "closed"


async def test_nobody_handles_it(handlers: Handlers) -> None:
    assert await stream(handlers).end() == "reset: nobody handles this stream"
    assert await channel(handlers).end() == "closed"


async def test_there_are_only_so_many_at_once(handlers: Handlers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_RUNNING", 1)

    async def for_ever(arrival: Any) -> None:
        await asyncio.Event().wait()

    handlers.on_stream("echo", for_ever)
    handlers.on_channel("echo", for_ever)
    first = stream(handlers)
    assert await stream(handlers).end() == "reset: nobody handles this stream"
    assert await channel(handlers).end() == "closed"
    assert not first.ended.done()
