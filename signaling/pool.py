"""Several meeting places (signaling servers, MQTT brokers) as one: what is sent goes to all that are connected, what
comes twice is seen once.

Messages are the same when sender, id *and* payload are: a hostile server that delivers other bytes under a message's id
cannot make the true copy from another server look like a repetition.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import itertools
import logging
import ssl
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from signaling.auth import Signer, id_of
from signaling.errors import SignalingError
from signaling.mailbox import RecentIds
from signaling.model import Health, Message, State, new_message_id
from signaling.place import Place, Places
from signaling.turn_credentials import TurnServer
from signaling.url import normalize

logger = logging.getLogger(__name__)

REMEMBERED = 4096
REMEMBERED_SECONDS = 300.0
MAX_WORKING = 256
"""Requests under way at once, over all servers; more are not accepted."""

Request = Callable[[Place], Awaitable[Any]]


class SignalingPool:
    """A node's connections to all its servers; assign the callbacks, `add` servers, `close` it.

    `on_message(Message)`, `on_turn(list of TurnServer)` with the credentials of all servers, `on_state(url, state)`.
    """

    def __init__(self, signer: Signer, *, ssl_context: ssl.SSLContext | None = None) -> None:
        self.id = id_of(signer.public_key)
        self.on_message: Callable[[Message], None] = _ignore
        self.on_turn: Callable[[list[TurnServer]], None] = _ignore
        self.on_state: Callable[[str, State], None] = _ignore
        self._places = Places(signer, ssl_context)
        self._clients: dict[str, Place] = {}
        self._topics: dict[str, None] = {}
        self._seen = RecentIds(REMEMBERED, REMEMBERED_SECONDS)
        self._working: set[asyncio.Task[bool]] = set()
        self._leaving: set[asyncio.Task[None]] = set()

    # Servers

    @property
    def urls(self) -> list[str]:
        """The servers in use, in the order in which they were added."""
        return list(self._clients)

    @property
    def connected(self) -> list[str]:
        """Those of them that are connected now."""
        return [url for url, client in self._clients.items() if client.state == "connected"]

    @property
    def turn(self) -> list[TurnServer]:
        """The TURN servers that the connected servers offer, each once; the first of each, then the second of each, so
        that none crowds out the others."""
        offered: list[TurnServer] = []
        for servers in itertools.zip_longest(*(client.turn for client in self._clients.values())):
            offered += [server for server in servers if server is not None and server not in offered]
        return offered

    @property
    def health(self) -> list[Health]:
        """How each server is doing."""
        return [client.health for client in self._clients.values()]

    def add(self, url: str) -> str:
        """Use one more server, from now on; its URL in its one form, without a password. Raises InvalidURL."""
        name = normalize(url)
        if name not in self._clients:
            client = self._places.make(url)
            client.on_message = self._take_message
            client.on_turn = lambda _: self.on_turn(self.turn)
            client.on_state = lambda state: self.on_state(name, state)
            client.start()
            self._clients[name] = client
            for topic in self._topics:
                self._begin(client, functools.partial(_subscribe, topic))
        return name

    async def remove(self, url: str) -> None:
        """Leave a server; nothing happens when it is not in use."""
        client = self._clients.pop(normalize(url), None)
        if client is not None:
            await client.close()

    def leave(self, url: str) -> None:
        """Leave a server as `remove` does, without waiting for its goodbye, which is a round trip away."""
        client = self._clients.pop(normalize(url), None)
        if client is not None:
            task = asyncio.get_running_loop().create_task(client.close(), name="signaling pool: leave")
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    def hurry(self) -> None:
        """The network changed: no server is waited for any longer, and none is believed to be well unasked."""
        for client in self._clients.values():
            client.hurry()

    async def close(self) -> None:
        """Leave all servers."""
        for task in self._working:
            task.cancel()
        clients = list(self._clients.values())
        self._clients.clear()
        ending = [*(client.close() for client in clients), *self._working, *self._leaving]
        await asyncio.gather(*ending, return_exceptions=True)

    async def wait_connected(self, timeout: float) -> bool:
        """Whether at least one server is connected within `timeout` seconds."""
        return await self._any(self._clients.values(), lambda client: client.wait_connected(timeout))

    # Messages

    async def send(
        self, to: str, payload: bytes, *, ttl: float = 30.0, message_id: str | None = None, timeout: float = 10.0
    ) -> bool:
        """Send to one node through every server; True as soon as one has delivered or queued it, False when none did.

        While no server is connected it waits for one, up to `timeout` seconds.
        """
        name = message_id or new_message_id()
        return await self._any(
            self._targets(), lambda client: client.send(to, payload, ttl=ttl, message_id=name, timeout=timeout)
        )

    async def publish(
        self, topic: str, payload: bytes, *, message_id: str | None = None, timeout: float = 10.0
    ) -> bool:
        """Publish through every server; True as soon as one has done so."""
        name = message_id or new_message_id()
        return await self._any(
            self._targets(), lambda client: client.publish(topic, payload, message_id=name, timeout=timeout)
        )

    async def subscribe(self, topic: str, *, timeout: float = 10.0) -> bool:
        """Get what is published to `topic` on any server, also on those added later; True once one has agreed."""
        self._topics[topic] = None
        return await self._any(self._clients.values(), lambda client: client.subscribe(topic, timeout=timeout))

    async def unsubscribe(self, topic: str) -> None:
        """Get no more of `topic`; returns as soon as one server has agreed."""
        self._topics.pop(topic, None)
        await self._any(self._clients.values(), lambda client: client.unsubscribe(topic))

    def _targets(self) -> Iterable[Place]:
        clients = list(self._clients.values())
        return [client for client in clients if client.state == "connected"] or clients

    def _take_message(self, message: Message) -> None:
        digest = hashlib.sha256(message.payload).hexdigest()
        key = (message.sender, message.id, message.topic or "", digest)
        if self._seen.add(key, asyncio.get_running_loop().time()):
            self.on_message(message)

    # Requests that go on at several servers at once

    async def _any(self, clients: Iterable[Place], request: Request) -> bool:
        """Whether one of the clients' requests succeeds; the others go on, each has its own end."""
        pending = {task for task in [self._begin(client, request) for client in clients] if task is not None}
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            if any(not task.cancelled() and task.result() for task in done):
                return True
        return False

    def _begin(self, client: Place, request: Request) -> asyncio.Task[bool] | None:
        if len(self._working) >= MAX_WORKING:
            return None
        task = asyncio.get_running_loop().create_task(_succeeds(client, request), name="signaling pool: request")
        self._working.add(task)
        task.add_done_callback(self._working.discard)
        return task


async def _subscribe(topic: str, client: Place) -> None:
    await client.subscribe(topic)


async def _succeeds(client: Place, request: Request) -> bool:
    try:
        await request(client)
    except SignalingError as error:
        logger.info("%s", error)
        return False
    return True


def _ignore(*_: object) -> None:
    """Stand in for a callback that nobody assigned."""
