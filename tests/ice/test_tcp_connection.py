"""atmosphere.ice.tcp_connection, on socket pairs: datagrams through a stream that may be slow, cut or over."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import struct
from collections.abc import AsyncIterator

import pytest

from atmosphere.ice.tcp_connection import MAX_WAITING, TcpConnection
from atmosphere.ice.tcp_framing import MAX_FRAME, Deframer, frame
from tests.until import until


def stream() -> tuple[socket.socket, socket.socket]:
    """The two ends of a TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    far.setblocking(False)
    near.setblocking(False)
    return near, far


@contextlib.asynccontextmanager
async def connected(connection: TcpConnection) -> AsyncIterator[socket.socket]:
    """The far end, as a plain socket."""
    near, far = stream()
    await asyncio.get_running_loop().create_connection(lambda: connection, sock=near)
    try:
        yield far
    finally:
        connection.close()
        far.close()


async def test_datagrams_both_ways() -> None:
    connection, got = TcpConnection(), list[bytes]()
    connection.on_datagram = got.append
    async with connected(connection) as far:
        loop = asyncio.get_running_loop()
        connection.send(b"one")
        connection.send(b"two", ("192.0.2.1", 1))
        assert Deframer().feed(await loop.sock_recv(far, 100)) == [b"one", b"two"]
        stream = frame(b"three") + frame(b"four")
        for byte in stream:
            await loop.sock_sendall(far, bytes((byte,)))
        await until(lambda: got == [b"three", b"four"])


async def test_a_reader_that_is_slow_loses_datagrams() -> None:
    connection = TcpConnection()
    async with connected(connection) as far:
        sent = 0
        while not connection.dropped:
            connection.send(sent.to_bytes(4) + bytes(60_000))
            sent += 1
        assert connection._transport is not None
        assert connection._transport.get_write_buffer_size() <= MAX_WAITING
        deframer, got = Deframer(), list[bytes]()
        while len(got) < sent - 1:
            got += deframer.feed(await asyncio.get_running_loop().sock_recv(far, 1 << 20))
        assert [int.from_bytes(one[:4]) for one in got] == list(range(sent - 1)), "whole ones, in order"


async def test_what_no_frame_holds_is_not_sent() -> None:
    connection = TcpConnection()
    async with connected(connection) as far:
        connection.send(bytes(MAX_FRAME + 1))
        connection.send(b"next")
        assert await asyncio.get_running_loop().sock_recv(far, 100) == frame(b"next")


async def test_it_ends_once_and_says_why() -> None:
    connection, told = TcpConnection(), list[str]()
    connection.on_end = told.append
    connection.send(b"before there is a connection")
    async with connected(connection) as far:
        far.close()
        await until(lambda: told)
        connection.close("too late")
        connection.send(b"too late")
    assert told == ["the other side closed the connection"]
    assert connection.is_over


async def test_a_burst_into_a_connection_that_was_reset_is_lost_without_a_word(
    caplog: pytest.LogCaptureFixture,
) -> None:
    connection, told = TcpConnection(), list[str]()
    connection.on_end = told.append
    async with connected(connection) as far:
        far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        far.close()
        for _ in range(20):  # all of it before the loop could say that it ended
            connection.send(b"lost")
        assert told == []
        await until(lambda: told)
    assert caplog.messages == []


async def test_a_reset_is_named() -> None:
    connection, told = TcpConnection(), list[str]()
    connection.on_end = told.append
    async with connected(connection) as far:
        far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        far.close()
        await until(lambda: told)
    assert told == [os.strerror(errno.ECONNRESET).lower()]


async def test_after_close_nothing_is_delivered() -> None:
    connection, got = TcpConnection(), list[bytes]()

    def once(datagram: bytes) -> None:
        got.append(datagram)
        connection.close("enough")

    connection.on_datagram = once
    connection.data_received(frame(b"one") + frame(b"two"))
    assert got == [b"one"]


async def test_one_that_was_closed_before_it_stood_is_cut() -> None:
    connection = TcpConnection()
    connection.on_datagram(b"nobody listens")
    connection.close()
    async with connected(connection) as far:
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.get_running_loop().sock_recv(far, 1) == b""


async def test_a_system_without_the_options_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "TCP_USER_TIMEOUT")
    monkeypatch.setattr(socket, "TCP_NOTSENT_LOWAT", 9999)
    connection = TcpConnection()
    async with connected(connection) as far:
        connection.send(b"all the same")
        assert await asyncio.get_running_loop().sock_recv(far, 100) == frame(b"all the same")
