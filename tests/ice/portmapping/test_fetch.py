from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager

import pytest

from atmosphere.errors import DecodeError
from atmosphere.ice.portmapping.fetch import fetch, run
from atmosphere.ice.portmapping.http import HttpRequest, HttpResponse, Url
from atmosphere.ice.portmapping.model import NoMapping
from tests.ice.portmapping.fake_gateway import LINK

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def server(serve: Serve) -> AsyncIterator[Url]:
    """Where `serve` has every connection."""
    tasks = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.current_task())
        try:
            await serve(reader, writer)
        finally:
            writer.close()

    listening = await asyncio.start_server(connected, "127.0.0.1", 0)
    yield Url("127.0.0.1", listening.sockets[0].getsockname()[1], "/d.xml")
    listening.close()
    for task in tasks:
        assert task is not None
        task.cancel()
    await asyncio.gather(*(task for task in tasks if task), return_exceptions=True)
    await listening.wait_closed()


async def test_an_answer() -> None:
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.0 200 OK\r\n\r\nhello")

    async with server(serve) as url:
        assert await fetch(HttpRequest(url), LINK) == HttpResponse(200, b"hello")
    assert heads[0].startswith(b"GET /d.xml HTTP/1.1\r\n")


async def test_a_router_that_says_nothing() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with server(serve) as url:
        with pytest.raises(NoMapping, match=r"no answer from 127\.0\.0\.1"):
            await fetch(HttpRequest(url), LINK, 0.05)


async def test_a_router_that_never_stops() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while not writer.transport.is_closing():
            writer.write(b"x" * 4096)
            await writer.drain()

    async with server(serve) as url:
        with pytest.raises(DecodeError, match="too long"):
            await fetch(HttpRequest(url), LINK)


async def test_an_answer_that_breaks_off() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")

    async with server(serve) as url:
        with pytest.raises(DecodeError, match="broke off"):
            await fetch(HttpRequest(url), LINK)


async def test_nobody_there() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pass

    async with server(serve) as url:
        pass
    with pytest.raises(NoMapping) as caught:
        await fetch(HttpRequest(url), LINK)
    assert not caught.value.spoke


async def test_a_script() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.0 200 OK\r\n\r\n" + head.split()[1])

    def script(url: Url) -> Generator[HttpRequest, HttpResponse, list[bytes]]:
        one = yield HttpRequest(url)
        two = yield HttpRequest(Url(url.host, url.port, "/two"))
        return [one.body, two.body]

    async with server(serve) as url:
        assert await run(script(url), LINK) == [b"/d.xml", b"/two"]
