from __future__ import annotations

import pytest

from signaling import Settings
from tests.signaling.tools import raw, serving, turned_away


async def test_a_hello_is_counted() -> None:
    async with serving() as server, raw(server) as ann:
        assert (await ann.hello())["type"] == "welcome"
        assert server.stats()["handshakes_total"] == 1
        assert server.stats()["handshakes_failed_total"] == 0


async def test_who_leaves_instead_of_a_hello_is_forgotten() -> None:
    async with serving() as server:
        async with raw(server):
            pass
        assert server.stats()["handshakes_total"] == 0


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "{}",
        "[" * 10_000,
        '{"type":"send","to":"' + "a" * 52 + '","payload":"","id":"x","ref":1}',
        b"\x00\xff",
        "\x00",
    ],
)
async def test_a_first_frame_that_is_no_hello(frame: str | bytes) -> None:
    async with serving() as server, raw(server) as eve:
        await eve.receive()
        await eve.websocket.send(frame)
        await turned_away(eve, "malformed")


async def test_a_client_that_says_nothing() -> None:
    async with serving(Settings(handshake_timeout=0.1)) as server, raw(server) as eve:
        await eve.receive()
        await turned_away(eve, "timeout")


async def test_a_stranger_forges_no_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    async with serving() as server, raw(server) as eve:
        await eve.receive()
        await eve.websocket.send('{"type":"x\\n2026 INFO forged \\u001b[31m"}')
        await turned_away(eve, "malformed")
    assert "2026 INFO forged" in caplog.text
    assert all(record.getMessage().isprintable() for record in caplog.records)
