"""The proxy on the way to a server, as the environment names it; websockets goes through it (CONNECT, RFC 9110 §9.3.6).

HTTPS_PROXY for wss://, and for ws:// too where HTTP_PROXY is not set, since CONNECT is the same for both (RFC 6455
§4.1); then ALL_PROXY. NO_PROXY lists whom to reach without: `*`, a name and all beneath it, an address or a network
such as 10.0.0.0/8, each with or without a port. Lower case counts before upper case. Loopback is reached directly.

websockets would choose by itself, but sends loopback through the proxy and knows neither ALL_PROXY nor networks.
"""

from __future__ import annotations

import ipaddress
import socket
import urllib.request
from collections.abc import Mapping
from urllib.parse import urlsplit

from websockets.exceptions import InvalidProxy, InvalidProxyMessage, InvalidProxyStatus, ProxyError

_ORDER = {"wss": ("wss", "https", "all"), "ws": ("ws", "http", "https", "all")}


def proxy_for(url: str) -> str | None:
    """The URL of the proxy to take on the way to a ws:// or wss:// `url`, or None; it may hold a password."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if urllib.request.proxy_bypass(f"{host}:{parts.port}" if parts.port else host):
        return None  # the settings of Windows and macOS, whose exceptions are not in `getproxies`
    return choose(url, urllib.request.getproxies())


def choose(url: str, proxies: Mapping[str, str]) -> str | None:
    """The one of `proxies` (scheme → URL, `no` → exceptions) to take on the way to `url`, or None."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "wss" else 80)
    if _is_loopback(host) or any(_covers(entry, host, port) for entry in proxies.get("no", "").split(",")):
        return None
    found = next((proxies[name] for name in _ORDER[parts.scheme] if proxies.get(name)), None)
    return found if found is None or "://" in found else f"http://{found}"


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = _address(host)
    return address is not None and address.is_loopback


def _covers(entry: str, host: str, port: int) -> bool:
    """Whether an entry of NO_PROXY means this host and port."""
    entry = entry.strip().lower()
    if entry == "*":
        return True
    name, colon, tail = entry.rpartition(":")
    if colon and tail.isdecimal() and (name.endswith("]") or ":" not in name):
        if int(tail) != port:
            return False
        entry = name
    entry = entry.strip("[]").removeprefix("*").lstrip(".")
    address = _address(host)
    if address is not None:
        return _within(entry, address)
    return bool(entry) and (host == entry or host.endswith(f".{entry}"))


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _within(entry: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    try:
        return address in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False


def describe_proxy_error(error: BaseException) -> str | None:
    """One line where it is the proxy that a connection failed at, without its URL; None where it is not."""
    if isinstance(error, InvalidProxyStatus):
        phrase = "".join(filter(str.isprintable, error.response.reason_phrase))[:60]
        return f"the proxy refused: {error.response.status_code} {phrase}".rstrip()
    if isinstance(error, InvalidProxyMessage):
        return "the proxy does not answer as one"
    if isinstance(error, InvalidProxy):
        return f"the proxy in the environment cannot be used: {error.msg}"
    if isinstance(error, ImportError):
        return "a SOCKS proxy needs the package python-socks"
    if isinstance(error, socket.gaierror):
        return "the proxy's name does not resolve"
    if isinstance(error, ConnectionRefusedError):
        return "the proxy is not there: connection refused"
    return "the proxy refused" if isinstance(error, ProxyError) else None
