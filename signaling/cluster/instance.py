"""An instance's place in a cluster joined by NATS: the clock and the connection around ClusterHub.

Everything is said on two subjects below the cluster's name: `NAME.all` and `NAME.to.INSTANCE`; what is said within one
turn of the loop travels in one frame. An instance has joined while it hears its own signs of life come back, so a NATS
that is connected but carries nothing counts as gone.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from signaling.cluster.hub import ClusterHub
from signaling.cluster.nats_link import ClusterError, NatsLink
from signaling.cluster.wire import MAX_EVENTS, PROTOCOL, AnyEvent, Frame, Used, decode_frame, encode_frame, weight
from signaling.errors import DecodeError
from signaling.hub import Delivery
from signaling.metrics import Metrics
from signaling.settings import Settings

logger = logging.getLogger(__name__)

TICK = 0.1
FRAME_BYTES = 256 * 1024
"""An outgoing frame is closed when it is about this long; NATS takes 1 MB unless told otherwise."""

USED_PAUSE = 1.0
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")


@dataclass(frozen=True)
class ClusterSettings:
    """Which NATS, and what of it: `servers` are its URLs, `credentials` a .creds file; times in seconds."""

    servers: tuple[str, ...] = field(repr=False)
    name: str = "atmosphere"
    """All instances of one cluster have the same; several clusters may share a NATS."""

    credentials: Path | None = None
    dead_after: float = 2.5
    """An instance that was silent for so long is dead."""

    keepalive: float = 4.0
    """How often clients are told to see whether we live, since they have somewhere else to go."""

    def __post_init__(self) -> None:
        if not _NAME.match(self.name):
            raise ClusterError("a cluster's name is 1 to 64 letters, digits, - or _")


class Cluster:
    """One instance: `hub` is its hub; `start` it, `stop` it, once each.

    `deliver` is handed what other instances, or time, cause to be sent to nodes here; `used` takes what addresses used
    elsewhere, and `take_used` gives what they used here.
    """

    def __init__(
        self,
        settings: ClusterSettings,
        server_settings: Settings,
        metrics: Metrics,
        is_member: Callable[[str], bool] | None = None,
        *,
        deliver: Callable[[Iterable[Delivery]], None],
        used: Callable[[Used, float], None],
        take_used: Callable[[], list[Used]],
    ) -> None:
        self.settings = settings
        self.instance = secrets.token_hex(8)
        self._echo = self.instance.encode()
        """Where a frame has its sender's name: our own frames, which come back, are not decoded."""
        self._metrics = metrics
        self._deliver = deliver
        self._take_used = take_used
        self.hub = ClusterHub(
            server_settings,
            metrics,
            is_member,
            own=self.instance,
            speak=self._speak,
            dead_after=settings.dead_after,
            unix_offset=time.time() - time.monotonic(),  # the loop's clock is the monotonic one
            used=used,
        )
        subjects = (self._subject(None), self._subject(self.instance))
        self._link = NatsLink(settings.servers, subjects, self._hear, settings.credentials)
        self._outgoing: dict[str | None, list[AnyEvent]] = {}
        self._seq = 0
        self._heard_self = float("-inf")
        self._used_at = 0.0
        self.joined = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; NATS need not be there. Raises ClusterError where it never can be."""
        self._link.start()
        self._task = asyncio.get_running_loop().create_task(self._tick_for_ever(), name="signaling: cluster")

    async def stop(self, within: float) -> None:
        """See to it that other instances have a copy of every message here, for `within` seconds at most, and go."""
        if self._task is not None:
            await self._hand_over(within)
            self._task.cancel()
            await asyncio.wait([self._task])
            self.hub.say_bye()
            self._flush()
        await self._link.stop()

    async def _hand_over(self, within: float) -> None:
        self.hub.leave()
        try:
            async with asyncio.timeout(within):
                while self.joined and self.hub.directory.live and self.hub.copies.single:  # noqa: ASYNC110 (by `_tick`)
                    await asyncio.sleep(TICK / 2)
        except TimeoutError:
            logger.warning("%d messages could not be handed over", self.hub.copies.single)

    def gauges(self) -> dict[str, float]:
        """What it knows of itself, by names in metrics.py."""
        return {
            "cluster_joined": int(self.joined),
            "cluster_instances": 1 + len(self.hub.directory.live),
            "cluster_nodes": len(self.hub.directory),
            "cluster_copies": len(self.hub.copies),
            "cluster_copies_unsettled": self.hub.copies.unsettled,
            "cluster_frames_dropped": self._link.dropped,
        }

    # Out

    def _subject(self, instance: str | None) -> str:
        return f"{self.settings.name}.all" if instance is None else f"{self.settings.name}.to.{instance}"

    def _speak(self, instance: str | None, event: AnyEvent) -> None:
        if not self._outgoing:
            asyncio.get_running_loop().call_soon(self._flush)
        self._outgoing.setdefault(instance, []).append(event)

    def _flush(self) -> None:
        outgoing, self._outgoing = self._outgoing, {}
        for instance, events in outgoing.items():
            for part in _parts(events):
                self._publish(instance, part)

    def _publish(self, instance: str | None, events: list[AnyEvent]) -> None:
        if instance is None:
            self._seq += 1
        frame = Frame(PROTOCOL, self.instance, self._seq if instance is None else 0, events)
        self._metrics.count("cluster_frames_sent_total")
        self._link.publish(self._subject(instance), encode_frame(frame))

    # In

    def _hear(self, data: bytes) -> None:
        now = asyncio.get_running_loop().time()
        if data[3:19] == self._echo:
            self._heard_self = self.hub.directory.attended
            return
        self._metrics.count("cluster_frames_received_total")
        try:
            frame = decode_frame(data)
        except DecodeError as error:
            level = logging.DEBUG if self._metrics["cluster_frames_malformed_total"] else logging.WARNING
            logger.log(level, "an unreadable frame in the cluster: %s", str(error)[:200])
            self._metrics.count("cluster_frames_malformed_total")
            return
        self._deliver(self.hub.hear(frame, now))

    # Time

    async def _tick_for_ever(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                self._tick(loop.time())
            except Exception:  # the instance must go on
                logger.exception("the cluster's tick failed")
            await asyncio.sleep(TICK)

    def _tick(self, now: float) -> None:
        silent = self.hub.directory.attended - self._heard_self
        joined = self._link.is_connected and silent < self.settings.dead_after
        if joined != self.joined:
            self.joined = joined
            if joined:
                logger.info("joined the cluster")
            else:
                logger.warning("alone: the cluster cannot be heard")
        self._deliver(self.hub.tick(now))
        if now - self._used_at >= USED_PAUSE:
            self._used_at = now
            for used in self._take_used():
                self._speak(None, used)


def _parts(events: list[AnyEvent]) -> Iterable[list[AnyEvent]]:
    """The events in frames that are not too long."""
    part: list[AnyEvent] = []
    size = 0
    for event in events:
        size += weight(event)
        if part and (size > FRAME_BYTES or len(part) >= MAX_EVENTS):
            yield part
            part, size = [], weight(event)
        part.append(event)
    if part:
        yield part
