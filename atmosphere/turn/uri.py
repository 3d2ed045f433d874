"""STUN and TURN servers as text: `stun:host[:port]` (RFC 7064), `turn:host[:port][?transport=udp|tcp|ws]` (RFC 7065).

`transport=ws` is ours, TURN over WebSocket: `turns:host?transport=ws&path=/turn` is `wss://host/turn`, and with `turn:`
it is `ws://`. The ports are the web's, 443 and 80, since that is the point of it; the path is `/turn` unless told.

On the command line a TURN server carries its credentials: `turn:user:password@host`. The password is what follows the
*last* colon before the last `@`, because user names of the REST form contain one (`1767225600:alice`); `%3A` and `%40`
stand for a colon or an `@` that would be mistaken. Credentials appear in no text, repr or error that this module makes.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Literal, cast
from urllib.parse import quote, unquote

from atmosphere.errors import DecodeError

Transport = Literal["udp", "tcp", "tls", "ws", "wss"]

DEFAULT_PORT = 3478
TLS_PORT = 5349
WS_PORT, WSS_PORT = 80, 443
DEFAULT_PATH = "/turn"
MAX_PATH = 200
_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?")
_RELAY_PATH = re.compile(r"(?:/[A-Za-z0-9_-]{1,40}){0,3}/turn")
_PORT = re.compile(r"[0-9]{1,5}")
_HINT = "write it as stun:host:port, or turn:user:password@host:port?transport=tcp"
_WS_HINT = "write it as turns:host?transport=ws&path=/turn"
_TRANSPORTS: dict[tuple[str, str], Transport] = {
    ("turn", "udp"): "udp",
    ("turn", "tcp"): "tcp",
    ("turn", "ws"): "ws",
    ("turns", "tcp"): "tls",
    ("turns", "ws"): "wss",
}
"""Scheme and `transport` of a URI → what that is called here."""


@dataclass(frozen=True)
class ServerUri:
    """One STUN or TURN server: `scheme` stun, turn or turns; `host` a name or an address without brackets; `port`.

    `transport` is None where the URI does not say: UDP first, then TCP. `path` is where the WebSocket is ("" for the
    other transports), without any percent-encoding.
    """

    scheme: Literal["stun", "turn", "turns"]
    host: str
    port: int
    transport: Transport | None = None
    path: str = ""

    @property
    def is_websocket(self) -> bool:
        """Whether the server is reached over WebSocket."""
        return self.transport in ("ws", "wss")

    @property
    def authority(self) -> str:
        """Host and port as URLs have them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The WebSocket's address, `ws://…` or `wss://…`."""
        return f"{self.transport}://{self._place}{quote(self.path)}"

    @property
    def is_modest(self) -> bool:
        """Whether strangers may have us ask it: a WebSocket must be at a path that relays have.

        Whoever lends or offers a server may be hostile, and a GET of any path on any host, one behind our firewall
        say, is more than it shall have.
        """
        return not self.path or _RELAY_PATH.fullmatch(self.path) is not None

    @property
    def _place(self) -> str:
        standard = f":{default_port(self.scheme, self.transport)}"
        return self.authority.removesuffix(standard) if self.authority.endswith(standard) else self.authority

    def __str__(self) -> str:
        query = f"?transport={self.transport}" if self.transport in ("udp", "tcp") else ""
        if self.is_websocket:
            query = "?transport=ws" + (f"&path={quote(self.path)}" if self.path != DEFAULT_PATH else "")
        return f"{self.scheme}:{self._place}{query}"


@dataclass(frozen=True)
class TurnServer:
    """A TURN server and the long-term credentials to use there; None where it asks for none.

    `lender` is the id of the member whose relay it is; empty where it is nobody's.
    """

    uri: ServerUri
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    lender: str = ""

    @property
    def expires_at(self) -> float | None:
        """When REST credentials (user name `expiry[:id]`) end, unix seconds; None for others."""
        head = (self.username or "").partition(":")[0]
        return float(head) if re.fullmatch(r"[0-9]{10}", head) else None

    def __str__(self) -> str:
        return str(self.uri)


def default_port(scheme: str, transport: Transport | None = None) -> int:
    """The port a URI without one means."""
    if transport in ("ws", "wss"):
        return WSS_PORT if transport == "wss" else WS_PORT
    return TLS_PORT if scheme == "turns" else DEFAULT_PORT


def parse_stun(text: str) -> ServerUri:
    """The STUN server that `text` names, `stun:` being optional; raises DecodeError with one line for a person."""
    if not text.lower().startswith(("stun:", "stuns:", "turn:", "turns:")):
        text = f"stun:{text}"
    scheme, rest = _split(text)
    if scheme != "stun":
        raise DecodeError(f"{scheme}: is not a STUN server of the kind we can ask", hint="write it as stun:host:port")
    if "@" in rest or "?" in rest:
        raise DecodeError("a STUN server has no user name and no transport", hint="write it as stun:host:port")
    host, port = _host_port(rest, DEFAULT_PORT)
    return ServerUri("stun", host, port)


def parse_turn(text: str, *, username: str | None = None, password: str | None = None) -> TurnServer:
    """The TURN server that `text` names, with the credentials in it or those given; raises DecodeError."""
    scheme, rest = _split(text)
    if scheme not in ("turn", "turns"):
        raise DecodeError(f"{scheme}: is not a TURN server", hint=_HINT)
    credentials, at, rest = rest.rpartition("@")
    place, _, query = rest.partition("?")
    transport, path = _query(scheme, query)
    host, port = _host_port(place, default_port(scheme, transport))
    uri = ServerUri(cast("Literal['turn', 'turns']", scheme), host, port, transport, path)
    if at:
        username, password = _credentials(credentials)
    return TurnServer(uri, username, password)


def _split(text: str) -> tuple[str, str]:
    text = text.strip()
    scheme, colon, rest = text.partition(":")
    scheme = scheme.lower()
    if len(text) > 1024 or not colon or scheme not in ("stun", "stuns", "turn", "turns"):
        raise DecodeError("not the address of a STUN or TURN server", hint=_HINT)
    return scheme, rest.removeprefix("//")


def _credentials(text: str) -> tuple[str, str]:
    user, colon, password = text.rpartition(":")
    if not colon or not user or not password:
        raise DecodeError("a TURN server's credentials are user:password before the @", hint=_HINT)
    return unquote(user), unquote(password)


def _query(scheme: str, query: str) -> tuple[Transport | None, str]:
    """The transport and the path that a URI asks for."""
    told: dict[str, str] = {}
    for item in query.split("&") if query else []:
        name, _, value = item.partition("=")
        if name not in ("transport", "path") or name in told:
            raise DecodeError("a TURN server's URI may have a transport and a path after the ?", hint=_HINT)
        told[name] = value
    transport = _transport(scheme, told["transport"]) if "transport" in told else None
    path = told.get("path")
    if transport not in ("ws", "wss"):
        if path is not None:
            raise DecodeError("only TURN over WebSocket has a path", hint=_WS_HINT)
        return transport or ("tls" if scheme == "turns" else None), ""
    return transport, DEFAULT_PATH if path is None else _path(path)


def _transport(scheme: str, name: str) -> Transport:
    transport = _TRANSPORTS.get((scheme, name.lower()))
    if transport is None and name.lower() == "udp":
        raise DecodeError("turns: over UDP (DTLS) is not supported", hint="use turns:host?transport=tcp")
    if transport is None:
        raise DecodeError("a TURN server's transport is udp, tcp or ws", hint=_HINT)
    return transport


def _path(text: str) -> str:
    try:
        path = unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise DecodeError("a path's percent-encoding is not UTF-8", hint=_WS_HINT) from None
    if not path.startswith("/") or len(path) > MAX_PATH or not path.isprintable():
        raise DecodeError(f"a WebSocket's path begins with / and has at most {MAX_PATH} characters", hint=_WS_HINT)
    return path


def _host_port(text: str, default: int) -> tuple[str, int]:
    if text.startswith("["):
        host, bracket, tail = text[1:].partition("]")
        if not bracket or (tail and not tail.startswith(":")) or not _is_address(host, 6):
            raise DecodeError(f"not an IPv6 address in brackets: {text[:60]!r}", hint=_HINT)
        port = tail[1:]
    elif text.count(":") > 1:
        raise DecodeError(f"not a host and port: {text[:60]!r}", hint="put an IPv6 address in brackets")
    else:
        host, colon, port = text.partition(":")
        tail = colon
        _check_host(host)
    return host, _port(port, default) if tail else default


def _check_host(host: str) -> None:
    if not host:
        raise DecodeError("a server's host is missing", hint=_HINT)
    numeric = re.fullmatch(r"[0-9.]+", host)
    valid = _is_address(host, 4) if numeric else len(host) <= 253 and _NAME.fullmatch(host)
    if not valid:
        raise DecodeError(f"not a host: {host[:60]!r}", hint=_HINT)


def _is_address(text: str, version: int) -> bool:
    try:
        return ipaddress.ip_address(text).version == version and "%" not in text
    except ValueError:
        return False


def _port(text: str, default: int) -> int:
    port = int(text) if _PORT.fullmatch(text) else 0
    if not 0 < port < 65536:
        raise DecodeError(f"not a port: {text[:20]!r}", hint=f"1 to 65535; without one it is {default}")
    return port
