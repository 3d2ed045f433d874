"""The signaling servers and MQTT brokers that this node waits at; the TURN servers that they lend go to servers.py."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

from atmosphere.errors import DecodeError
from atmosphere.identity import Identity
from atmosphere.mesh.info import ServerInfo
from atmosphere.mesh.listeners import NodeSettings
from signaling import SignalingError, SignalingPool
from signaling.model import Message
from signaling.turn_credentials import TurnServer as LentServer
from signaling.url import normalize

logger = logging.getLogger(__name__)

SEND_TIMEOUT = 3.0
"""Seconds to wait for a server to take a signal; a later repetition goes to whoever is connected by then."""

MAX_LEARNED = 8
"""Servers taken over from join codes and other members, beside our own."""


class Meeting:
    """Our place at several servers at once; what they bring goes to `on_payload(source, payload)`."""

    def __init__(self, identity: Identity, settings: NodeSettings, lent: Callable[[list[LentServer]], None]) -> None:
        self._settings = settings
        self._pool = SignalingPool(identity)
        self._pool.on_message = self._message
        self._pool.on_turn = lent
        self._pool.on_state = self._state_changed
        self._configured: list[str] = []
        self._learned: list[str] = []
        self._visited: list[str] = []
        self._borrowed: Counter[str] = Counter()
        self._own = ""
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

    def visit(self, urls: Iterable[str]) -> None:
        """Wait at these members' own servers too, and no more at those visited before."""
        kept = (*self._configured, *self._learned, self._own)
        wanted = [url for url in _usable_urls(urls) if url not in kept]
        former, self._visited = self._visited, [self._pool.add(url) for url in wanted]
        self._leave_unwanted(former)

    def code_servers(self) -> list[str]:
        """The servers for a join code: if there are none but members' own, those where we are now."""
        return self.public_servers() or [url for url in self._pool.connected if url in self._visited]

    @asynccontextmanager
    async def also_at(self, urls: Iterable[str]) -> AsyncIterator[None]:
        """Use these servers too for as long as the context lasts."""
        borrowed = [self._pool.add(url) for url in _usable_urls(urls)]
        self._borrowed.update(borrowed)
        try:
            yield
        finally:
            self._borrowed -= Counter(borrowed)
            self._leave_unwanted(borrowed)

    def _leave_unwanted(self, urls: Iterable[str]) -> None:
        """Leave those of these servers that nothing needs any more."""
        needed = {*self._configured, *self._learned, *self._visited, *self._borrowed, self._own}
        for url in urls:
            if url not in needed:
                self._pool.leave(url)

    async def send(self, to: str, payload: bytes, ttl: float) -> bool:
        """Leave `payload` for `to` at every server; whether one took it."""
        return await self._pool.send(to, payload, ttl=ttl, timeout=SEND_TIMEOUT)

    def servers(self) -> list[ServerInfo]:
        """How each server does, our own left out and those of members that we do not get to: nobody asked for these."""
        return [
            ServerInfo(health.uri, health.ok, health.rtt_ms, health.error)
            for health in self._pool.health
            if health.uri != self._own and (health.ok or health.uri not in self._visited)
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

    def hurry(self) -> None:
        """The network changed: try every server at once."""
        self._pool.hurry()

    async def close(self) -> None:
        """Leave every server."""
        await self._pool.close()


def _usable_urls(urls: Iterable[str]) -> list[str]:
    """Each URL in its one form; those that are none are left out."""
    found = []
    for url in urls:
        try:
            found.append(normalize(url))
        except SignalingError as error:
            logger.info("a signaling server was not used: %s", error)
    return list(dict.fromkeys(found))
