"""One connection to NATS: subjects in, subjects out, for ever; all that knows nats-py (extra `cluster`).

Nothing waits for NATS: what cannot be sent is dropped and counted, and its receivers notice the gap. The URLs and what
the library says of them may hold a password and are never logged.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from signaling.errors import SignalingError

if TYPE_CHECKING:
    from nats.aio.client import Client

logger = logging.getLogger(__name__)

RETRY = 1.0
CONNECT_TIMEOUT = 2
PING_INTERVAL = 2
MAX_WAITING = 16 * 1024 * 1024
"""Bytes that may wait to be written to NATS."""

SCHEMES = ("nats", "tls", "ws", "wss")


class ClusterError(SignalingError):
    """The cluster cannot be used as it was asked for; the message is one line and holds no password."""


def require_nats() -> Any:
    """The library; raises ClusterError where it is not installed."""
    try:
        import nats
    except ImportError:
        raise ClusterError("a cluster needs nats-py: pip install 'atmosphere-mesh[cluster]'") from None
    return nats


def servers_of(text: str) -> tuple[str, ...]:
    """The URLs in a list separated by commas; raises ClusterError."""
    servers = tuple(url.strip() for url in text.split(",") if url.strip())
    for number, url in enumerate(servers, 1):
        try:
            parts = urlsplit(url)
            fine = parts.scheme in SCHEMES and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            fine = False
        if not fine:
            raise ClusterError(f"cluster URL {number} is none of NATS; write nats://HOST[:PORT] or tls://HOST[:PORT]")
    if not servers:
        raise ClusterError("the cluster has no URL; write nats://HOST[:PORT]")
    return servers


class NatsLink:
    """Subscribed to `subjects` whenever it is connected; each message's bytes go to `on_message`."""

    def __init__(
        self,
        servers: Sequence[str],
        subjects: Sequence[str],
        on_message: Callable[[bytes], None],
        credentials: Path | None = None,
    ) -> None:
        self._servers = list(servers)
        self._subjects = tuple(subjects)
        self._on_message = on_message
        self._credentials = credentials
        self._client: Client | None = None
        self._outgoing: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
        self._waiting = 0
        self._tasks: list[asyncio.Task[None]] = []
        self.dropped = 0

    def start(self) -> None:
        """Begin to connect; raises ClusterError without nats-py or the credentials."""
        nats = require_nats()
        if self._credentials is not None:
            _check_credentials(self._credentials)
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self._connect(nats), name="signaling: nats"),
            loop.create_task(self._write(), name="signaling: nats writer"),
        ]

    async def stop(self) -> None:
        """Write what waits, if that takes no time, and go."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RETRY):
                await self._outgoing.join()
                if self._client is not None and self._client.is_connected:
                    await self._client.flush()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._client is not None:
            await self._client.close()

    @property
    def is_connected(self) -> bool:
        """Whether NATS is there now."""
        return self._client is not None and self._client.is_connected

    def publish(self, subject: str, data: bytes) -> None:
        """Send, or drop when there is no NATS or too much waits for it."""
        if not self.is_connected or self._waiting + len(data) > MAX_WAITING:
            self.dropped += 1
            return
        self._waiting += len(data)
        self._outgoing.put_nowait((subject, data))

    async def _write(self) -> None:
        while True:
            subject, data = await self._outgoing.get()
            self._waiting -= len(data)
            try:
                if self._client is not None and self._client.is_connected:
                    await self._client.publish(subject, data)
                else:
                    self.dropped += 1
            except Exception as error:  # the library has many; the receivers notice that something is missing
                self.dropped += 1
                logger.debug("NATS took no message: %s", type(error).__name__)
            finally:
                self._outgoing.task_done()

    async def _connect(self, nats: Any) -> None:
        """Connect for the first time; from then on the library reconnects by itself."""
        told = False
        while True:
            try:
                self._client = await nats.connect(**self._options())
                break
            except Exception as error:
                if not told:
                    logger.warning("NATS cannot be reached (%s); serving alone until it can", type(error).__name__)
                told = True
            await asyncio.sleep(RETRY)
        for subject in self._subjects:
            await self._client.subscribe(subject, cb=self._take)
        logger.info("connected to NATS")

    def _options(self) -> dict[str, Any]:
        options: dict[str, Any] = {
            "servers": self._servers,
            "name": "atmosphere-signaling",
            "connect_timeout": CONNECT_TIMEOUT,
            "reconnect_time_wait": RETRY / 2,
            "max_reconnect_attempts": -1,
            "ping_interval": PING_INTERVAL,
            "error_cb": self._on_error,
            "disconnected_cb": self._on_disconnected,
            "reconnected_cb": self._on_reconnected,
        }
        if self._credentials is not None:
            options["user_credentials"] = str(self._credentials)
        return options

    async def _take(self, message: Any) -> None:
        try:
            self._on_message(message.data)
        except Exception:  # one message must not end the subscription
            logger.exception("a message of the cluster failed")

    async def _on_error(self, error: Exception) -> None:
        logger.debug("NATS: %s", type(error).__name__)

    async def _on_disconnected(self) -> None:
        logger.warning("NATS is gone; serving alone")

    async def _on_reconnected(self) -> None:
        logger.info("connected to NATS again")


def _check_credentials(path: Path) -> None:
    try:
        path.read_bytes()
    except OSError as error:
        raise ClusterError(f"the cluster's credentials cannot be read from {path}: {error.strerror}") from None
    try:
        import nkeys  # noqa: F401 (nats-py signs with it)
    except ImportError:
        raise ClusterError("--cluster-creds needs nkeys: pip install nkeys") from None
