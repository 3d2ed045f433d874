"""The signaling servers that this node waits at, and the TURN servers that they lend."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

from atmosphere.errors import DecodeError
from atmosphere.ice.endpoint import IceEndpoint
from atmosphere.ice.settings import TurnServer
from atmosphere.identity import Identity
from atmosphere.mesh.info import ServerInfo
from atmosphere.mesh.listeners import NodeSettings
from atmosphere.turn.uri import parse_turn
from signaling import SignalingError, SignalingPool
from signaling.model import Message
from signaling.turn_credentials import TurnServer as LentServer
from signaling.url import normalize

logger = logging.getLogger(__name__)

SEND_TIMEOUT = 3.0
"""Seconds to wait for a server to take a signal; a later repetition goes to whoever is connected by then."""

MAX_LEARNED = 8
"""Servers taken over from join codes and other members, beside our own."""

MAX_LENT = 8
LENT_PAUSE = 5.0
"""How many lent TURN servers are used, and seconds until others take their place: whoever lends may be hostile, and
each costs sockets and questions to an address of its choice."""


class Meeting:
    """Our place at several servers at once; what they bring goes to `on_payload(source, payload)`."""

    def __init__(self, identity: Identity, settings: NodeSettings, endpoint: IceEndpoint) -> None:
        self._settings = settings
        self._endpoint = endpoint
        self._pool = SignalingPool(identity)
        self._pool.on_message = self._message
        self._pool.on_turn = self._turn_lent
        self._pool.on_state = self._state_changed
        self._configured: list[str] = []
        self._learned: list[str] = []
        self._own = ""
        self._lent: list[TurnServer] = []
        self._using: list[TurnServer] = []
        self._pausing: asyncio.TimerHandle | None = None
        self.on_payload: Callable[[str, bytes], None] = lambda source, payload: None
        self.on_news: Callable[[], None] = lambda: None

    def start(self, port: int, learned: Iterable[str]) -> None:
        """Wait at the configured servers, at those learned before, and at our own; raises DecodeError for a configured
        URL that is none."""
        try:
            self._configured = [self._pool.add(url) for url in self._settings.signaling]
        except SignalingError as error:
            raise DecodeError(str(error)) from error
        self._own = self._pool.add(self._own_url(port))
        self.learn(learned)

    def _own_url(self, port: int) -> str:
        address = self._settings.host[0] if self._settings.host else "127.0.0.1"
        return f"ws://[{address}]:{port}" if ":" in address else f"ws://{address}:{port}"

    def learn(self, urls: Iterable[str]) -> None:
        """Wait at these servers too, as far as there is room."""
        for url in _usable_urls(urls):
            known = url in (*self._learned, *self._configured, self._own)
            if not known and len(self._learned) < MAX_LEARNED:
                self._learned.append(self._pool.add(url))

    @property
    def learned(self) -> list[str]:
        """The servers that were learned, to be remembered."""
        return list(self._learned)

    def public_servers(self) -> list[str]:
        """The servers that others may use to reach us."""
        return [*self._configured, *self._learned]

    @asynccontextmanager
    async def also_at(self, urls: Iterable[str]) -> AsyncIterator[None]:
        """Use these servers too for as long as the context lasts."""
        before = set(self._pool.urls)
        added = [self._pool.add(url) for url in _usable_urls(urls) if url not in before]
        try:
            yield
        finally:
            for url in added:
                if url not in self._learned:
                    self._pool.leave(url)

    async def send(self, to: str, payload: bytes, ttl: float) -> bool:
        """Leave `payload` for `to` at every server; whether one took it."""
        return await self._pool.send(to, payload, ttl=ttl, timeout=SEND_TIMEOUT)

    def servers(self) -> list[ServerInfo]:
        """How each server does, our own left out."""
        return [
            ServerInfo(health.uri, health.ok, health.rtt_ms, health.error)
            for health in self._pool.health
            if health.uri != self._own
        ]

    def failures(self, urls: Iterable[str]) -> list[str]:
        """Which of these servers cannot be used, each with the reason."""
        wanted = _usable_urls(urls)
        return [f"{one.uri}: {one.error or 'no answer'}" for one in self.servers() if not one.ok and one.uri in wanted]

    def _message(self, message: Message) -> None:
        self.on_payload(message.sender, message.payload)

    def _state_changed(self, url: str, state: str) -> None:
        if state == "connected":
            self.on_news()

    def _turn_lent(self, servers: Iterable[LentServer]) -> None:
        """A server lent us TURN credentials: they take the place of those it lent before."""
        self._lent = usable(servers)
        if self._pausing is None:
            self._use_lent()

    def _use_lent(self) -> None:
        """Use what is lent now; and again after a pause, if it has changed by then."""
        self._pausing = None
        if self._lent != self._using:
            self._using = self._lent
            self._endpoint.set_servers(self._settings.stun_uris, (*self._settings.turn_servers, *self._lent))
            self._pausing = asyncio.get_running_loop().call_later(LENT_PAUSE, self._use_lent)

    async def close(self) -> None:
        """Leave every server."""
        await self._pool.close()
        if self._pausing is not None:
            self._pausing.cancel()


def _usable_urls(urls: Iterable[str]) -> list[str]:
    """Each URL in its one form; those that are none are left out."""
    found = []
    for url in urls:
        try:
            found.append(normalize(url))
        except SignalingError as error:
            logger.info("a signaling server was not used: %s", error)
    return list(dict.fromkeys(found))


def usable(servers: Iterable[LentServer]) -> list[TurnServer]:
    """The lent servers that make sense, the first address of each before the second of any, at most 8."""
    lent: list[TurnServer] = []
    for addresses in itertools.zip_longest(*([(uri, server) for uri in server.uris] for server in servers)):
        for uri, server in filter(None, addresses):
            try:
                lent.append(parse_turn(uri, username=server.username, password=server.password))
            except DecodeError as error:
                logger.debug("a signaling server lent a TURN server that cannot be used: %s", error)
    return lent[:MAX_LENT]
