"""The little of HTTP/1.1 that a router's UPnP needs (RFC 9112): one request, one answer, the connection closes. Pure.

Nothing is followed: no redirect, no name (hosts are address literals), no other scheme. Sizes are bounded: 8 KB of head
and 64 KB of body. A body ends by its length, by its last chunk, or with the connection.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field

from atmosphere.errors import DecodeError

__all__ = ["MAX_BODY", "HttpRequest", "HttpResponse", "ResponseReader", "Url", "encode", "parse_url"]

MAX_HEAD, MAX_BODY = 8 * 1024, 64 * 1024
MAX_URL = 1024
MAX_CHUNK_LINE = 64

_URL = re.compile(r"http://(\[[0-9A-Fa-f:.]+(?:%25[\w.-]{1,32})?\]|[0-9.]+)(?::([0-9]{1,5}))?(/[!-~]*)?\Z")
_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: |\Z)")
_HEX = re.compile(rb"[0-9A-Fa-f]{1,8}\Z")
_DECIMAL = re.compile(rb"[0-9]{1,8}\Z")


@dataclass(frozen=True)
class Url:
    """A URL of a router: an address literal, a port, a path with its query."""

    host: str
    port: int
    path: str

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}{self.path}"


@dataclass(frozen=True)
class HttpRequest:
    """One request; `body` None is a GET, else a POST."""

    url: Url
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class HttpResponse:
    """Status and body; headers have served their turn."""

    status: int
    body: bytes


def parse_url(text: str) -> Url:
    """The URL in `text`, or DecodeError for another scheme, a host name, a user name, or what is no URL."""
    match = _URL.match(text) if len(text) <= MAX_URL else None
    if match is None:
        raise DecodeError("not the URL of a router")
    try:
        host = str(ipaddress.ip_address(match[1].strip("[]").partition("%")[0]))
    except ValueError:
        raise DecodeError("a router's URL without an IP address") from None
    port = int(match[2] or 80)
    if not 1 <= port <= 65535:
        raise DecodeError("a router's URL with an impossible port")
    return Url(host, port, (match[3] or "/").partition("#")[0])


def encode(request: HttpRequest) -> bytes:
    """The bytes of a request."""
    url = request.url
    host = f"[{url.host}]" if ":" in url.host else url.host
    headers = {"Host": f"{host}:{url.port}", "User-Agent": "Atmosphere UPnP/1.1", "Connection": "close"}
    if request.body is not None:
        headers["Content-Length"] = str(len(request.body))
    lines = [f"{'GET' if request.body is None else 'POST'} {url.path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in (headers | request.headers).items()]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + (request.body or b"")


class ResponseReader:
    """Takes what the connection brings; `response` is there once it is whole."""

    def __init__(self) -> None:
        self.response: HttpResponse | None = None
        self._data = bytearray()
        self._status: int | None = None
        self._length: int | None = None
        self._chunked = False
        self._found, self._place = bytearray(), 0

    def feed(self, data: bytes) -> None:
        """More bytes of the answer; raises DecodeError when it is none, or too long."""
        if self.response is not None:
            return
        self._data += data
        if self._status is None and not self._take_head():
            return
        if len(self._data) > MAX_BODY + MAX_HEAD:
            raise DecodeError("a router's answer is too long")
        body = self._whole_body()
        if body is not None:
            self._end(body)

    def end(self) -> None:
        """The connection was closed; raises DecodeError when the answer is not whole by now."""
        if self.response is not None:
            return
        if self._status is None or self._chunked or self._length is not None:
            raise DecodeError("a router's answer broke off")
        self._end(bytes(self._data))

    def _end(self, body: bytes) -> None:
        if self._status is None or len(body) > MAX_BODY:
            raise DecodeError("a router's answer is too long")
        self.response = HttpResponse(self._status, body)

    def _take_head(self) -> bool:
        end = self._data.find(b"\r\n\r\n")
        if end < 0 or end > MAX_HEAD:
            if len(self._data) > MAX_HEAD:
                raise DecodeError("a router's answer has too many headers")
            return False
        first, *lines = bytes(self._data[:end]).split(b"\r\n")
        del self._data[: end + 4]
        match = _STATUS.match(first)
        if match is None:
            raise DecodeError("not an HTTP answer")
        if match[1].startswith(b"1"):  # 100 Continue: the answer itself follows
            return self._take_head()
        self._take_headers(lines)
        self._status = int(match[1])
        return True

    def _take_headers(self, lines: list[bytes]) -> None:
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        self._chunked = b"chunked" in headers.get(b"transfer-encoding", b"").lower()
        length = headers.get(b"content-length")
        if length is None or self._chunked:
            return
        if not _DECIMAL.match(length) or int(length) > MAX_BODY:
            raise DecodeError("a router's answer is too long")
        self._length = int(length)

    def _whole_body(self) -> bytes | None:
        if self._chunked:
            return self._unchunked()
        if self._length is None or len(self._data) < self._length:
            return None
        return bytes(self._data[: self._length])

    def _unchunked(self) -> bytes | None:
        """The chunks' contents (RFC 9112 §7.1), or None while the last one is missing."""
        while True:
            end = self._data.find(b"\r\n", self._place, self._place + MAX_CHUNK_LINE)
            if end < 0:
                if len(self._data) - self._place >= MAX_CHUNK_LINE:
                    raise DecodeError("not a chunk")
                return None
            word = bytes(self._data[self._place : end]).partition(b";")[0].strip()
            if not _HEX.match(word) or int(word, 16) > MAX_BODY:
                raise DecodeError("not a chunk")
            size = int(word, 16)
            if size == 0:
                return bytes(self._found)
            following = end + 2 + size + 2
            if following > len(self._data):
                return None
            # What is read once is not read again: an answer that comes byte by byte would cost its length squared.
            self._found += self._data[end + 2 : end + 2 + size]
            self._place = following
