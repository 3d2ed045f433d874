from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from atmosphere.errors import LinkError
from atmosphere.mesh import files_wire as wire
from atmosphere.mesh.files_receive import receive_files
from atmosphere.mesh.files_send import send_paths
from atmosphere.mesh.files_source import Source
from tests.mesh.streams import pair
from tests.mesh.transfers import BIG


@pytest.mark.parametrize(
    "answers",
    [
        [wire.Answer(0, bytes(32))],
        [wire.Done(), wire.Done()],
        [wire.Placed("x")],
        [b"\x00\x00\x00\x01\xc1"],
        [],
    ],
)
async def test_a_receiver_that_makes_no_sense(tmp_path: Path, answers: list[wire.Returned | bytes]) -> None:
    (tmp_path / "small").write_bytes(b"small")
    here, there = pair()
    for answer in answers:
        there.write(answer if isinstance(answer, bytes) else wire.encode(answer))
    await there.write_eof()
    with pytest.raises(LinkError):
        await asyncio.wait_for(send_paths(here, [tmp_path / "small"]), 5)
    assert here.reset_reason


async def test_a_receiver_that_refuses_what_it_was_asked_about(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(BIG)
    here, there = pair()
    sending = asyncio.ensure_future(send_paths(here, [tmp_path / "big"]))
    while not isinstance(await wire.read_sent(there), wire.File):
        pass
    there.write(wire.encode(wire.Answer(9, bytes(32))))
    assert await wire.read_sent(there) == wire.Start(0)
    there.write(wire.encode(wire.Done("enough")))
    while await wire.read_piece(there):
        pass
    while not isinstance(await wire.read_sent(there), wire.ItemEnd):
        pass
    there.write(wire.encode(wire.Placed("")))
    (result,) = await asyncio.wait_for(sending, 5)
    assert (result.error, result.resumed_at) == ("enough", 0)


async def test_giving_up_tells_the_other_side(tmp_path: Path) -> None:
    here, there = pair()
    sending = asyncio.ensure_future(send_paths(here, [Source("stdin", lambda size: b"x")]))
    receiving = asyncio.ensure_future(receive_files(there, tmp_path / "inbox", peer_name="alice"))
    while there.incoming.passed < 100:
        await there.incoming.changed.wait()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    with pytest.raises(LinkError):
        await asyncio.wait_for(receiving, 5)
    here, there = pair()
    receiving = asyncio.ensure_future(receive_files(there, tmp_path / "inbox", peer_name="alice"))
    await asyncio.sleep(0)
    receiving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await receiving
    assert there.reset_reason == "given up"
