"""Two clients of one session, and those who are too many, too late, too slow or gone."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin

from atmosphere.network import RelayServer
from atmosphere.network.relay_sessions import FULL, LEFT, NOBODY_CAME, TOO_MANY, RelaySessions, SessionLimits
from tests.network.relays import relaying
from tests.until import until


def joining(server: RelayServer, session: str = "s1", **options: object) -> connect:
    url = f"ws://127.0.0.1:{server.port}/relay/{session}"
    return connect(url, proxy=None, compression=None, max_size=1 << 20, **options)  # type: ignore[arg-type]


async def closed(websocket: ClientConnection) -> tuple[int | None, str | None]:
    async with asyncio.timeout(10):
        await websocket.wait_closed()
    return websocket.close_code, websocket.close_reason


async def test_messages_pass_as_they_are() -> None:
    async with relaying() as server, joining(server) as one:
        await one.send("early")  # before anybody is there
        async with joining(server) as two:
            for message in ("text", b"bytes", "", b"", "ü" * 1000, b"x" * 65_536):
                await one.send(message)
            assert await two.recv() == "early"
            assert [await two.recv() for _ in range(6)] == ["text", b"bytes", "", b"", "ü" * 1000, b"x" * 65_536]
            await two.send(b"back")
            assert await one.recv() == b"back"
            assert server.stats()["relay_sessions"] == 1
            assert server.stats()["relay_messages_total"] == 8
        assert await closed(one) == (LEFT, "the other client left")
        await until(lambda: server.stats()["relay_sessions"] == 0)


async def test_sessions_do_not_mix() -> None:
    async with relaying() as server, contextlib.AsyncExitStack() as stack:
        ends = [await stack.enter_async_context(joining(server, name)) for name in ("a", "b", "a", "b")]
        await ends[0].send("a")
        await ends[1].send("b")
        assert await ends[2].recv() == "a"
        assert await ends[3].recv() == "b"


async def test_a_third_client_is_refused_and_disturbs_nobody() -> None:
    async with relaying() as server, joining(server) as one, joining(server) as two:
        await until(lambda: server.stats()["relay_sessions_joined_total"] == 1)
        async with joining(server) as three:
            assert await closed(three) == (FULL, "the session has two clients already")
        await one.send("still")
        assert await two.recv() == "still"


async def test_what_was_said_before_leaving_arrives() -> None:
    async with relaying() as server, joining(server) as one, joining(server) as two:
        await until(lambda: server.stats()["relay_sessions_joined_total"] == 1)
        two.transport.pause_reading()
        for number in range(100):
            await one.send(number.to_bytes(2) + bytes(30_000))
        await one.close()
        two.transport.resume_reading()
        arrived = [int.from_bytes((await two.recv())[:2]) for _ in range(100)]  # type: ignore[arg-type]
        assert arrived == list(range(100))
        assert await closed(two) == (LEFT, "the other client left")


async def test_a_name_is_free_again() -> None:
    async with relaying() as server:
        for _ in range(2):
            async with joining(server) as one, joining(server) as two:
                await one.send("x")
                assert await two.recv() == "x"
            await until(lambda: server.stats()["relay_sessions"] == 0)


async def test_nobody_waits_for_ever() -> None:
    async with relaying(sessions=SessionLimits(waiting=0.05)) as server:
        async with joining(server) as one:
            assert await closed(one) == (NOBODY_CAME, "nobody joined the session")
        await until(lambda: server.stats()["relay_sessions"] == 0)
        assert server.stats()["relay_sessions_alone_total"] == 1


async def test_who_waited_and_went_is_forgotten() -> None:
    async with relaying() as server:
        async with joining(server):
            await until(lambda: server.stats()["relay_sessions"] == 1)
        await until(lambda: server.stats()["relay_sessions"] == 0)
        assert server.stats()["relay_sessions_alone_total"] == 0


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (SessionLimits(sessions=1), "there are too many sessions"),
        (SessionLimits(sessions_per_address=1), "there are too many sessions of your address"),
    ],
)
async def test_sessions_are_bounded(limits: SessionLimits, reason: str) -> None:
    async with relaying(sessions=limits) as server, joining(server, "one"):
        await until(lambda: server.stats()["relay_sessions"] == 1)
        async with joining(server, "two") as refused:
            assert await closed(refused) == (TOO_MANY, reason)
        async with joining(server, "one") as fine:
            await fine.send("x")
            assert server.stats()["relay_clients_refused_total"] == 1


@pytest.mark.parametrize("name", ["", "a/b", "a%20b", "ü", "x" * 65, "..", "a.b"])
async def test_names_that_are_none(name: str) -> None:
    async with relaying() as server:
        with pytest.raises((InvalidStatus, UnicodeError)):
            async with joining(server, name):
                pass


async def test_messages_have_a_size() -> None:
    async with relaying(sessions=SessionLimits(message_bytes=1000)) as server, joining(server) as one:
        async with joining(server) as two:
            await one.send(bytes(1001))
            assert (await closed(one))[0] == 1009
            assert (await closed(two))[0] == LEFT


async def test_pages_of_other_websites_may_not_join() -> None:
    async with relaying() as server:
        with pytest.raises(InvalidStatus, match="HTTP 403"):
            async with joining(server, origin=Origin("https://evil.example")):
                pass


async def test_a_slow_reader_slows_its_writer_and_costs_no_memory() -> None:
    async with relaying() as server, joining(server) as one, joining(server, max_queue=1) as two:
        await until(lambda: server.stats()["relay_sessions_joined_total"] == 1)
        two.transport.pause_reading()
        sent = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                while sent < 10_000:
                    await one.send(bytes(60_000))
                    sent += 1
        assert sent < 10_000
        door = server._run().signaling._reception.door
        assert all(held.transport.get_write_buffer_size() < 600_000 for held in door.inside)
        two.transport.resume_reading()
        async with asyncio.timeout(20):
            for _ in range(sent):
                await two.recv()


async def test_a_session_has_a_rate() -> None:
    limits = SessionLimits(bytes_per_second=100_000, message_bytes=10_000)
    async with relaying(sessions=limits) as server, joining(server) as one, joining(server) as two:
        began = asyncio.get_running_loop().time()
        for _ in range(8):
            await one.send(bytes(10_000))
        for _ in range(8):
            await two.recv()
        assert asyncio.get_running_loop().time() - began > 0.4


async def test_a_server_that_stops_ends_its_sessions() -> None:
    async with relaying() as server, joining(server) as one, joining(server) as two:
        await until(lambda: server.stats()["relay_sessions_joined_total"] == 1)
        await server.stop()
        assert (await closed(one))[0] == 1001
        with pytest.raises(ConnectionClosed):
            await two.recv()


async def test_a_server_that_stops_does_not_wait_for_the_rate() -> None:
    limits = SessionLimits(bytes_per_second=1, message_bytes=10_000)
    async with relaying(sessions=limits) as server, joining(server) as one, joining(server) as two:
        for _ in range(3):
            await one.send(bytes(10_000))
        assert await two.recv() == bytes(10_000)
        async with asyncio.timeout(10):
            await server.stop()
        assert (await closed(two))[0] == 1001


async def test_who_leaves_ends_the_wait_of_the_other() -> None:
    limits = SessionLimits(bytes_per_second=1, message_bytes=10_000)
    async with relaying(sessions=limits) as server, joining(server) as one:
        async with joining(server) as two:
            for _ in range(3):
                await one.send(bytes(10_000))
            assert await two.recv() == bytes(10_000)
        assert (await closed(one))[0] == LEFT


class Sink:
    """A reader, and the transport to it."""

    write_limit = 1000

    def __init__(self, waiting: int) -> None:
        self.loop = asyncio.get_running_loop()
        self.connection_lost_waiter = self.loop.create_future()
        self.transport = self
        self.waiting = waiting
        self.high = 0

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def set_write_buffer_limits(self, high: int) -> None:
        self.high = high


async def test_what_waits_for_all_slow_readers_is_bounded() -> None:
    sessions = RelaySessions(SessionLimits(write_buffers=2000))
    sinks = [Sink(waiting) for waiting in (400, 400, 0)]
    for sink in sinks:
        sessions._watch(sink)  # type: ignore[arg-type]
    for sink in sinks:
        sessions._make_room(sink, 100)  # type: ignore[arg-type]
    assert [sink.high for sink in sinks] == [1000, 1000, 500]  # two messages more, and it is half of what there is
    assert sessions.stats()["relay_crowded_total"] == 1
    assert sessions.stats()["relay_waiting_bytes"] == 800
    sinks[0].connection_lost_waiter.set_result(None)
    await until(lambda: sessions.stats()["relay_waiting_bytes"] == 400)


async def test_who_does_not_read_is_counted_until_gone() -> None:
    limits = SessionLimits(write_buffers=20_000, message_bytes=10_000)
    async with relaying(sessions=limits) as server, joining(server) as one, joining(server, max_queue=1) as two:
        await until(lambda: server.stats()["relay_sessions_joined_total"] == 1)
        two.transport.pause_reading()
        pushing = asyncio.ensure_future(push(one))
        await until(lambda: server.stats()["relay_waiting_bytes"] > 0)
        pushing.cancel()
        one.transport.abort()
        two.transport.abort()
        await asyncio.gather(pushing, return_exceptions=True)
        await until(lambda: server.stats()["relay_waiting_bytes"] == 0)


async def push(one: ClientConnection) -> None:
    """Send for ever."""
    while True:
        await one.send(bytes(10_000))
