"""One link to one peer: its ICE sessions, its data channels and, on channel 1, the mesh's control messages.

Made for every attempt, dialed or accepted; it becomes a peer's current link only after the greeting (greeting.py)
proved who is there.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from atmosphere.channels.channel import Channel
from atmosphere.channels.link import Link
from atmosphere.channels.stream import Stream
from atmosphere.errors import AtmosphereError, DecodeError, LinkError
from atmosphere.ice.events import IceEvent, IceFailed, PathSelected
from atmosphere.ice.mobility import MobilePath
from atmosphere.ice.nat import NatBehaviour
from atmosphere.ice.session import IceSession
from atmosphere.identity import Identity
from atmosphere.light import Queue
from atmosphere.mesh import wire
from atmosphere.mesh.restart import EXPORTER_BYTES, EXPORTER_LABEL, Restarts
from atmosphere.tasks import Tasks
from signaling.limits import TokenBucket

logger = logging.getLogger(__name__)

MAX_POSTED = 512
"""Control messages that may wait for a peer that does not read; one more ends the link."""

MAX_OFFERED = MAX_POSTED // 2
"""How many may wait when one more of those that can be lost is still taken."""

LOSSY = 0.1
"""A share of lost checks from which on one silence alone proves nothing."""

READ_RATE, READ_BURST = 200.0, 4000.0
"""What is read of a peer's control messages, a second and at once; more wait, until the channel's credit stops it."""

COSTS: dict[type[wire.Message | wire.Unknown], float] = dict.fromkeys(
    (wire.Digest, wire.Have, wire.Facts, wire.Contacts), 20.0
)
"""What a message counts for: up to 64 signatures are checked for one, a file is written, or all facts are listed."""


class PeerLink:
    """The path, the Link over it and the control channel; `dialed` says who began, and so who is the DTLS client.

    It begins with one ICE session and outlives it: `path` takes others.
    """

    def __init__(self, session: IceSession, identity: Identity, *, dialed: bool, invited: bool = False) -> None:
        self.path = MobilePath(session)
        self.dialed = dialed
        self.invited = invited
        self._identity = identity
        self._link: Link | None = None
        self.boot = b""
        self.version: str | None = None
        self.remote_nat: NatBehaviour | None = None
        self.connected_at: float | None = None
        self.on_believed: Callable[[], None] = lambda: None
        self.on_suspected: Callable[[], None] = lambda: None
        self.on_alarmed: Callable[[], None] = lambda: None
        self.alarmed = False
        """Whether another path should be made although this one has not been given up yet."""
        self._doubted = False
        self._silent_since = -1
        self._restarts: Restarts | None = None
        self._control: Channel | None = None
        self._posted: Queue[wire.Message] = Queue(MAX_POSTED)
        self._tasks = Tasks("link")

    def __repr__(self) -> str:
        return f"<PeerLink to {self.peer_id[:8] or '?'} {'dialed' if self.dialed else 'accepted'}>"

    @property
    def session(self) -> IceSession:
        """The ICE session in use, or the last one; another one a moment later."""
        return self.path.session

    @property
    def restarts(self) -> Restarts:
        """Knows the ICE restarts of this link; raises LinkError before there is a path."""
        if self._restarts is None:
            secret = self.link.exporter(EXPORTER_LABEL, EXPORTER_BYTES)
            self._restarts = Restarts(secret, client=self.dialed)
        return self._restarts

    @property
    def link(self) -> Link:
        """The link over the path; raises LinkError before there is a path."""
        if self._link is None:
            raise LinkError("the link is not open")
        return self._link

    @property
    def peer_id(self) -> str:
        """The node id that the DTLS handshake proved; empty before."""
        return self._link.peer_id if self._link else ""

    @property
    def alive(self) -> bool:
        """Whether a path works now, as far as ICE knows, and with the same peer at its other end as before."""
        return not self.lost and not self._doubted

    @property
    def lost(self) -> bool:
        """Whether there is no path now, as far as ICE knows."""
        return self.path.state != "connected"

    def doubt(self) -> None:
        """The path was gone and is back: until the peer answers on it, it may lead to another process."""
        self._doubted = True

    def believe(self) -> None:
        """The peer answered."""
        if self._doubted:
            self._doubted = False
            self.on_believed()

    async def open(self, timeout: float) -> None:
        """Wait for a path, do the handshakes, open the control channel; raises LinkError or Unreachable."""
        async with asyncio.timeout(timeout):
            self.path.on_event = self._path_event
            if not self.dialed:
                # Whoever has no path yet, and nothing to say, shall not cost us a link.
                await self.session.approached(timeout)
            link = self._link = Link(self.path, self._identity, client=self.dialed)
            link.flow.on_silent, link.flow.on_suspect = self._silent, self._suspect
            link.flow.on_alarm, link.flow.round_trip = self._alarm, self._round_trip
            if self.dialed:
                for datagram in link.hello():
                    self.session.send_ahead(datagram)
                await self.session.connected(timeout)
            elif self.session.selected is not None:
                link.begin()
            await link.start(timeout)
            if self.session.selected is None:  # all that was answered ahead of a path
                await self.session.connected(timeout)
            self._control = await link.open_channel("atmosphere.mesh", negotiated_id=wire.CONTROL_CHANNEL)
        self._tasks.spawn(self._send_posted(self._control), "control sender")

    def _round_trip(self) -> float | None:
        rtt, jitter = self.session.rtt_ms, self.session.jitter_ms
        return None if rtt is None else (rtt + 4 * (jitter or 0.0)) / 1000

    def _suspect(self) -> None:
        self.path.suspect()
        self.on_suspected()

    def _alarm(self) -> None:
        if not self._doubted and not self._is_lossy:
            self.alarmed = True
            self.on_alarmed()

    @property
    def _is_lossy(self) -> bool:
        return (self.session.loss or 0.0) >= LOSSY

    def _silent(self) -> None:
        """Data goes unanswered: that is the path's fault, unless the peer is doubted and being asked already.

        Where much gets lost all the answers may have been lost by chance, though not twice in a row.
        """
        heard, self._silent_since = self._silent_since, self.link.packets_received
        by_chance = self._is_lossy and heard != self._silent_since
        if not self._doubted and not by_chance:
            self.path.distrust()

    def _path_event(self, event: IceEvent) -> None:
        """What ICE says until the table of peers listens: nothing comes of a handshake whose path has ended."""
        if isinstance(event, IceFailed) and self._link is not None:
            self._link.abort(event.reason)
        elif isinstance(event, PathSelected) and self._link is not None:
            self._link.begin()

    async def receive(self) -> wire.Message:
        """The next control message that we know; raises LinkError at the end and DecodeError for what is not one."""
        while True:
            message = await self._next()
            if not isinstance(message, wire.Unknown):
                return message

    async def _next(self) -> wire.Message | wire.Unknown:
        if self._control is None:
            raise LinkError("the link is not open")
        return wire.decode(await self._control.receive())

    def post(self, message: wire.Message) -> None:
        """Send a control message in its turn; a peer that lets too many wait loses the link."""
        try:
            self._posted.put_nowait(message)
        except asyncio.QueueFull:
            if self._link is not None and not self._link.closed:
                logger.warning("%r does not read its control messages", self)
                self.abort("does not read")

    def offer(self, message: wire.Message) -> None:
        """Send a control message that may be lost; it is where many wait already."""
        if self._posted.qsize() < MAX_OFFERED:
            self.post(message)

    async def _send_posted(self, control: Channel) -> None:
        try:
            while True:
                message = await self._posted.get()
                await control.send(wire.encode(message))
                self._posted.task_done()
        except LinkError:
            logger.debug("%r: control channel ended", self)

    def verify(self) -> None:
        """The path is another one: ask something, so that silence is noticed although nobody has anything to say."""
        if not self._posted.qsize():
            self.post(wire.Ping(0))

    def run(self, handle: Callable[[PeerLink, wire.Message], None]) -> None:
        """Hand every further control message to `handle`, until the link ends."""
        self.connected_at = time.time()
        self._tasks.spawn(self._read(handle), "control reader")

    async def _read(self, handle: Callable[[PeerLink, wire.Message], None]) -> None:
        loop = asyncio.get_running_loop()
        bucket = TokenBucket(READ_RATE, READ_BURST, loop.time())
        try:
            while True:
                message = await self._next()
                delay = bucket.charge(loop.time(), COSTS.get(type(message), 1.0))
                if delay:
                    await asyncio.sleep(delay)
                if not isinstance(message, wire.Unknown):
                    self._handle(handle, message)
        except DecodeError as error:
            self.abort(f"sent something that is not a control message: {error}")
        except LinkError:
            logger.debug("%r: control channel ended", self)

    def _handle(self, handle: Callable[[PeerLink, wire.Message], None], message: wire.Message) -> None:
        try:
            handle(self, message)
        except (AtmosphereError, OSError) as error:
            # A full disk, say: this message is lost, but the next ones are heard.
            logger.warning("%r: a control message could not be handled: %s", self, error)

    def accept_streams(self, on_stream: Callable[[Stream], None], on_channel: Callable[[Channel], None]) -> None:
        """From now on the peer's streams and channels go to these, first those that came early."""
        self.link.on_stream, self.link.on_channel = on_stream, on_channel

    async def wait_closed(self) -> str:
        """Wait for the end of the link; why it ended."""
        return await self.link.wait_closed()

    async def close(self, reason: str, *, say: bool = True) -> None:
        """Say goodbye where that is possible, then end the link and its sessions; idempotent."""
        try:
            await self._say_goodbye(reason, say=say)
        finally:  # also where whoever closes is told to stop waiting
            await self.ended()

    async def _say_goodbye(self, reason: str, *, say: bool) -> None:
        if self._control is not None and self.alive:
            if say:
                self.post(wire.Bye(reason))
            try:
                async with asyncio.timeout(0.5):
                    await self._posted.join()
            except TimeoutError:
                pass
        if self._link is not None and self.lost:
            self._link.abort(reason)  # nobody can hear what is still to be sent
        elif self._link is not None:
            await self._link.close(reason)

    def abort(self, reason: str) -> None:
        """End the link at once, telling nobody."""
        if self._link is not None:
            self._link.abort(reason)
        self.path.close()

    async def ended(self) -> None:
        """Release what is left after the link ended by itself."""
        await self._tasks.close()
        self.path.close()
