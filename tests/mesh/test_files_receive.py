from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from atmosphere.errors import LinkError, StreamReset
from atmosphere.mesh import files_wire as wire
from atmosphere.mesh.files_receive import Limits, receive_files
from atmosphere.mesh.files_send import FileResult
from tests.mesh.streams import Stream, pair
from tests.mesh.transfers import content

BEGIN = wire.Begin(wire.VERSION, 1, 4)
ITEM = wire.Item("name", False, bytes(16))


async def told(tmp_path: Path, *messages: wire.Sent | bytes, limits: Limits | None = None) -> tuple[Stream, object]:
    """What comes of a receiver that is told this, and no more."""
    here, there = pair()
    for message in messages:
        here.write(message if isinstance(message, bytes) else wire.encode(message))
    await here.write_eof()
    receiving = receive_files(there, tmp_path / "inbox", peer_name="mallory", limits=limits)
    (outcome,) = await asyncio.gather(receiving, return_exceptions=True)
    return here, outcome


@pytest.mark.parametrize(
    "messages",
    [
        [wire.Begin(wire.VERSION + 1, 1, 1)],
        [wire.End()],
        [BEGIN, wire.ItemEnd()],
        [BEGIN, ITEM, wire.End()],
        [BEGIN, ITEM, wire.File([], 4, False, True), wire.End()],
        [BEGIN, ITEM, wire.File([], 4, False, True), wire.Start(3)],
        [BEGIN, ITEM, wire.File([], 4, False, False), wire.piece(b""), wire.End()],
        [BEGIN, wire.End(), b"more"],
        [b"\xff\xff\xff\xff"],
        [b"\x00\x00\x00\x01\xc1"],
    ],
)
async def test_a_sender_that_makes_no_sense(tmp_path: Path, messages: list[wire.Sent | bytes]) -> None:
    _, outcome = await told(tmp_path, *messages)
    assert isinstance(outcome, LinkError)


async def test_a_sender_that_stops_in_the_middle(tmp_path: Path) -> None:
    _, outcome = await told(tmp_path, BEGIN, ITEM)
    assert isinstance(outcome, StreamReset)


async def test_content_that_is_damaged(tmp_path: Path) -> None:
    file = wire.File([], 4, False, False)
    here, outcome = await told(
        tmp_path,
        BEGIN,
        ITEM,
        file,
        wire.piece(b"evil"),
        wire.piece(b""),
        wire.Sum(bytes(32)),
        wire.ItemEnd(),
        wire.End(),
    )
    assert await wire.read_returned(here) == wire.Done("it arrived damaged")
    assert await wire.read_returned(here) == wire.Placed("")
    assert outcome == [FileResult("name", 4, error="it arrived damaged")]
    assert content(tmp_path / "inbox") == {}


async def test_a_path_that_is_too_much(tmp_path: Path) -> None:
    file = wire.File(["d"] * 100, 4, False, True)
    _, outcome = await told(
        tmp_path,
        BEGIN,
        wire.Item("\x1b[31m", True, bytes(16)),
        file,
        wire.Folder(["d"] * 100),
        wire.ItemEnd(),
        wire.End(),
    )
    assert isinstance(outcome, list)
    assert outcome[0].name.startswith("?[31m/d/d")
    assert "deep" in outcome[0].error
