"""Does a signaling server answer itself, or does somebody on the way answer in its place (a captive portal)?

Only servers that the user named are asked, by the page that each has for this (`/health`): nobody else hears of it.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from atmosphere.errors import AtmosphereError
from atmosphere.tcp.tunnel import open_tunnel
from signaling.proxy import proxy_for

__all__ = ["HealthAnswer", "ask_health", "judge"]

MOST_READ = 4096
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})")
_LOCATION = re.compile(rb"\r\nlocation:[ \t]*([^\r\n]*)", re.IGNORECASE)


@dataclass(frozen=True)
class HealthAnswer:
    """`ok`: the server itself answered, after `rtt` seconds, from the address `host` ("": a proxy knows it); else one
    line, `error`, why not.

    `portal`: somebody else answered in its place; None where that cannot be told.
    """

    ok: bool = False
    rtt: float | None = None
    host: str = ""
    error: str | None = None
    portal: bool | None = None


async def ask_health(url: str, *, timeout: float) -> HealthAnswer:
    """What answers at a signaling server's `url` (ws:// or wss://, normalized). Never raises, but for cancellation."""
    parts, proxy, started = urlsplit(url), proxy_for(url), asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await _connect(parts, proxy)
            try:
                writer.write(_request(parts))
                data = await _read(reader)
                host = "" if proxy else writer.get_extra_info("peername")[0]
            finally:
                writer.transport.abort()
    except TimeoutError:
        return HealthAnswer(error="no answer")
    except ssl.SSLCertVerificationError as error:
        return HealthAnswer(error=f"its certificate is not valid: {error.verify_message}")
    except (AtmosphereError, OSError, asyncio.IncompleteReadError) as error:
        return HealthAnswer(error=str(getattr(error, "strerror", None) or error or "no answer").lower())
    wrong = judge(data, parts.hostname or "", tls=parts.scheme == "wss")
    if wrong is not None:
        return wrong
    return HealthAnswer(True, asyncio.get_running_loop().time() - started, host, None, False)


def judge(data: bytes, host: str, *, tls: bool) -> HealthAnswer | None:
    """What the beginning of an HTTP response to `/health` of `host` means; None for the server's own answer. Pure.

    With `tls` it has a certificate for that name, and so is no portal whatever it says.
    """
    head, _, body = data.partition(b"\r\n\r\n")
    status = _STATUS.match(head)
    if status is None:
        return HealthAnswer(error="what answers speaks no HTTP")
    if any(line.startswith((b"ok", b"draining")) for line in body.splitlines()):
        return None
    code = int(status[1])
    elsewhere = code // 100 == 3 and _leads_elsewhere(head, host)
    if not tls and (code in (200, 511) or elsewhere):
        return HealthAnswer(error=f"something else answers in its place (HTTP {code})", portal=True)
    return HealthAnswer(error=f"no signaling server answers there (HTTP {code})", portal=False if tls else None)


def _leads_elsewhere(head: bytes, host: str) -> bool:
    location = _LOCATION.search(head)
    if location is None:
        return False
    try:
        target = urlsplit(location[1].decode("latin-1")).hostname
    except ValueError:
        return True
    return target is not None and target != host


async def _connect(parts: SplitResult, proxy: str | None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, tls = parts.hostname or "", parts.scheme == "wss"
    port = parts.port or (443 if tls else 80)
    if proxy is None:
        return await asyncio.open_connection(host, port, ssl=ssl.create_default_context() if tls else None)
    loop = asyncio.get_running_loop()
    transport = await open_tunnel(proxy, host, port)
    reader = asyncio.StreamReader(limit=MOST_READ)
    protocol = asyncio.StreamReaderProtocol(reader)
    if tls:
        # The stream takes over after the handshake, as its connection begins with it.
        secured = await loop.start_tls(
            transport, asyncio.Protocol(), ssl.create_default_context(), server_hostname=host
        )
        assert secured is not None  # noqa: S101 - only uvloop's stub says so
        transport = secured
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


def _request(parts: SplitResult) -> bytes:
    path = parts.path.removesuffix("/").removesuffix("/signal")
    lines = (
        f"GET {path}/health HTTP/1.1",
        f"Host: {parts.netloc}",
        "Connection: close",
        "User-Agent: atmosphere",
        "",
        "",
    )
    return "\r\n".join(lines).encode()


async def _read(reader: asyncio.StreamReader) -> bytes:
    """The response to its end, or its first 4 KB."""
    data = b""
    while len(data) < MOST_READ and (more := await reader.read(MOST_READ - len(data))):
        data += more
    return data
