"""A TCP connection through an HTTP proxy."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import cast

from atmosphere.errors import Unreachable
from atmosphere.tcp.proxy import ConnectAnswer, connect_request, parse_proxy


class _Opening(asyncio.Protocol):
    """Asks, and settles `opened` by the answer."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._answer = ConnectAnswer()
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).write(self._request)

    def data_received(self, data: bytes) -> None:
        if self.opened.done():
            return
        try:
            if self._answer.feed(data):
                self.opened.set_result(None)
        except Unreachable as error:
            self.opened.set_exception(error)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(Unreachable("the proxy closed the connection"))


async def open_tunnel(proxy_url: str, host: str, port: int, *, tls: ssl.SSLContext | None = None) -> asyncio.Transport:
    """A connection to `host` and `port` through the proxy, which resolves the name; set its protocol, or start TLS.

    Raises Unreachable or DecodeError with one line about the proxy, or OSError. `tls` overrides the default context
    for an https:// proxy.
    """
    proxy = parse_proxy(proxy_url)
    context = (tls or ssl.create_default_context()) if proxy.tls else None
    try:
        transport, opening = await asyncio.get_running_loop().create_connection(
            lambda: _Opening(connect_request(proxy, host, port)), proxy.host, proxy.port, ssl=context
        )
    except ConnectionRefusedError as error:
        raise Unreachable("the proxy is not there: connection refused") from error
    except socket.gaierror as error:
        raise Unreachable("the proxy's name does not resolve") from error
    try:
        await opening.opened
    except BaseException:
        transport.abort()
        raise
    return transport
