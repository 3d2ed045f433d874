"""Places, idleness, and what a slow reader gets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from atmosphere.turn.server.clients import COUNTERS, GAUGES, Client, StreamClients, StreamLimits, is_data
from atmosphere.turn.server.flow import Address
from tests.turn.server.stream_service import ANSWER, BINDING, CHANNEL_DATA, DATA, FakeService, allocate
from tests.until import until

LOCAL: Address = ("192.0.2.1", 3478)


class Connection:
    """What a client's connection does, without one."""

    def __init__(self, clients: StreamClients, host: str = "192.0.2.7") -> None:
        self.written: list[bytes] = []
        self.waiting = 0
        self.reason: str | None = None
        self.clients = clients
        self.client: Client | None = clients.enter(
            "tcp", (host, 4711), LOCAL, self._write, lambda: self.waiting, self._cut
        )

    def _write(self, messages: Sequence[bytes]) -> None:
        self.written += messages

    def _cut(self, reason: str) -> None:
        self.reason = reason
        if self.client is not None:
            self.clients.leave(self.client)


@pytest.fixture
async def service() -> AsyncIterator[FakeService]:
    yield FakeService()


def test_what_may_be_lost() -> None:
    assert [is_data(message) for message in (CHANNEL_DATA, DATA, ANSWER, BINDING)] == [True, True, False, False]


async def test_a_flow_is_opened_and_closed(service: FakeService) -> None:
    clients = StreamClients(service)
    connection = Connection(clients)
    assert connection.client is not None
    [flow] = service.flows
    assert (flow.transport, flow.client, flow.local) == ("tcp", ("192.0.2.7", 4711), LOCAL)
    flow.write([ANSWER, CHANNEL_DATA])
    assert connection.written == [ANSWER, CHANNEL_DATA]
    clients.leave(connection.client)
    clients.leave(connection.client)
    assert service.closed == [flow]
    assert len(clients) == 0


async def test_a_slow_reader_loses_data_and_keeps_answers(service: FakeService) -> None:
    clients = StreamClients(service, StreamLimits(write_buffer=1000))
    connection = Connection(clients)
    connection.waiting = 1000
    service.flows[0].write([CHANNEL_DATA, ANSWER, DATA])
    assert connection.written == [ANSWER]
    assert clients.stats()["turn_streams_dropped_total"] == 2
    connection.waiting = 2000
    service.flows[0].write([CHANNEL_DATA])
    service.flows[0].write([ANSWER])
    assert connection.reason == "too slow"
    assert connection.written == [ANSWER]
    assert clients.stats()["turn_streams_slow_cut_total"] == 1


async def test_all_slow_readers_together_are_bounded(service: FakeService) -> None:
    clients = StreamClients(service, StreamLimits(write_buffer=1000, write_buffers=2000))
    slow = [Connection(clients) for _ in range(4)]
    reading = Connection(clients)
    for connection in slow:
        connection.waiting = 300  # less than one may have, and more than half of what all may have
    for flow in service.flows:
        flow.write([CHANNEL_DATA, ANSWER])
    assert [connection.written for connection in slow] == [[ANSWER]] * 4
    assert reading.written == [CHANNEL_DATA, ANSWER]
    stats = clients.stats()
    assert stats["turn_streams_waiting_bytes"] == 1200
    assert (stats["turn_streams_crowded_total"], stats["turn_streams_dropped_total"]) == (4, 4)
    assert slow[0].client is not None
    clients.leave(slow[0].client)
    assert clients.stats()["turn_streams_waiting_bytes"] == 900


async def test_places_are_bounded_in_all_and_by_address(service: FakeService) -> None:
    clients = StreamClients(service, StreamLimits(connections=3, connections_per_address=2))
    first, second = Connection(clients), Connection(clients)
    assert Connection(clients).client is None
    assert Connection(clients, "192.0.2.8").client is not None
    assert Connection(clients, "192.0.2.9").client is None
    assert first.client is not None
    clients.leave(first.client)
    assert Connection(clients).client is not None
    assert second.client is not None
    assert clients.stats()["turn_streams_refused_total"] == 2
    assert clients.stats()["turn_streams"] == 3


async def test_only_who_has_an_allocation_stays(service: FakeService) -> None:
    clients = StreamClients(service, StreamLimits(idle=0.1))
    clients.start()
    used, idle = Connection(clients), Connection(clients)
    allocate(service.flows[0])
    await until(lambda: idle.reason)
    assert (idle.reason, used.reason) == ("no allocation", None)
    service.flows[0].allocation = None  # given back, or not refreshed
    await until(lambda: used.reason)
    assert clients.stats()["turn_streams_idle_cut_total"] == 2
    clients.stop()


async def test_the_end_cuts_everybody(service: FakeService) -> None:
    clients = StreamClients(service)
    one, two = Connection(clients), Connection(clients)
    clients.stop()
    assert one.reason == two.reason == "the server stops"
    assert len(clients) == 0
    await asyncio.sleep(0)


async def test_every_number_has_a_name(service: FakeService) -> None:
    assert set(StreamClients(service).stats()) == COUNTERS.keys() | GAUGES.keys()
