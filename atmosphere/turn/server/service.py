"""The TURN server on real sockets: who listens gives it datagrams, it opens the relayed addresses, and one timer."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from atmosphere.turn.server.core import TurnCore
from atmosphere.turn.server.flow import Address, Flow, Transport, Write
from atmosphere.turn.server.host import Receive, Relay
from atmosphere.turn.server.metrics import DERIVED
from atmosphere.turn.server.outlet import Outlet
from atmosphere.turn.server.relayed_socket import DONT_FRAGMENT, RelayedSocket
from atmosphere.turn.server.settings import TurnSettings
from atmosphere.turn.server.users import Users
from atmosphere.udp.addresses import every_own_address
from atmosphere.udp.socket import UdpSocket
from atmosphere.udp.window import Buffer, Window

logger = logging.getLogger(__name__)

LOOK_SECONDS = 30.0
"""Between two looks at this machine's addresses."""

First = Callable[[bytes, int, Address], bool]


class Door:
    """A socket that clients come to, and those of them that have an allocation."""

    __slots__ = ("flows", "local", "outlet")

    def __init__(self, sock: UdpSocket, settings: TurnSettings) -> None:
        self.outlet = Outlet(sock, settings.queue_bytes, settings.queues_bytes)
        self.local = (sock.address, sock.port)
        self.flows: dict[Address, Flow] = {}


class TurnService:
    """One relay: `await start()`, then `listen` on sockets or feed it by `datagrams` and flows; `await stop()`.

    It owns the relayed sockets and the allocations; the sockets that clients come to stay their owner's.
    """

    def __init__(self, settings: TurnSettings, users: Users) -> None:
        self.settings = settings
        self.dont_fragment = DONT_FRAGMENT
        self._core = TurnCore(settings, users, self, time.time)
        self._window = Window()
        self._doors: dict[UdpSocket, Door] = {}
        self._relays: set[RelayedSocket] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._looking: asyncio.TimerHandle | None = None
        self._closed_errors = self._closed_drops = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    async def start(self) -> None:
        """Make ready. Raises OSError where relayed addresses cannot be opened on an address of the settings."""
        self._loop = asyncio.get_running_loop()
        for local in self.settings.addresses:
            UdpSocket.bind(local).close()
        self._core.start()
        self._look()

    async def stop(self) -> None:
        """End all allocations and close the relayed sockets. Twice is fine."""
        self._core.close()
        for timer in (self._timer, self._looking):
            if timer is not None:
                timer.cancel()
        self._timer = self._looking = self._loop = None

    def move(self, addresses: Mapping[str, str], programs: Mapping[Address, Address]) -> None:
        """This machine's addresses changed. Relayed ones are opened on `addresses` from now on (local → public; none:
        nobody gets one), those that are open stay. Clients may reach `programs`: known address → own address."""
        self._core.move(addresses, programs)

    # clients over UDP

    def listen(self, sock: UdpSocket, first: First | None = None) -> None:
        """Serve whoever sends to this socket: TURN, and STUN Binding.

        `first(data, segment, source)` is asked about every burst of STUN messages before; True: it was for somebody
        else. ChannelData does not go that way, which is why this is cheaper than to feed `datagrams`.
        """
        sock.read_into(self._window, partial(self._arrived if first is None else partial(self._asked, first), sock))
        self._core.policy.add_own([sock.address])

    def datagrams(self, sock: UdpSocket, data: bytes, segment: int, source: Address) -> None:
        """One burst that came to a socket: STUN messages and ChannelData; what is neither is dropped and counted."""
        self._arrived(sock, Window(data), len(data), segment, source)

    def _asked(self, first: First, sock: UdpSocket, window: Window, size: int, segment: int, source: Address) -> None:
        if size and window.buffer[0] < 4 and first(bytes(window.view[:size]), segment, source):
            return
        self._arrived(sock, window, size, segment, source)

    def _arrived(self, sock: UdpSocket, window: Window, size: int, segment: int, source: Address) -> None:
        if self._loop is None:
            return
        door = self._doors.get(sock)
        if door is None:
            door = self._doors[sock] = Door(sock, self.settings)
        flow = door.flows.get(source)
        if flow is None:
            write, write_burst = partial(self._write, door, source), partial(self._write_burst, door, source)
            flow = Flow("udp", source, door.local, write, write_burst)
        if self._core.burst(flow, window, size, segment, self._loop.time()):
            # One burst may end an allocation and make the next, and may begin with data: only now is it known.
            if flow.allocation is not None:
                door.flows[source] = flow
            self._arm()

    def _write(self, door: Door, client: Address, messages: Sequence[bytes]) -> None:
        for message in messages:
            self._write_burst(door, client, (message,), len(message), 1)

    def _write_burst(self, door: Door, client: Address, pieces: Sequence[Buffer], segment: int, count: int) -> None:
        flow = door.flows.get(client)
        user = client if flow is None or flow.allocation is None else flow.allocation.account.identity
        door.outlet.send(user, pieces, segment, count, client)

    def forget(self, sock: UdpSocket) -> None:
        """The socket is gone, and with it everybody who came to it."""
        door = self._doors.pop(sock, None)
        for flow in list(door.flows.values()) if door else ():
            self._core.close_flow(flow)

    # clients over connections

    def open_flow(self, transport: Transport, client: Address, local: Address, write: Write) -> Flow:
        """A connection has come. `write` gets whole messages, unpadded; see `Flow`."""
        return Flow(transport, client, local, write)

    def receive(self, flow: Flow, messages: Sequence[bytes]) -> None:
        """Whole messages of a connection; ChannelData may be padded."""
        if self._loop is not None and messages and self._core.messages(flow, messages, self._loop.time()):
            self._arm()

    def close_flow(self, flow: Flow) -> None:
        """The connection is gone, and its allocation ends."""
        self._core.close_flow(flow)

    def revoke(self, username: str) -> None:
        """A user may no longer: its allocations end now."""
        self._core.revoke(username)

    # what the core asks for

    def open(self, local: str, port: int, receive: Receive) -> Relay:
        """As in `host.Host`."""
        relay = RelayedSocket(local, port, self._window, receive, self._closed)
        self._relays.add(relay)
        return relay

    def _closed(self, relay: RelayedSocket) -> None:
        self._relays.discard(relay)
        self._closed_errors += relay.sock.errors
        self._closed_drops += relay.sock.dropped

    def ended(self, flow: Flow) -> None:
        """As in `host.Host`."""
        for door in self._doors.values() if flow.transport == "udp" else ():
            if door.flows.get(flow.client) is flow:
                del door.flows[flow.client]

    # time

    def _arm(self) -> None:
        deadline = self._core.deadline()
        if self._loop is None or deadline is None:
            return
        if self._timer is None or self._timer.when() > deadline or self._timer.cancelled():
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(deadline, self._tick)

    def _tick(self) -> None:
        self._timer = None
        if self._loop is not None:
            self._core.tick(self._loop.time())
            self._arm()

    def _look(self) -> None:
        """See which addresses this machine has: nobody may relay to one of them, and they come and go."""
        if self._loop is not None:
            self._core.policy.here(every_own_address())
            self._looking = self._loop.call_later(LOOK_SECONDS, self._look)

    def stats(self) -> dict[str, float]:
        """Gauges and counters; `metrics` has a line of help for each."""
        counters, gauges = self._core.metrics.values, self._core.gauges()
        outlets = [door.outlet for door in self._doors.values()]
        errors = self._closed_errors + sum(relay.sock.errors for relay in self._relays)
        dropped = self._closed_drops + sum(relay.sock.dropped for relay in self._relays)
        made = dict.fromkeys(DERIVED, 0)
        made["turn_socket_errors_total"] = errors
        for kind in ("bytes", "packets"):
            ways = (counters[f"turn_{kind}_to_peers_total"], counters[f"turn_{kind}_to_clients_total"])
            made[f"turn_{kind}_relayed_total"] = sum(ways)
        full = counters["turn_dropped_full_total"] + dropped + sum(outlet.dropped for outlet in outlets)
        return {
            **gauges,
            "turn_queued_bytes": sum(outlet.queued for outlet in outlets),
            **counters,
            **made,
            "turn_dropped_full_total": full,
        }
