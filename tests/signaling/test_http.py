from __future__ import annotations

import asyncio
import json

import pytest

from signaling import Settings, SignalingServer
from signaling.metrics import CONTENT_TYPE
from tests.signaling.tools import get, http, node, serving, until

UPGRADE = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    "Sec-WebSocket-Version: 13",
)


async def test_health() -> None:
    async with serving() as server:
        status, headers, body = await get(server, "/health")
        assert (status, body) == (200, "ok\n")
        assert headers["cache-control"] == "no-store"


async def test_health_while_draining() -> None:
    server = SignalingServer()
    await server.start("127.0.0.1", 0)
    async with node(server) as ann:
        stopping = asyncio.ensure_future(server.stop(30))
        await until(lambda: server.stats()["draining"] == 1)
        assert (await get(server, "/health"))[::2] == (503, "draining\n")
        await ann.websocket.close()
        await stopping


async def test_stats() -> None:
    async with serving() as server, node(server):
        status, headers, body = await get(server, "/stats?x=1")
        assert (status, headers["content-type"]) == (200, "application/json")
        assert json.loads(body)["nodes"] == 1


async def test_metrics() -> None:
    async with serving() as server, node(server):
        status, headers, body = await get(server, "/metrics")
        assert (status, headers["content-type"]) == (200, CONTENT_TYPE)
        assert "signaling_nodes 1\n" in body


@pytest.mark.parametrize(("path", "status"), [("/", 426), ("/signal", 426), ("/other", 404), ("/health/", 404)])
async def test_other_paths(path: str, status: int) -> None:
    async with serving() as server:
        assert (await get(server, path))[0] == status


async def test_a_websocket_opens_only_where_it_should() -> None:
    async with serving() as server:
        assert (await get(server, "/other", *UPGRADE))[0] == 404


@pytest.mark.parametrize(
    ("host", "status"),
    [("example.org", 400), ("EXAMPLE.org:80", 400), ("other.org:7", 400), ("other.org", 421), ("x", 421), ("", 421)],
)
async def test_a_server_that_knows_its_names_refuses_others(host: str, status: int) -> None:
    # 400: the host is fine, the rest of the upgrade is not, so that the answer ends.
    async with serving(Settings(hosts=("Example.org", "other.org:7"))) as server:
        answer = await http(server, f"GET / HTTP/1.1\r\nHost: {host}\r\n" + "\r\n".join(UPGRADE[:2]) + "\r\n\r\n")
        assert answer[0] == status


@pytest.mark.parametrize("header", ["Host: 127.0.0.1", "Upgrade: websocket", "Connection: Upgrade"])
async def test_a_header_that_comes_twice_is_no_failure_of_ours(header: str, caplog: pytest.LogCaptureFixture) -> None:
    request = "\r\n".join(("GET /health HTTP/1.1", "Host: 127.0.0.1", *UPGRADE, header, header, "", ""))
    async with serving(Settings(hosts=("127.0.0.1",))) as server:
        assert 200 <= (await http(server, request))[0] < 500
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.parametrize(
    "garbage",
    [
        "\x16\x03\x01\x02\x00\x01\x00",
        "GET\r\n\r\n",
        "GET / HTTP/9\r\n\r\n",
        "\r\n" * 50,
        "GET /\xff HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nx" + "y" * 20_000,
        "GET / HTTP/1.1\r\n" + "a: b\r\n" * 500 + "\r\n",
    ],
    ids=["TLS", "short", "version", "empty lines", "path", "long line", "many headers"],
)
async def test_garbage_is_turned_away_at_once(garbage: str) -> None:
    async with serving() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(garbage.encode("latin-1"))
        writer.write_eof()
        answer = await asyncio.wait_for(reader.read(), 5)
        assert not answer or answer.startswith(b"HTTP/1.1 4")
        writer.close()
        await until(lambda: server.stats()["connections"] == 0)
