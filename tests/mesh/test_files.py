from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from atmosphere.errors import LinkError, StreamReset
from atmosphere.mesh import files_receive, files_send
from atmosphere.mesh import files_wire as wire
from atmosphere.mesh.files import FileResult, Limits, Source, receive_files, send_paths
from atmosphere.mesh.files_source import SourceItem, look_up
from atmosphere.mesh.inbox import PARTIAL
from tests.channels.pipe import Weather, two_links
from tests.mesh.streams import Stream, pair

BIG = os.urandom(3_000_000)


def content(folder: Path) -> dict[str, bytes | None]:
    return {
        path.relative_to(folder).as_posix(): None if path.is_dir() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if PARTIAL not in path.parts
    }


async def transfer(
    tmp_path: Path,
    *paths: Path | Source,
    as_name: str | None = None,
    limits: Limits | None = None,
    cut: int | None = None,
) -> tuple[list[FileResult] | BaseException, list[FileResult] | BaseException]:
    here, there = pair()
    if cut is not None:
        here.cut_after(cut)
    sent, received = await asyncio.wait_for(
        asyncio.gather(
            send_paths(here, paths, as_name=as_name),
            receive_files(there, tmp_path / "inbox", peer_name="alice", limits=limits),
            return_exceptions=True,
        ),
        60,
    )
    return sent, received


async def done(tmp_path: Path, *paths: Path | Source, **more: object) -> list[FileResult]:
    """What the sender heard, which must be what the receiver knows too."""
    sent, received = await transfer(tmp_path, *paths, **more)  # type: ignore[arg-type]
    assert isinstance(sent, list), sent
    assert isinstance(received, list), received
    known = {result.name: (result.saved_as, result.error) for result in sent}
    assert {result.name: (result.saved_as, result.error) for result in received}.items() <= known.items()
    return sent


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    (tree / "sub" / "empty").mkdir(parents=True)
    (tree / "big").write_bytes(BIG)
    (tree / "sub" / "run.sh").write_bytes(b"#!/bin/sh\n")
    (tree / "sub" / "run.sh").chmod(0o755)
    (tree / "nothing").touch()
    (tree / "link").symlink_to("big")
    return tree


async def test_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"hello")
    assert await done(tmp_path, tmp_path / "a.txt") == [FileResult("a.txt", 5, "a.txt")]
    assert await done(tmp_path, tmp_path / "a.txt") == [FileResult("a.txt", 5, "a (1).txt")]
    assert await done(tmp_path, tmp_path / "a.txt", as_name="b") == [FileResult("b", 5, "b")]
    assert content(tmp_path / "inbox") == {"a.txt": b"hello", "a (1).txt": b"hello", "b": b"hello"}


async def test_a_folder_and_a_file(tmp_path: Path, tree: Path) -> None:
    (tmp_path / "more.txt").write_bytes(b"more")
    results = await done(tmp_path, tree, tmp_path / "more.txt", tmp_path / "missing")
    assert {result.name: result.saved_as for result in results if result.ok} == {
        "tree/big": "tree/big",
        "tree/nothing": "tree/nothing",
        "tree/sub/run.sh": "tree/sub/run.sh",
        "more.txt": "more.txt",
    }
    assert {result.name for result in results if not result.ok} == {"link", "missing"}
    assert content(tmp_path / "inbox") == {
        "more.txt": b"more",
        "tree": None,
        "tree/big": BIG,
        "tree/nothing": b"",
        "tree/sub": None,
        "tree/sub/empty": None,
        "tree/sub/run.sh": b"#!/bin/sh\n",
    }
    assert (tmp_path / "inbox/tree/sub/run.sh").stat().st_mode & 0o100
    assert list((tmp_path / "inbox" / PARTIAL).iterdir()) == []


async def test_progress(tmp_path: Path, tree: Path) -> None:
    here, there = pair()
    seen: dict[str, list[tuple[str, int, int | None]]] = {"sent": [], "received": []}

    def note(side: str) -> Callable[[str, int, int | None], None]:
        return lambda name, done, total: seen[side].append((name, done, total))

    await asyncio.gather(
        send_paths(here, [tree], progress=note("sent")),
        receive_files(there, tmp_path / "inbox", peer_name="alice", progress=note("received")),
    )
    total = len(BIG) + 10
    assert seen["sent"][-1] == ("tree/sub/run.sh", total, total)
    assert seen["received"][-1] == ("tree/sub/run.sh", total, total)
    assert ("tree/big", wire.PIECE, total) in seen["sent"]
    assert here.closed
    assert there.closed


async def test_a_pipe(tmp_path: Path) -> None:
    pieces = [b"one ", b"two", b""]
    source = Source("stdin", lambda size: pieces.pop(0))
    assert await done(tmp_path, source, as_name="dump") == [FileResult("dump", 7, "dump")]
    assert content(tmp_path / "inbox") == {"dump": b"one two"}


async def test_an_interrupted_file_goes_on(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(BIG)
    sent, received = await transfer(tmp_path, tmp_path / "big", cut=2_000_000)
    assert isinstance(sent, LinkError)
    assert isinstance(received, LinkError)
    assert content(tmp_path / "inbox") == {}
    (result,) = await done(tmp_path, tmp_path / "big")
    assert result.ok
    assert 0 < result.resumed_at < len(BIG)
    assert content(tmp_path / "inbox") == {"big": BIG}


async def test_an_interrupted_folder_goes_on(tmp_path: Path, tree: Path) -> None:
    (tree / "later").write_bytes(BIG[::-1])
    sent, _ = await transfer(tmp_path, tree, cut=len(BIG) + 1_000_000)
    assert isinstance(sent, LinkError)
    results = {result.name: result for result in await done(tmp_path, tree)}
    assert results["tree/big"].resumed_at == len(BIG)
    assert 0 < results["tree/later"].resumed_at < len(BIG)
    assert content(tmp_path / "inbox")["tree/later"] == BIG[::-1]
    arrived = {path.removeprefix("tree/") for path in content(tmp_path / "inbox")}
    assert arrived == content(tree).keys() - {"link"} | {"tree"}


async def test_a_file_that_changed_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(BIG)
    await transfer(tmp_path, tmp_path / "big", cut=2_000_000)
    (tmp_path / "big").write_bytes(BIG[::-1])
    assert await done(tmp_path, tmp_path / "big") == [FileResult("big", len(BIG), "big")]
    assert content(tmp_path / "inbox") == {"big": BIG[::-1]}


async def test_an_interrupted_pipe_leaves_nothing(tmp_path: Path) -> None:
    source = Source("stdin", lambda size: bytes(size))
    sent, received = await transfer(tmp_path, source, cut=1_000_000)
    assert isinstance(sent, LinkError)
    assert isinstance(received, LinkError)
    assert list((tmp_path / "inbox" / PARTIAL).iterdir()) == []


async def test_limits(tmp_path: Path, tree: Path) -> None:
    (tmp_path / "small").write_bytes(b"small")
    results = await done(tmp_path, tmp_path / "small", tree, limits=Limits(reserve=1 << 60))
    assert {result.error for result in results if result.name != "link"} == {"there is not enough room on the disk"}
    results = await done(tmp_path, tree, tmp_path / "small", limits=Limits(size=100))
    assert {result.name: result.error for result in results if result.name != "link"} == {
        "tree/big": "more than 100 bytes at once",
        "tree/nothing": "",
        "tree/sub/run.sh": "",
        "small": "",
    }
    results = await done(tmp_path, tree, limits=Limits(files=2))
    assert [result.name for result in results if result.ok] == ["tree/big"]


async def test_a_pipe_that_is_too_much(tmp_path: Path) -> None:
    (result,) = await done(tmp_path, Source("stdin", lambda size: bytes(size)), limits=Limits(size=1_000_000))
    assert result.error == "more than 1000000 bytes at once"
    assert result.size < 100_000_000


async def test_nothing_at_all(tmp_path: Path) -> None:
    assert await done(tmp_path) == []
    assert content(tmp_path) == {}


async def test_a_disk_that_fills_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "small").write_bytes(b"small")
    monkeypatch.setattr("atmosphere.mesh.inbox.Staging.has_room", lambda self: False)
    (result,) = await done(tmp_path, tmp_path / "small")
    assert result.error == "there is not enough room on the disk"
    assert content(tmp_path / "inbox") == {}


async def test_an_inbox_that_cannot_be_written(tmp_path: Path, tree: Path) -> None:
    (tmp_path / "inbox").touch()
    results = await done(tmp_path, tree)
    assert all("exists" in result.error for result in results if result.name != "link")


async def test_an_inbox_that_fails_at_the_end(tmp_path: Path, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: object, *arguments: object, **more: object) -> str:
        raise OSError("no place")

    with monkeypatch.context() as patch:
        patch.setattr("atmosphere.mesh.inbox.Inbox.place", refuse)
        results = await done(tmp_path, tree)
        assert {result.error for result in results if result.name != "link"} == {"no place"}
    monkeypatch.setattr("atmosphere.mesh.inbox.Incoming.finish", refuse)
    results = await done(tmp_path, tree)
    assert {result.error for result in results if result.name != "link"} == {"no place"}


async def test_a_folder_that_cannot_be_made(tmp_path: Path, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: object, path: list[str]) -> None:
        raise OSError("no folder")

    monkeypatch.setattr("atmosphere.mesh.inbox.Staging.make_folder", refuse)
    assert all(result.ok for result in await done(tmp_path, tree) if result.name != "link")


async def test_a_file_that_vanishes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "b").write_bytes(b"2")

    def vanishing(what: Path | Source, as_name: str | None = None) -> SourceItem:
        item = look_up(what, as_name)
        (tmp_path / "a").unlink(missing_ok=True)
        return item

    monkeypatch.setattr(files_send, "look_up", vanishing)
    first, second = await done(tmp_path, tmp_path / "a", tmp_path / "b")
    assert (first.error, second.saved_as) == ("No such file or directory", "b")


async def test_a_file_that_cannot_be_read_to_its_end(tmp_path: Path) -> None:
    pieces = [b"beginning"]

    def read(size: int) -> bytes:
        if pieces:
            return pieces.pop()
        raise OSError("bad sector")

    (result,) = await done(tmp_path, Source("disk", read))
    assert result.error == "the sender could not read it: bad sector"
    assert content(tmp_path / "inbox") == {}


async def told(tmp_path: Path, *messages: wire.Sent | bytes, limits: Limits | None = None) -> tuple[Stream, object]:
    """What comes of a receiver that is told this, and no more."""
    here, there = pair()
    for message in messages:
        here.write(message if isinstance(message, bytes) else wire.encode(message))
    await here.write_eof()
    receiving = receive_files(there, tmp_path / "inbox", peer_name="mallory", limits=limits)
    (outcome,) = await asyncio.gather(receiving, return_exceptions=True)
    return here, outcome


BEGIN = wire.Begin(wire.VERSION, 1, 4)
ITEM = wire.Item("name", False, bytes(16))


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
    assert files_receive.Limits().size is None


async def over_a_link(tmp_path: Path, tree: Path, weather: Weather, *, abort_at: int | None = None) -> object:
    """What the sender hears when the tree goes over a real link, which may be cut when so many bytes are done."""
    streams: asyncio.Queue[Any] = asyncio.Queue()
    async with two_links(weather) as (here, there):
        there.on_stream = streams.put_nowait
        stream = await here.open_stream(wire.STREAM)

        def progress(name: str, done: int, total: int | None) -> None:
            if abort_at is not None and done > abort_at:
                here.abort("cut")

        sending = asyncio.ensure_future(send_paths(stream, [tree], progress=progress))
        receiving = receive_files(await streams.get(), tmp_path / "inbox", peer_name="alice")
        sent, received = await asyncio.wait_for(asyncio.gather(sending, receiving, return_exceptions=True), 60)
    assert isinstance(received, list | LinkError)
    return sent


async def test_files_over_a_link_that_loses(tmp_path: Path, tree: Path) -> None:
    sent = await over_a_link(tmp_path, tree, Weather(loss=0.005, reorder=0.01))
    assert isinstance(sent, list)
    assert {result.error for result in sent} == {"", "a symbolic link is not sent"}
    assert content(tmp_path / "inbox")["tree/big"] == BIG


async def test_files_over_a_link_that_breaks(tmp_path: Path, tree: Path) -> None:
    assert isinstance(await over_a_link(tmp_path, tree, Weather(), abort_at=2_000_000), LinkError)
    sent = await over_a_link(tmp_path, tree, Weather())
    assert isinstance(sent, list)
    assert next(result for result in sent if result.name == "tree/big").resumed_at > 0
    assert content(tmp_path / "inbox")["tree/big"] == BIG
