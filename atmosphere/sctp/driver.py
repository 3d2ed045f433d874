"""Runs the pure association on the loop: its bursts are sent, its events told, and it is woken at its deadlines.

Bursts are handled strictly one after another, also when a callback makes us send and the path answers at once.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from typing import Any

from atmosphere.sctp.association import Association
from atmosphere.sctp.build import Burst
from atmosphere.sctp.interface import AssociationEvents, ChannelOptions
from atmosphere.sctp.report import report

logger = logging.getLogger(__name__)

MAX_WAITING = 1024
ROUNDS = 16
"""Bursts that are sent before others get their turn of the loop."""
LOUD_ERRORS = 10
EARLY = 0.0005
"""Seconds by which a timer of the loop may be early."""


class SctpAssociation:
    """The `Association` of sctp/interface.py; see there for what each call means.

    `send(burst, segment)` moves packets; `blocked()` says that no more can be taken now: then `resume` is to be called.
    `send_probe(packet)` moves one that must not be fragmented; without it larger packets are not looked for.
    """

    def __init__(
        self,
        *,
        client: bool,
        send: Callable[[bytes, int], None],
        events: AssociationEvents,
        first_id: int = 0,
        blocked: Callable[[], bool] = lambda: False,
        send_probe: Callable[[bytes], None] | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._core = Association(client=client, random=os.urandom, first_id=first_id)
        self._events = events
        self._send = send
        self._blocked = blocked
        self._send_probe = send_probe
        self._waiting: list[Burst] = []  # an empty deque would cost each link 760 bytes
        self._busy = False
        self._timer: asyncio.TimerHandle | None = None
        self._due_at = 0.0
        self._soon: asyncio.Handle | None = None
        self.contained = 0
        """Errors in the handling of a packet, or in a callback, that were kept from doing harm."""

    # -- what it is

    @property
    def established(self) -> bool:
        """Whether messages flow."""
        return self._core.established

    @property
    def queued(self) -> int:
        """Bytes of all channels that were not yet sent."""
        return self._core.queue.buffered

    @property
    def outstanding(self) -> bool:
        """Whether anything was sent, or waits to be, that the peer has not acknowledged."""
        return self._core.outstanding

    @property
    def answer_time(self) -> float | None:
        """Seconds that an acknowledgement takes, at most as a rule; None before that was measured."""
        sender = self._core.sender
        if sender is None or sender.recovery.smoothed is None:
            return None
        return sender.recovery.smoothed + 4 * sender.recovery.variation

    def buffered(self, handle: int) -> int:
        """Bytes of one channel that were not yet sent; 0 for a channel that is gone."""
        return self._core.queue.buffered_of(handle)

    def dump(self) -> dict[str, Any]:
        """The state in short, for whoever looks into a stall."""
        return report(self._core) | {"contained": self.contained}

    # -- what it is asked

    def start(self) -> None:
        """Begin the handshake (both sides do)."""
        self._core.start(self._loop.time())
        self._flush()

    def presume(self, secret: bytes) -> None:
        """Stand at once: both sides know `secret`, and that the other does this too."""
        self._core.presume(secret, search=self._send_probe is not None)
        self._run()

    def receive(self, data: bytes, segment: int) -> None:
        """Take packets end to end, `segment` bytes each but the last. Never raises."""
        if len(self._waiting) < MAX_WAITING:
            self._waiting.append((data, segment))
        if not self._busy:
            self._busy = True
            try:
                self._take()
                self._tell()
            finally:
                self._busy = False
        # What is said to it leaves a turn of the loop later, one answer to all that this turn brings.
        self._flush_soon()

    def open(self, options: ChannelOptions, negotiated_id: int | None = None) -> int:
        """Open a channel and return its handle; messages may be sent at once. ValueError if no id is free."""
        if self._core.over:
            raise ValueError("the association is closed")
        handle = self._core.channels.open(options, negotiated_id)
        if negotiated_id is None:
            self._flush_soon()
        else:
            # The caller gets the handle first, what came before it a turn of the loop later.
            self._loop.call_soon(self._deliver_early, handle)
        return handle

    def send(self, handle: int, data: bytes | str) -> None:
        """Queue a message. ValueError if it is too large or the channel is not open."""
        self._core.channels.send(handle, data, self._loop.time())
        # Alone on the link it leaves at once; what follows in the same turn of the loop shares packets.
        if self._core.sender is not None and not self._core.sender.flight and not self._busy and self._soon is None:
            self._flush()
        else:
            self._flush_soon()

    def close(self, handle: int, *, discard: bool = False) -> None:
        """Close a channel once what is queued is sent (or, with `discard`, without it)."""
        self._core.channels.close(handle, discard=discard)
        self._flush_soon()

    def read(self, unread: int) -> None:
        """So many bytes that were told have not been read: the peer's window is that much smaller."""
        self._core.read(unread)
        self._flush_soon()

    def kick(self) -> None:
        """Send again now whatever is unacknowledged: the path has just changed."""
        self._core.kick(self._loop.time())
        self._flush()

    def probe(self) -> None:
        """Send something that is unacknowledged once more, so that the peer says something."""
        self._core.probe()
        self._flush()

    def resume(self) -> None:
        """The path takes packets again."""
        self._flush()

    def shutdown(self) -> None:
        """End once everything sent has arrived."""
        self._core.shutdown()
        self._flush()

    def abort(self, reason: str) -> None:
        """End at once and tell the peer why."""
        self._core.abort(reason)
        # The last words go out now, also from within a callback: whoever aborts closes the path next.
        for data, segment in self._core.transmit(self._loop.time()):
            self._send(data, segment)
        self._flush()

    # -- inside

    def _run(self) -> None:
        """Take what has come, tell what happened, send what may be sent."""
        if self._busy:
            self._flush_soon()
            return
        self._busy = True
        try:
            self._take()
            self._tell()
            now = self._loop.time()
            self._transmit(now)
            self._probe(now)
            self._tell()
        finally:
            self._busy = False
        self._arm()

    def _take(self) -> None:
        while self._waiting:
            data, segment = self._waiting.pop(0)
            self._guard(self._core.receive, data, segment, self._loop.time())

    def _tell(self) -> None:
        told = self._core.told
        while told:
            happened, told[:] = told[:], []
            for name, arguments in happened:
                self._guard(getattr(self._events, name), *arguments)

    def _transmit(self, now: float) -> None:
        for _ in range(ROUNDS):
            if self._blocked():
                return
            bursts = self._core.transmit(now)
            if not bursts:
                return
            for data, segment in bursts:
                self._send(data, segment)
            if not self._core.queue:
                return
        self._flush_soon()

    def _probe(self, now: float) -> None:
        if self._send_probe is not None and (probe := self._core.probe_path(now)):
            self._send_probe(probe)

    def _flush(self) -> None:
        self._run()

    def _flush_soon(self) -> None:
        if self._soon is None:
            self._soon = self._loop.call_soon(self._flush_later)

    def _flush_later(self) -> None:
        self._soon = None
        self._run()

    def _deliver_early(self, handle: int) -> None:
        self._core.channels.deliver_early(handle)
        self._run()

    def _arm(self) -> None:
        if self._waiting:
            self._flush_soon()
        deadline = self._core.deadline()
        if deadline is not None and (self._timer is None or deadline < self._due_at):
            if self._timer is not None:
                self._timer.cancel()
            self._timer, self._due_at = self._loop.call_at(deadline, self._due), deadline
        # A timer that is early finds nothing to do, which is cheaper than to arm it anew for every packet.

    def _due(self) -> None:
        self._timer = None
        deadline = self._core.deadline()
        if deadline is None or deadline > self._loop.time() + EARLY:
            self._arm()
            return
        self._guard(self._core.handle_timer, self._loop.time())
        self._run()

    def _guard(self, call: Callable[..., None], *arguments: Any) -> None:
        """Keep an error in one callback or one packet from everything else."""
        try:
            call(*arguments)
        except Exception:  # a hostile packet or a faulty handler must not end the association
            self.contained += 1
            level = logging.WARNING if self.contained <= LOUD_ERRORS else logging.DEBUG
            logger.log(level, "an error was contained", exc_info=True)
