"""HTTP's CONNECT (RFC 9110 §9.3.6): how a proxy is asked for a tunnel, and what it answers. Pure.

CONNECT relay.example:5349 HTTP/1.1          HTTP/1.1 200 Connection established
Host: relay.example:5349                     (headers, which mean nothing to us)
Proxy-Authorization: Basic YmVuOnh5eg==
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

from atmosphere.errors import DecodeError, Unreachable

MAX_ANSWER = 16_384
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: ([^\r\n]*))?\r?\n")
_HINT = "write it as http://user:password@host:port in HTTPS_PROXY"


@dataclass(frozen=True)
class Proxy:
    """An HTTP proxy: where it is, whether it is spoken to over TLS, and who we are to it."""

    host: str
    port: int
    tls: bool = False
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)


def parse_proxy(url: str) -> Proxy:
    """The proxy at an http:// or https:// `url`; raises DecodeError, which never shows the URL: it may hold a password.

    Without a port it is 80, or 443.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise DecodeError("the proxy in the environment is not a URL", hint=_HINT) from None
    if parts.scheme not in ("http", "https"):
        raise DecodeError("the proxy in the environment is no HTTP proxy", hint=_HINT)
    if not parts.hostname or not parts.hostname.isprintable() or parts.path not in ("", "/") or port == 0:
        raise DecodeError("the proxy in the environment has no host, or more than a host and a port", hint=_HINT)
    tls = parts.scheme == "https"
    return Proxy(parts.hostname, port or (443 if tls else 80), tls, *_credentials(parts))


def _credentials(parts: SplitResult) -> tuple[str | None, str | None]:
    if parts.username is None:
        return None, None
    return unquote(parts.username), unquote(parts.password or "")


def connect_request(proxy: Proxy, host: str, port: int) -> bytes:
    """What asks `proxy` for a tunnel to a host (a name or an address without brackets) and port."""
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {place} HTTP/1.1", f"Host: {place}"]
    if proxy.username is not None:
        credentials = base64.b64encode(f"{proxy.username}:{proxy.password}".encode()).decode()
        lines.append(f"Proxy-Authorization: Basic {credentials}")
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode()


class ConnectAnswer:
    """The proxy's answer, taken as it comes; holds at most 16 KB of it."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> bool:
        """Whether the tunnel is open now; raises Unreachable where it will not be, with one line saying why.

        Whoever asked speaks first in the tunnel, so bytes after the answer are none of the server's.
        """
        self._buffer += data
        end = re.search(rb"\r?\n\r?\n", self._buffer)
        if end is None and len(self._buffer) <= MAX_ANSWER:
            return False
        status = _STATUS.match(self._buffer)
        if status is None or end is None or end.end() > MAX_ANSWER:
            raise Unreachable("the proxy does not answer as one")
        if not status[1].startswith(b"2"):
            phrase = "".join(filter(str.isprintable, (status[2] or b"").decode("latin-1")))[:60]
            raise Unreachable(f"the proxy refused: {status[1].decode()} {phrase}".rstrip())
        if end.end() != len(self._buffer):
            raise Unreachable("the proxy does not answer as one")
        return True
