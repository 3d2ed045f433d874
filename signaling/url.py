"""The addresses of meeting places: signaling servers, and MQTT brokers (mqtt/url.py)."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

from signaling.errors import InvalidURL
from signaling.mqtt.url import MAX_URL, is_mqtt, parse_broker, redact

_SCHEMES = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}


def normalize(url: str) -> str:
    """The one form of a place's URL: ws:// or wss:// (also from http(s)://), or a broker's; raises InvalidURL.

    A broker's user name and password are no part of it.
    """
    if is_mqtt(url):
        return parse_broker(url).url
    text = url.strip()
    shown = redact(text)
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise InvalidURL(f"{shown!r} is not a URL") from None
    scheme = _SCHEMES.get(parts.scheme.lower())
    if scheme is None or not parts.hostname or len(text) > MAX_URL or not text.isascii() or not text.isprintable():
        raise InvalidURL(f"{shown!r} names no signaling server; write ws://, wss://, mqtt:// or mqtts://HOST[:PORT]")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise InvalidURL(f"{shown!r}: a signaling URL has no user name, password or #fragment")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    place = host if port is None else f"{host}:{port}"
    return urlunsplit((scheme, place, parts.path or "/", parts.query, ""))
