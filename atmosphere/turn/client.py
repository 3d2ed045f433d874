"""One relayed address on one TURN server (RFC 8656), over any transport: open it, send, receive, keep it alive.

An allocation does its own keeping: it refreshes itself, its permissions and channels (also when only receiving), asks
the server every `KEEPALIVE` seconds whether it is still there (which keeps a NAT's mapping open too), and says
`on_lost` once when it is gone. It is not opened again: that, with back-off, is its owner's.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable

from atmosphere.errors import Unreachable
from atmosphere.stun.library import stun
from atmosphere.tasks import Tasks
from atmosphere.turn.channels import REFRESH, Binding, Channels
from atmosphere.turn.connect import Connection, connect
from atmosphere.turn.endpoint import TurnEndpoint
from atmosphere.turn.protocol import UdpTurnProtocol
from atmosphere.turn.reasons import explain
from atmosphere.udp.route import source_for

__all__ = ["Allocation", "TurnEndpoint"]

logger = logging.getLogger(__name__)

OPEN_TIMEOUT = 5.0
CLOSE_TIMEOUT = 1.0
KEEPALIVE = 15.0
CHECK_GAP = 0.25
"""Seconds from one question to the next at least: one that cannot be sent is trouble too, about which is asked."""
LAST_QUESTION = 3.0
"""Seconds that a server has for the refresh which decides, after it has not answered a keepalive."""

Address = tuple[str, int]


def _ignore(data: bytes, source: Address) -> None:
    pass


def _ignore_loss(reason: str) -> None:
    pass


class Allocation:
    """A relayed address: set `on_datagram(data, source)` and `on_lost(reason)`, await `open`, then `send`."""

    def __init__(self, endpoint: TurnEndpoint) -> None:
        self.endpoint = endpoint
        self.on_datagram: Callable[[bytes, Address], None] = _ignore
        self.on_burst: Callable[[bytes, int, Address], None] | None = None
        """Takes what comes in bursts, as `on_burst(data, segment, source)`; else `on_datagram` gets each."""
        self.on_lost: Callable[[str], None] = _ignore_loss
        self.relayed: Address = ("", 0)
        self.mapped: Address = ("", 0)
        self.rtt: float | None = None
        self._channels = Channels()
        self._protocol: Connection | None = None
        self._tasks = Tasks(f"turn {endpoint.address[0]}")
        self._wake = asyncio.Event()
        self._state = "new"
        self._opening: asyncio.Timeout | None = None
        self._trouble: str | None = None
        self._checking = False
        self._seen_as: Address | None = None
        self._let_in_at = 0.0

    @property
    def is_open(self) -> bool:
        """Whether datagrams pass."""
        return self._state == "open"

    @property
    def dropped(self) -> int:
        """Datagrams that could not be sent: waiting for a binding too long, or the connection was full."""
        return self._channels.dropped

    async def open(self, timeout: float = OPEN_TIMEOUT) -> None:
        """Get the relayed address within `timeout` seconds; raises Unreachable or Refused with one line saying why."""
        self._state = "opening"
        started = time.monotonic()
        try:
            async with asyncio.timeout(timeout) as self._opening:
                protocol = self._protocol = await connect(self.endpoint, self)
                self.relayed = await protocol.connect()
        except (OSError, TimeoutError, stun.TransactionError) as error:
            self._abandon()
            raise explain(error, self._trouble, timeout) from error
        except BaseException:
            self._abandon()
            raise
        if self._state != "opening":
            raise Unreachable(self._trouble or "the server closed the connection")
        self.mapped = protocol.mapped_address or ("", 0)
        self._seen_as = protocol.mapped_address
        self.rtt = time.monotonic() - started
        self._state = "open"
        self._tasks.spawn(self._maintain(), "maintain")
        logger.info("allocated %s on %s over %s", self.relayed, self.endpoint.address, self.endpoint.transport)

    def send(self, data: bytes, destination: Address) -> None:
        """Send one datagram from the relayed address to (IP, port); never raises, drops what cannot go."""
        if self._state != "open" or self._protocol is None:
            return
        frame = self._channels.frame(data, destination, time.monotonic())
        if frame is None:
            self._wake.set()
        elif not self._protocol.put(frame):
            self._channels.dropped += 1

    def send_burst(self, data: bytes, segment: int, count: int, destination: Address) -> int:
        """Send `count` datagrams end to end, `segment` bytes each but the last, as `send` does.

        How many are done with: fewer than all where the kernel had no room, and `when_writable` says when it has.
        """
        if self._state == "open" and isinstance(self._protocol, UdpTurnProtocol):
            number = self._channels.number(destination, time.monotonic())
            if number is not None:
                return self._protocol.put_burst(number, data, segment, count)
        for place in range(0, len(data), segment):
            self.send(data[place : place + segment], destination)
        return count

    def when_writable(self, callback: Callable[[], None]) -> None:
        """Call `callback` once there is room for what `send_burst` did not take."""
        if isinstance(self._protocol, UdpTurnProtocol):
            self._protocol.when_writable(callback)

    @property
    def is_stranded(self) -> bool:
        """Whether the system would reach the server from another address now than the one we talk to it from."""
        end, protocol = self.endpoint, self._protocol
        if protocol is None or end.proxy or end.url:
            return False
        ours = protocol.transport.get_extra_info("sockname")
        return ours is not None and source_for(end.address) not in (None, ours[0])

    def verify(self) -> None:
        """Ask the server now whether it is still there: after the network has changed, say."""
        self._trouble = "the network changed"
        self._wake.set()

    async def close(self) -> None:
        """Give the relayed address back, waiting a second at most for the server. Twice is fine."""
        state, self._state = self._state, "closed"
        await self._tasks.close()
        if self._protocol is not None and state == "open":
            try:
                async with asyncio.timeout(CLOSE_TIMEOUT):
                    await self._protocol.delete()
            except (TimeoutError, OSError, stun.TransactionError) as error:
                logger.debug("TURN server %s did not confirm the end: %s", self.endpoint.address[0], error)
        self._abandon()

    def _abandon(self) -> None:
        self._state = "closed"
        if self._protocol is not None:
            self._protocol.stop_refreshing()
            self._protocol.transport.close()

    # what the protocol tells

    def channel_data(self, number: int, payload: bytes) -> None:
        """Data from the peer that has this channel; unknown numbers are dropped."""
        source = self._channels.source(number, time.monotonic())
        if source is not None and self._state == "open":
            self.on_datagram(payload, source)

    def channel_burst(self, number: int, data: bytes, segment: int) -> None:
        """The same for datagrams end to end, `segment` bytes each but the last."""
        source = self._channels.source(number, time.monotonic())
        if source is None or self._state != "open":
            return
        if self.on_burst is not None:
            self.on_burst(data, segment, source)
            return
        for place in range(0, len(data), segment):
            self.on_datagram(data[place : place + segment], source)

    def indication(self, source: Address, payload: bytes) -> None:
        """Data from a peer without a channel yet, which is taken when its host has a permission."""
        if self._state == "open" and self._channels.permits(source[0]):
            self.on_datagram(payload, source)

    def trouble(self, error: Exception) -> None:
        """The system says that the server is unreachable: while opening that decides, later it is asked at once."""
        self._trouble = "connection refused" if isinstance(error, ConnectionRefusedError) else str(error)
        self._give_up_opening()
        self._wake.set()

    def connection_lost(self, error: Exception | None) -> None:
        """The connection ended; by us, by the server, or because the allocation was not refreshed."""
        self._trouble = self._trouble or (str(error) if error else "the server closed the connection")
        self._give_up_opening()
        self._lose(self._trouble)

    def _give_up_opening(self) -> None:
        if self._state == "opening" and self._opening is not None and not self._opening.expired():
            self._opening.reschedule(0)

    def _lose(self, reason: str) -> None:
        if self._state != "open":
            return
        self._state = "lost"
        logger.info("lost %s on %s: %s", self.relayed, self.endpoint.address, reason)
        self._wake.set()
        self.on_lost(reason)

    # keeping it alive

    async def _maintain(self) -> None:
        """Bind and renew channels when asked, and ask the server every `KEEPALIVE` seconds whether it lives."""
        asked_at = self._let_in_at = time.monotonic()
        while self._state == "open":
            self._wake.clear()
            now = time.monotonic()
            for binding in self._channels.wanted(now):
                self._tasks.spawn(self._bind(binding), "bind")
            if now >= self._let_in_at:
                self._tasks.spawn(self._let_in(), "permission")
                self._let_in_at = now + REFRESH
            due = asked_at + (CHECK_GAP if self._trouble else KEEPALIVE)
            if now >= due and not self._checking:
                self._tasks.spawn(self._check(doubted=self._trouble is not None), "check")
                self._trouble, asked_at, self._checking = None, now, True
            times = [
                self._channels.deadline() or now + KEEPALIVE,
                now + KEEPALIVE if self._checking else due,
                self._let_in_at,
            ]
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.05, min(times) - now)):
                    await self._wake.wait()

    async def _check(self, *, doubted: bool) -> None:
        """Ask, and let the next question be asked."""
        try:
            if self._protocol is not None:
                await self._ask(self._protocol, doubted=doubted)
        finally:
            self._checking = False
            self._wake.set()

    async def _ask(self, protocol: Connection, *, doubted: bool) -> None:
        """One keepalive; a server that answers neither Binding nor Refresh is lost.

        A server that sees us elsewhere than before knows us no more: to it we are another client (RFC 8656 §3.2), whose
        Binding it answers all the same, and so does one that was restarted. So where we are seen elsewhere, or the
        server was not there a moment ago (`doubted` and slow to answer), that is a question for the refresh too.
        """
        started = time.monotonic()
        try:
            seen = await protocol.ping()
            took = time.monotonic() - started
            self.rtt = took
            moved = seen is not None and seen != self._seen_as
            self._seen_as = seen or self._seen_as
            if moved or (doubted and took >= stun.RETRY_RTO):
                await self._last_question(protocol)
        except stun.TransactionFailed:
            return
        except stun.TransactionError:
            await self._last_question(protocol)

    async def _last_question(self, protocol: Connection) -> None:
        # A server may answer no Binding at all (coturn's no-stun): only the allocation's own refresh decides.
        try:
            async with asyncio.timeout(LAST_QUESTION):
                await protocol.renew()
        except (TimeoutError, OSError, stun.TransactionError):
            self._lose("no answer")
            protocol.transport.close()

    async def _bind(self, binding: Binding) -> None:
        protocol = self._protocol
        if protocol is None:
            return
        started, nonce = time.monotonic(), protocol.nonce
        asyncio.get_running_loop().call_soon(self._send_early, binding)  # when the request has been sent
        try:
            async with asyncio.timeout(OPEN_TIMEOUT):
                await protocol.channel_bind(binding.number, binding.address)
        except (TimeoutError, OSError, ValueError, stun.TransactionError) as error:
            logger.debug("TURN server %s: no channel to %s: %s", self.endpoint.address[0], binding.address, error)
            self._channels.failed(binding, time.monotonic())
            return
        now = time.monotonic()
        # Where the request had to be said again, what went behind it was dropped.
        repeated = isinstance(protocol, UdpTurnProtocol) and now - started >= stun.RETRY_RTO
        for frame in self._channels.bound(binding, now, again=repeated or protocol.nonce != nonce):
            self._channels.dropped += not protocol.put(frame)

    def _send_early(self, binding: Binding) -> None:
        """What waits for the binding need not wait for the answer."""
        if self._state == "open" and self._protocol is not None and binding.state == "binding":
            for frame in self._channels.early(binding):
                self._channels.dropped += not self._protocol.put(frame)

    async def _let_in(self) -> None:
        """Let in whoever has a relayed address on the same server, so that two nodes meet there at once.

        Otherwise the one that is dialed would have to hear first of the other's address. Only authentic checks are
        answered, as on any port that is open; a server that refuses this is none the worse.
        """
        protocol = self._protocol
        if protocol is None:
            return
        try:
            async with asyncio.timeout(OPEN_TIMEOUT):
                await protocol.permit(self.relayed[0])
        except (TimeoutError, OSError, ValueError, stun.TransactionError) as error:
            logger.debug("TURN server %s: no permission for its own address: %s", self.endpoint.address[0], error)
            if not isinstance(error, stun.TransactionFailed):  # it did not refuse, it was not there
                self._let_in_at = time.monotonic() + KEEPALIVE
                self._wake.set()
        else:
            self._channels.let_in(self.relayed[0])
