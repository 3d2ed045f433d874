"""Which of the application's handlers gets a stream or channel that a peer opens."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from atmosphere.channels.channel import Channel
from atmosphere.channels.stream import Stream
from atmosphere.errors import LinkError
from atmosphere.mesh.peer import Peer
from atmosphere.tasks import Tasks

logger = logging.getLogger(__name__)

StreamHandler = Callable[[Stream], Awaitable[Any]]
ChannelHandler = Callable[[Channel], Awaitable[Any]]

MAX_RUNNING = 1024
"""Handlers that may run at once; a peer that opens more gets its streams reset."""


class Handlers:
    """The table of handlers by stream name and channel label, and the tasks that run them."""

    def __init__(self) -> None:
        self._streams: dict[str, StreamHandler] = {}
        self._channels: dict[str, ChannelHandler] = {}
        self._tasks = Tasks("handlers")

    def on_stream(self, name: str, handler: StreamHandler) -> None:
        """Run `handler(stream)` for each stream of that name; a later handler replaces an earlier one."""
        self._streams[name] = handler

    def on_channel(self, label: str, handler: ChannelHandler) -> None:
        """Run `handler(channel)` for each channel of that label."""
        self._channels[label] = handler

    def stream_arrived(self, peer: Peer, stream: Stream) -> None:
        """A peer opened `stream`: hand it to its handler, or reset it where nobody wants it."""
        stream.peer = peer
        handler = self._streams.get(stream.name)
        if handler is None or len(self._tasks) >= MAX_RUNNING:
            logger.info("%s opened a stream %r that nobody handles", peer.name, stream.name)
            stream.reset("nobody handles this stream")
            return
        self._tasks.spawn(self._run_stream(handler, stream), f"stream {stream.name}")

    def channel_arrived(self, peer: Peer, channel: Channel) -> None:
        """A peer opened `channel`: hand it to its handler, or close it where nobody wants it."""
        channel.peer = peer
        handler = self._channels.get(channel.label)
        if handler is None or len(self._tasks) >= MAX_RUNNING:
            logger.info("%s opened a channel %r that nobody handles", peer.name, channel.label)
            self._tasks.spawn(channel.close(), "refuse")
            return
        self._tasks.spawn(self._run_channel(handler, channel), f"channel {channel.label}")

    async def _run_stream(self, handler: StreamHandler, stream: Stream) -> None:
        """Run a handler to its end; whatever it raises ends its own stream and nothing else."""
        try:
            await handler(stream)
        except LinkError as error:
            logger.info("stream %r: %s", stream.name, error)
        except Exception:
            logger.exception("the handler of stream %r failed", stream.name)
            stream.reset("the handler failed")
        else:
            await stream.close()

    async def _run_channel(self, handler: ChannelHandler, channel: Channel) -> None:
        try:
            await handler(channel)
        except LinkError as error:
            logger.info("channel %r: %s", channel.label, error)
        except Exception:
            logger.exception("the handler of channel %r failed", channel.label)
        finally:
            await channel.close()

    async def close(self) -> None:
        """Cancel every running handler."""
        await self._tasks.close()
