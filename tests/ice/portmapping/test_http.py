from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.errors import DecodeError
from atmosphere.ice.portmapping.http import (
    MAX_BODY,
    MAX_HEAD,
    HttpRequest,
    HttpResponse,
    ResponseReader,
    Url,
    encode,
    parse_url,
)

OK = b"HTTP/1.1 200 OK\r\n"
PIECES = [b"\r\n", b"HTTP/1.1 200 OK", b"Content-Length: 3", b"Transfer-Encoding: chunked", b"3", b"abc", b"0", b"x"]


def read(data: bytes, *, ends: bool = True) -> HttpResponse | None:
    reader = ResponseReader()
    reader.feed(data)
    if ends:
        reader.end()
    return reader.response


def outcome(data: bytes, step: int) -> HttpResponse | str | None:
    """What comes of `data` in pieces of `step` bytes."""
    reader = ResponseReader()
    try:
        for start in range(0, len(data), step):
            reader.feed(data[start : start + step])
            if reader.response is not None:
                return reader.response
        reader.end()
    except DecodeError:
        return "refused"
    return reader.response


@given(st.binary(max_size=200), st.lists(st.sampled_from(PIECES), max_size=30).map(b"".join))
def test_byte_by_byte_is_the_same_as_whole(noise: bytes, text: bytes) -> None:
    for data in (noise, text, OK + text, OK + b"Transfer-Encoding: chunked\r\n\r\n" + text):
        assert outcome(data, 1) == outcome(data, len(data) or 1)


def test_bodies() -> None:
    assert read(OK + b"Content-Length: 3\r\n\r\nabcdef") == HttpResponse(200, b"abc")
    assert read(b"HTTP/1.0 500 No\r\n\r\nabc") == HttpResponse(500, b"abc")
    chunked = OK + b"transfer-encoding: Chunked\r\n\r\n2;x=y\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    assert read(chunked, ends=False) == HttpResponse(200, b"abc")
    assert read(b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 0\r\n\r\n") == HttpResponse(200, b"")


def test_what_comes_after_the_answer_is_ignored() -> None:
    reader = ResponseReader()
    reader.feed(OK + b"Content-Length: 0\r\n\r\n")
    reader.feed(b"x" * 10 * MAX_BODY)
    reader.end()
    assert reader.response == HttpResponse(200, b"")


def test_an_answer_that_is_not_whole_yet() -> None:
    for part in (b"HTTP/1.1 2", OK, OK + b"Content-Length: 3\r\n\r\nab", OK + b"Transfer-Encoding: chunked\r\n\r\n2"):
        assert read(part, ends=False) is None
        with pytest.raises(DecodeError):
            read(part)


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        OK + b"Content-Length: -1\r\n\r\n",
        OK + b"Content-Length: 99999999\r\n\r\n",
        OK + b"X: " + b"y" * MAX_HEAD + b"\r\n\r\n",
        OK + b"X: " + b"y" * MAX_HEAD,
        OK + b"\r\n" + b"z" * (MAX_BODY + 1),
        OK + b"\r\n" + b"z" * (MAX_BODY + MAX_HEAD + 1),
        OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nfffff\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"1" * 70,
        OK + b"Transfer-Encoding: chunked\r\n\r\n" + (b"ffff\r\n" + b"z" * 65535 + b"\r\n") * 2,
    ],
    ids=[
        "ssh",
        "http2",
        "negative",
        "huge",
        "long head",
        "long head without end",
        "long body",
        "endless body",
        "no number",
        "huge chunk",
        "endless chunk line",
        "many chunks",
    ],
)
def test_what_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        read(data)


def test_chunks_that_add_up_to_too_much() -> None:
    reader = ResponseReader()
    chunk = b"fff0\r\n" + b"z" * 0xFFF0 + b"\r\n"
    reader.feed(OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunk)
    with pytest.raises(DecodeError):
        reader.feed(b"100\r\n" + b"z" * 256 + b"\r\n0\r\n\r\n")


class Counted(bytearray):
    """What came; counts how often a line is looked for in it."""

    looks = 0

    def find(self, *arguments: Any) -> int:
        self.looks += 1
        return super().find(*arguments)


def test_each_chunk_is_read_once_however_the_answer_comes() -> None:
    reader, chunks = ResponseReader(), 2000
    reader.feed(OK + b"Transfer-Encoding: chunked\r\n\r\n")
    counted = reader._data = Counted()
    for _ in range(chunks):
        reader.feed(b"1\r\nx\r\n")
    assert counted.looks == 2 * chunks
    reader.feed(b"0\r\n")
    assert reader.response == HttpResponse(200, b"x" * chunks)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://192.168.1.1", Url("192.168.1.1", 80, "/")),
        ("http://192.168.1.1:5000/a/b.xml?c=d#e", Url("192.168.1.1", 5000, "/a/b.xml?c=d")),
        ("http://[2001:DB8::1]:5000/x", Url("2001:db8::1", 5000, "/x")),
        ("http://[fe80::1%25eth0]/x", Url("fe80::1", 80, "/x")),
    ],
)
def test_urls(text: str, url: Url) -> None:
    assert parse_url(text) == url
    assert parse_url(str(url)) == url


@pytest.mark.parametrize(
    "text",
    [
        "https://192.168.1.1/",
        "http://router.lan/",
        "http://user@192.168.1.1/",
        "http://192.168.1.1:0/",
        "http://192.168.1.1:99999/",
        "http://192.168.1.1/a b",
        "http://192.168.1.1/\r\nX: y",
        "http://192.168.1/",
        "http://[::1/",
        "http://192.168.1.1/" + "x" * 2000,
        "ftp://192.168.1.1/",
        "",
    ],
)
def test_urls_that_are_refused(text: str) -> None:
    with pytest.raises(DecodeError):
        parse_url(text)


@given(st.text(max_size=60))
def test_arbitrary_urls(text: str) -> None:
    for whole in (text, "http://" + text, "http://192.168.1.1" + text):
        try:
            url = parse_url(whole)
        except DecodeError:
            continue
        assert "\n" not in str(url)
        assert " " not in str(url)


def test_requests() -> None:
    get = encode(HttpRequest(Url("192.168.1.1", 5000, "/d.xml")))
    assert get.startswith(b"GET /d.xml HTTP/1.1\r\nHost: 192.168.1.1:5000\r\n")
    assert get.endswith(b"\r\nConnection: close\r\n\r\n")
    post = encode(HttpRequest(Url("2001:db8::1", 80, "/c"), b"<x/>", {"SOAPAction": '"a#b"'}))
    assert post.startswith(b"POST /c HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n")
    assert b'\r\nContent-Length: 4\r\nSOAPAction: "a#b"\r\n\r\n<x/>' in post
