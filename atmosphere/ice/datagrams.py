"""The datagrams of a session: out over the selected pair, in to whoever listens, one by one or in bursts.

A burst is datagrams of one size end to end, the last perhaps shorter. What the kernel does not take of one waits here,
and `blocked` says so: whoever makes bursts stops until `on_writable`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from atmosphere.ice.agent import Agent
from atmosphere.ice.early import Early
from atmosphere.ice.router import Router

__all__ = ["Datagrams", "OnBurst", "OnDatagram"]

logger = logging.getLogger(__name__)

MAX_EARLY_IN = 64
MAX_EARLY_OUT = 8
MAX_AHEAD = 12
"""Checks that take along what waits for a path; those of a whole first round, where there are not very many pairs."""
AMPLIFICATION = 3
"""How many bytes go to an address that has not proved to be the remote's for each that came from it: as many as QUIC
allows (RFC 9000 §8.1)."""
MAX_HELD = 32
"""Bursts that wait for the kernel."""
HEARD_AGAIN = 0.01
"""Seconds for which the agent need not hear that more data came the same way."""
EXPECT_AGAIN = 0.5
"""Seconds for which the agent need not hear of further data."""

Address = tuple[str, int]
OnDatagram = Callable[[bytes], None]
OnBurst = Callable[[bytes, int], None]


def _ignore() -> None:
    """Nobody waits."""


class Datagrams:
    """The part of a session that moves data; the session has the rest."""

    def __init__(self, agent: Agent, router: Router) -> None:
        self._loop = asyncio.get_running_loop()
        self._agent = agent
        self._router = router
        self.bytes_sent = self.bytes_received = self.dropped = 0
        self.on_writable: Callable[[], None] = _ignore
        """Called once what was held back has gone out."""
        self._on_datagram: OnDatagram | None = None
        self.on_burst: OnBurst | None = None
        """Takes DTLS instead, as `on_burst(data, segment)`; all else still goes to `on_datagram`."""
        self._early_in, self._early_out = Early(MAX_EARLY_IN), Early(MAX_EARLY_OUT)
        self._ahead: list[bytes] = []
        self._checked: list[tuple[int, Address]] = []
        self._answerable: tuple[int, Address] | None = None
        self._allowance = 0
        self._expect_again_at = self._heard_until = 0.0
        self._heard_from: tuple[int, Address] | None = None
        self._held: list[tuple[int, bytes, int, Address]] = []  # an empty deque would cost each link 760 bytes

    @property
    def is_over(self) -> bool:
        """Whether it failed or was closed."""
        raise NotImplementedError

    def expect_traffic(self) -> None:
        """Watch the path for some seconds."""
        raise NotImplementedError

    def note_data(self, now: float) -> None:
        """Data came, after a while in which none did."""
        raise NotImplementedError

    # in

    @property
    def on_datagram(self) -> OnDatagram | None:
        """Takes each datagram from the remote; assigning it delivers those that waited."""
        return self._on_datagram

    @on_datagram.setter
    def on_datagram(self, receiver: OnDatagram | None) -> None:
        self._on_datagram = receiver
        if receiver is not None:
            for datagram in self._early_in.take():
                self._deliver(datagram)

    def receive_datagram(self, data: bytes, base: int, source: Address) -> None:
        """A datagram from an address that the remote proved to be its own."""
        if not self.is_over:
            self._arrived(data, base, source)
            self._deliver(data)

    def receive_burst(self, data: bytes, segment: int, base: int, source: Address) -> None:
        """A burst from an address that the remote proved to be its own."""
        if self.is_over:
            return
        self._arrived(data, base, source)
        if self.on_burst is None:
            for start in range(0, len(data), segment):
                self._deliver(data[start : start + segment])
            return
        try:
            self.on_burst(data, segment)
        except Exception:
            # One burst must not end the session, whatever its receiver makes of it.
            logger.exception("%r: a receiver failed", self)

    def _arrived(self, data: bytes, base: int, source: Address) -> None:
        now = self._loop.time()
        if now >= self._heard_until or (base, source) != self._heard_from:
            self._heard_until, self._heard_from = now + HEARD_AGAIN, (base, source)
            self._agent.received_data(base, source, now)
        self.bytes_received += len(data)
        if self._agent.selected is None:
            self.came_early(base, source, len(data))
        if now >= self._expect_again_at or self._agent.state != "connected":
            self._expect_again_at = now + EXPECT_AGAIN
            self.note_data(now)

    def _deliver(self, data: bytes) -> None:
        if self._on_datagram is None:
            self.dropped += self._early_in.keep(data)
            self.approach()
            return
        try:
            self._on_datagram(data)
        except Exception:
            # One datagram must not end the session, whatever its receiver makes of it.
            logger.exception("%r: a receiver failed", self)

    # out

    @property
    def blocked(self) -> bool:
        """Whether part of a burst waits for the kernel: make no more until `on_writable`."""
        self._drop_stale()
        return bool(self._held)

    def send(self, datagram: bytes) -> None:
        """Send one datagram to the remote by the present path. Never raises and never waits; may be lost like any."""
        pair = self._agent.selected
        base = self._router.base(pair.base) if pair is not None else None
        if pair is None or base is None or self.is_over:
            if not self._answered_early(datagram):
                self.dropped += self.is_over or self._early_out.keep(datagram)
            return
        base.send(datagram, pair.remote.endpoint)
        self._sent(len(datagram))

    def send_burst(self, data: bytes, segment: int) -> None:
        """Send datagrams end to end, `segment` bytes each but the last, by the present path; otherwise as `send`."""
        pair = self._agent.selected
        base = self._router.base(pair.base) if pair is not None else None
        if pair is None or base is None or self.is_over or len(data) <= segment:
            for start in range(0, len(data), segment):
                self.send(data[start : start + segment])
            return
        self._sent(len(data))
        if self.blocked:
            self._hold(pair.base, data, segment, pair.remote.endpoint)
            return
        count = -(-len(data) // segment)
        done = base.send_burst(data, segment, count, pair.remote.endpoint)
        if done < count:
            self._hold(pair.base, data[done * segment :], segment, pair.remote.endpoint)
            base.when_writable(self._writable)

    def send_probe(self, datagram: bytes) -> None:
        """Send one datagram by the present path, unfragmented or not at all (RFC 8899)."""
        pair = self._agent.selected
        base = self._router.base(pair.base) if pair is not None else None
        if pair is not None and base is not None and not self.is_over:
            base.send_probe(datagram, pair.remote.endpoint)
            self._sent(len(datagram))

    # before there is a path

    @property
    def has_early(self) -> bool:
        """Whether datagrams wait for `on_datagram`."""
        return bool(self._early_in)

    def approach(self) -> None:
        """Data came, and nobody reads it yet."""

    def send_ahead(self, datagram: bytes) -> None:
        """Send this along with checks until there is a path: it arrives with the first that does, and is answered then.

        It comes more than once, or never; so whoever says it has to say it again on the path.
        """
        if self._agent.selected is None and not self.is_over:
            self._ahead.append(datagram)
            for base, destination in self._checked:
                self._send_to(base, destination, datagram)

    def checked(self, base: int, destination: Address) -> None:
        """A check was sent there."""
        if self._agent.selected is None and len(self._checked) < MAX_AHEAD:
            self._checked.append((base, destination))
            for datagram in self._ahead:
                self._send_to(base, destination, datagram)

    def came_early(self, base: int, source: Address, size: int) -> None:
        """The remote, which knows our secrets, said `size` bytes from there: it may be answered without a path."""
        if not self._may_answer:
            self._answerable, self._allowance = (base, source), 0
        if self._answerable == (base, source):
            self._allowance += AMPLIFICATION * size

    @property
    def _may_answer(self) -> bool:
        """Whether there is an address that the remote spoke from, to be used until there has been a path."""
        if self._answerable is None or self._agent.state != "checking":
            return False
        return self._agent.is_valid_source(*self._answerable)

    def _answered_early(self, datagram: bytes) -> bool:
        """Send where the remote spoke from, as far as it spoke: it has not proved yet that it can be reached there."""
        if self._answerable is None or not self._may_answer or len(datagram) > self._allowance:
            return False
        self._allowance -= len(datagram)
        return self._send_to(*self._answerable, datagram)

    def forget_early(self) -> None:
        """There is a path, or there will be none."""
        self._ahead, self._checked, self._answerable = [], [], None

    def _send_to(self, number: int, destination: Address, datagram: bytes) -> bool:
        base = self._router.base(number)
        if base is not None:
            base.send(datagram, destination)
            self.bytes_sent += len(datagram)
        return base is not None

    def _sent(self, size: int) -> None:
        self.bytes_sent += size
        if self._loop.time() >= self._expect_again_at:
            self.expect_traffic()

    def _hold(self, base: int, data: bytes, segment: int, destination: Address) -> None:
        if len(self._held) >= MAX_HELD:
            self.dropped += -(-len(data) // segment)
            return
        self._held.append((base, data, segment, destination))

    def _drop_stale(self) -> None:
        """Forget what waits for a socket that is gone, or that the path has left: nobody would ever say it has room."""
        pair = self._agent.selected
        if self._held and (pair is None or pair.base != self._held[0][0] or self._router.base(pair.base) is None):
            self.dropped += sum(-(-len(data) // segment) for _, data, segment, _ in self._held)
            self._held.clear()

    def _writable(self) -> None:
        """Send what was held back, as far as the kernel takes it."""
        while self._held and not self.is_over:
            number, data, segment, destination = self._held.pop(0)
            base = self._router.base(number)
            count = -(-len(data) // segment)
            if base is None:
                continue
            done = base.send_burst(data, segment, count, destination)
            if done < count:
                self._held.insert(0, (number, data[done * segment :], segment, destination))
                base.when_writable(self._writable)
                return
        self._held.clear()
        self.on_writable()
