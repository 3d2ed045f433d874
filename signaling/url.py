"""The addresses of signaling servers."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

from signaling.errors import InvalidURL

_SCHEMES = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}


def normalize(url: str) -> str:
    """A ws:// or wss:// URL from one of those or from http(s)://, in one form; raises InvalidURL."""
    text = url.strip()
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise InvalidURL(f"{url!r} is not a URL") from None
    scheme = _SCHEMES.get(parts.scheme.lower())
    if scheme is None or not parts.hostname or len(text) > 512 or not text.isascii() or not text.isprintable():
        raise InvalidURL(f"{url!r} names no signaling server; write ws://HOST[:PORT] or wss://HOST[:PORT]")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise InvalidURL(f"{url!r}: a signaling URL has no user name, password or #fragment")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    place = host if port is None else f"{host}:{port}"
    return urlunsplit((scheme, place, parts.path or "/", parts.query, ""))
