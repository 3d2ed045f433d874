"""The addresses of MQTT brokers (pure).

    mqtt://[USER:PASSWORD@]HOST[:1883][?prefix=TOPIC]
    mqtts://[USER:PASSWORD@]HOST[:8883][?prefix=TOPIC]              over TLS
    ws+mqtt://[USER:PASSWORD@]HOST[:80][/mqtt][?prefix=TOPIC]       over WebSocket
    wss+mqtt://[USER:PASSWORD@]HOST[:443][/mqtt][?prefix=TOPIC]     over WebSocket and TLS

User name and password are percent-encoded (RFC 3986 §3.2.1). They belong to us and not to the place: `Broker.url`,
which is shown, logged, put into join codes and told to others, is without them. Whoever meets somewhere uses the same
prefix.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from signaling.errors import InvalidURL

DEFAULT_PREFIX = "atmosphere"
MAX_URL = 512
_PORTS = {"mqtt": 1883, "mqtts": 8883, "ws+mqtt": 80, "wss+mqtt": 443}
_PATH = "/mqtt"
_PREFIX = re.compile(r"[A-Za-z0-9._~/-]{1,64}\Z")


@dataclass(frozen=True)
class Broker:
    """One broker, and what it knows us by; its repr hides the password."""

    scheme: str
    """mqtt, mqtts, ws+mqtt or wss+mqtt."""
    host: str
    port: int
    path: str = ""
    """Of the WebSocket; empty over TCP."""
    prefix: str = DEFAULT_PREFIX
    """What all our topics there begin with."""
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted and the broker's certificate checked."""
        return self.scheme in ("mqtts", "wss+mqtt")

    @property
    def place(self) -> str:
        """Host and, unless it is the scheme's own, port, as a URL has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The one form of its URL, without user name and password."""
        query = "" if self.prefix == DEFAULT_PREFIX else f"?prefix={quote(self.prefix)}"
        return f"{self.scheme}://{self.place}{self.path}{query}"


def is_mqtt(url: str) -> bool:
    """Whether a URL's scheme is one of a broker's."""
    return url.strip().partition("://")[0].lower() in _PORTS


def parse_broker(url: str) -> Broker:
    """The broker that a URL names; raises InvalidURL, whose text holds no password."""
    text = url.strip()
    shown = redact(text)
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise InvalidURL(f"{shown!r} is not a URL") from None
    if not parts.hostname or port == 0 or len(text) > MAX_URL or not text.isascii() or not text.isprintable():
        raise InvalidURL(f"{shown!r} names no MQTT broker; write mqtts://HOST[:PORT]")
    if parts.fragment or " " in text:
        raise InvalidURL(f"{shown!r}: the URL of a broker has no spaces and no #fragment")
    scheme = parts.scheme.lower()
    return Broker(
        scheme,
        parts.hostname,
        port or _PORTS[scheme],
        _path_of(parts, shown),
        _prefix_of(parts, shown),
        None if parts.username is None else unquote(parts.username),
        None if parts.password is None else unquote(parts.password),
    )


def redact(url: str) -> str:
    """A URL of any kind with what stands before its host, but for the user's name, as `***`."""
    scheme, separator, rest = url.partition("://")
    end = next((place for place, letter in enumerate(rest) if letter in "/?#"), len(rest))
    # A password that should have been percent-encoded may hold any of these: nothing before the last @ is shown.
    at = rest.rfind("@")
    if at < 0:
        return url
    user = rest[: min(end, at)].partition(":")[0]
    return f"{scheme}{separator}{user}:***{rest[at:]}"


def _path_of(parts: SplitResult, shown: str) -> str:
    if parts.scheme.lower() in ("ws+mqtt", "wss+mqtt"):
        return parts.path if parts.path not in ("", "/") else _PATH
    if parts.path not in ("", "/"):
        raise InvalidURL(f"{shown!r}: the URL of a broker has no path over TCP; topics begin with ?prefix=TOPIC")
    return ""


def _prefix_of(parts: SplitResult, shown: str) -> str:
    found = dict(parse_qsl(parts.query, keep_blank_values=True))
    prefix = found.pop("prefix", DEFAULT_PREFIX).strip("/")
    if found or not _PREFIX.match(prefix):
        raise InvalidURL(f"{shown!r}: after the ? of a broker's URL stands prefix=TOPIC, letters, digits and / only")
    return prefix
