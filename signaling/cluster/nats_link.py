"""One connection to NATS: subjects in, subjects out, for ever; all that knows nats-py (extra `cluster`).

Nothing waits for NATS: what cannot be sent is dropped and counted, and its receivers notice the gap. The URLs and what
the library says of them may hold a password and are never logged.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
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
PING_INTERVAL = 4
"""Seconds; after the third ping without an answer the library gives the connection up, which a busy moment must not
cost. That the cluster cannot be heard is noticed sooner, by our own beats."""

MAX_WAITING = 16 * 1024 * 1024
"""Bytes that may wait to be written to NATS."""

CANCELLATIONS = 5
"""How often its tasks are cancelled: the library waits by asyncio.wait_for, which may swallow one (Python 3.11)."""

SCHEMES = ("nats", "tls", "ws", "wss")


class ClusterError(SignalingError):
    """The cluster cannot be used as it was asked for; the message is one line and holds no password."""


def require_nats() -> type[Client]:
    """The library's client; raises ClusterError where it is not installed."""
    try:
        from nats.aio.client import Client
    except ImportError:
        raise ClusterError("a cluster needs nats-py: pip install 'atmosphere-mesh[cluster]'") from None
    return Client


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
        self._told = False
        self._stopping = False
        self.dropped = 0

    def start(self) -> None:
        """Begin to connect; raises ClusterError without nats-py or the credentials."""
        made = require_nats()
        if self._credentials is not None:
            _check_credentials(self._credentials)
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self._keep_connected(made), name="signaling: nats"),
            loop.create_task(self._write(), name="signaling: nats writer"),
        ]

    async def stop(self) -> None:
        """Write what waits, if that takes no time, and go."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RETRY):
                await self._outgoing.join()
                if self._client is not None and self._client.is_connected:
                    await self._client.flush()
        self._stopping = True
        ending = set(self._tasks)
        for _ in range(CANCELLATIONS):
            for task in ending:
                task.cancel()
            if ending:
                _, ending = await asyncio.wait(ending, timeout=RETRY)

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
            except Exception as error:  # noqa: BLE001 (the library has many; the receivers notice the gap)
                self.dropped += 1
                logger.debug("NATS took no message: %s", type(error).__name__)
            finally:
                self._outgoing.task_done()

    async def _keep_connected(self, make: type[Client]) -> None:
        """The library reconnects by itself, until it takes an error for final, as it does a password; we never do."""
        while not self._stopping:
            client, closed = make(), asyncio.Event()
            self._client = client
            try:
                await client.connect(**self._options(closed))
                for subject in self._subjects:
                    await client.subscribe(subject, cb=self._take)
                await self._on_connected()
                await closed.wait()
            except Exception as error:  # noqa: BLE001 (the library has many, and all mean the same)
                await self._on_error(error)
            finally:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(RETRY):
                        await client.close()
            await asyncio.sleep(RETRY)

    def _options(self, closed: asyncio.Event) -> dict[str, Any]:
        async def on_closed() -> None:
            closed.set()

        options: dict[str, Any] = {
            "servers": self._servers,
            "name": "atmosphere-signaling",
            "connect_timeout": CONNECT_TIMEOUT,
            "reconnect_time_wait": RETRY / 2,
            "max_reconnect_attempts": -1,
            "ping_interval": PING_INTERVAL,
            "error_cb": self._on_error,
            "reconnected_cb": self._on_connected,
            "closed_cb": on_closed,
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
        """Say once what is wrong, by its kind: the text may hold a password."""
        if not self._told:
            logger.warning("NATS cannot be used (%s); serving alone until it can", type(error).__name__)
        self._told = True

    async def _on_connected(self) -> None:
        self._told = False
        logger.info("connected to NATS")


def _check_credentials(path: Path) -> None:
    try:
        path.read_bytes()
    except OSError as error:
        raise ClusterError(f"the cluster's credentials cannot be read from {path}: {error.strerror}") from None
    if importlib.util.find_spec("nkeys") is None:  # nats-py signs with it
        raise ClusterError("credentials of a cluster need nkeys: pip install nkeys")
