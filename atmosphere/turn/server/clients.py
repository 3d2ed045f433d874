"""The clients that come over connections (TCP, TLS, WebSocket): how many there may be, and who of them is cut.

A connection is worth keeping while it has an allocation. One that has had none for a while is cut, and so is one that
does not even take its control answers; data for a slow reader is dropped, as a full queue of the network drops it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from atmosphere.turn.server.flow import Address, Flow, Transport, Write
from signaling.backlog import Backlog
from signaling.limits import Seats, address_key

logger = logging.getLogger(__name__)

COUNTERS: Final = {
    "turn_streams_total": "connections of clients over TCP, TLS and WebSocket",
    "turn_streams_refused_total": "of these, refused because there were too many",
    "turn_streams_idle_cut_total": "of these, cut because they had no allocation",
    "turn_streams_slow_cut_total": "of these, cut because they did not read their answers",
    "turn_streams_malformed_total": "of these, cut because what they sent was not TURN",
    "turn_streams_dropped_total": "messages with data dropped because a client did not read",
    "turn_streams_crowded_total": "of these, dropped because too much waited for all clients",
}
GAUGES: Final = {
    "turn_streams": "connections of clients over TCP, TLS and WebSocket now",
    "turn_streams_waiting_bytes": "bytes that wait for clients to read them",
}


class Service(Protocol):
    """The TURN server that the connections are for; see `service.TurnService`."""

    def open_flow(self, transport: Transport, client: Address, local: Address, write: Write) -> Flow:
        """A connection has come."""

    def receive(self, flow: Flow, messages: Sequence[bytes]) -> None:
        """Whole messages of a connection."""

    def close_flow(self, flow: Flow) -> None:
        """A connection is gone."""


@dataclass(frozen=True)
class StreamLimits:
    """Connections in all and of one address, seconds without an allocation, bytes that wait for one reader, for all."""

    connections: int = 4096
    connections_per_address: int = 256
    idle: float = 15.0
    write_buffer: int = 262_144
    write_buffers: int = 67_108_864


def is_data(message: bytes) -> bool:
    """Whether the message carries data (ChannelData, a Data indication) and may be lost (pure)."""
    return message[0] >= 0x40 or message[:2] == b"\x00\x17"


class Client:
    """One connection and its flow. `cut(reason)` ends the connection, `waiting()` is how many bytes it has not sent."""

    __slots__ = ("_clients", "_waiting", "_write", "cut", "flow", "idle_since", "key")

    def __init__(
        self,
        clients: StreamClients,
        transport: Transport,
        ends: tuple[Address, Address],
        write: Write,
        waiting: Callable[[], int],
        cut: Callable[[str], None],
    ) -> None:
        self._clients = clients
        self._write = write
        self._waiting = waiting
        self.cut = cut
        self.key = address_key(ends[0][0])
        self.idle_since: float | None = clients.now()
        self.flow = clients.service.open_flow(transport, *ends, self.write)

    def write(self, messages: Sequence[bytes]) -> None:
        """Write what there is room for; never blocks, never raises."""
        limits, counts = self._clients.limits, self._clients.counts
        waiting = self._waiting()
        room = self._clients.room(waiting)
        if room != "enough":
            kept = [message for message in messages if not is_data(message)]
            counts["turn_streams_dropped_total"] += len(messages) - len(kept)
            if room == "crowded":
                counts["turn_streams_crowded_total"] += len(messages) - len(kept)
            if kept and waiting >= 2 * limits.write_buffer:
                counts["turn_streams_slow_cut_total"] += 1
                self.cut("too slow")
                return
            messages = kept
        if messages:
            self._write(messages)
            self._clients.backlog.grew(self._waiting() - waiting)


class StreamClients:
    """All connections of one relay; `start` and `stop` once each. A source of numbers for /stats and /metrics."""

    def __init__(self, service: Service, limits: StreamLimits | None = None) -> None:
        self.service = service
        self.limits = limits or StreamLimits()
        self.counts: dict[str, int] = dict.fromkeys(COUNTERS, 0)
        self._seats = Seats(self.limits.connections, self.limits.connections_per_address)
        self.backlog = Backlog(self.limits.write_buffers)
        self._open: set[Client] = set()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._open)

    @staticmethod
    def now() -> float:
        """The loop's time."""
        return asyncio.get_running_loop().time()

    def room(self, waiting: int) -> Literal["enough", "full", "crowded"]:
        """Whether a client for whom so many bytes wait may have more data, or who has too much: it, or all together."""
        if waiting >= self.limits.write_buffer:
            return "full"
        return "crowded" if waiting and waiting >= self.backlog.share(self.now()) else "enough"

    def start(self) -> None:
        """Begin to look for connections that have no use."""
        self._timer = asyncio.get_running_loop().call_later(self.limits.idle / 4, self._sweep)

    def stop(self) -> None:
        """Cut everybody."""
        if self._timer is not None:
            self._timer.cancel()
        for client in tuple(self._open):
            client.cut("the server stops")

    def enter(
        self,
        transport: Transport,
        client: Address,
        local: Address,
        write: Write,
        waiting: Callable[[], int],
        cut: Callable[[str], None],
    ) -> Client | None:
        """A connection has come; None when there are too many."""
        self.counts["turn_streams_total"] += 1
        if self._seats.take(address_key(client[0])):
            self.counts["turn_streams_refused_total"] += 1
            return None
        made = Client(self, transport, (client, local), write, waiting, cut)
        self._open.add(made)
        self.backlog.add(made, waiting)
        return made

    def leave(self, client: Client) -> None:
        """It is gone. Twice is fine."""
        if client in self._open:
            self._open.discard(client)
            self.backlog.remove(client)
            self._seats.leave(client.key)
            self.service.close_flow(client.flow)

    def malformed(self, client: Client) -> None:
        """It sent what is not TURN."""
        self.counts["turn_streams_malformed_total"] += 1
        logger.debug("%s sent what is not TURN", client.flow.client[0])

    def _sweep(self) -> None:
        self.start()
        now = self.now()
        for client in tuple(self._open):
            if client.flow.allocation is not None:
                client.idle_since = None
            elif client.idle_since is None:
                client.idle_since = now
            elif now - client.idle_since >= self.limits.idle:
                self.counts["turn_streams_idle_cut_total"] += 1
                client.cut("no allocation")

    def stats(self) -> dict[str, float]:
        """Gauges and counters by name."""
        return {
            "turn_streams": len(self._open),
            "turn_streams_waiting_bytes": self.backlog.total(),
            **self.counts,
        }
