"""A script of HTTP requests, run against a router: a connection each, from our address on its link. I/O."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TypeVar

from atmosphere.ice.portmapping.http import HttpRequest, HttpResponse, ResponseReader, encode
from atmosphere.ice.portmapping.igd import Script
from atmosphere.ice.portmapping.model import NoMapping
from atmosphere.udp.gateway import Link

__all__ = ["fetch", "run"]

T = TypeVar("T")

TIMEOUT = 3.0
"""Seconds for one request; home routers are slow, but not that slow."""


async def run(script: Script[T], link: Link, timeout: float = TIMEOUT) -> T:
    """The result of `script`; raises NoMapping or DecodeError."""
    try:
        request = next(script)
        while True:
            request = script.send(await fetch(request, link, timeout))
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        script.close()


async def fetch(request: HttpRequest, link: Link, timeout: float = TIMEOUT) -> HttpResponse:
    """The answer to one request; raises NoMapping where there is none in time, DecodeError where it is nonsense."""
    url, reader_of = request.url, ResponseReader()
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_connection(
                link.scoped(url.host), url.port, local_addr=(link.scoped(link.address), 0), limit=1 << 16
            )
            try:
                writer.write(encode(request))
                while reader_of.response is None:
                    data = await reader.read(4096)
                    if data:
                        reader_of.feed(data)
                    else:
                        reader_of.end()
                return reader_of.response
            finally:
                writer.transport.abort()
                with suppress(OSError):
                    await writer.wait_closed()
    except TimeoutError:
        raise NoMapping(f"no answer from {url.host} port {url.port}", spoke=False) from None
    except OSError as error:
        raise NoMapping(f"{url.host} port {url.port}: {error.strerror or error}", spoke=False) from None
