from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from atmosphere.errors import LinkError
from atmosphere.mesh import files_send
from atmosphere.mesh import files_wire as wire
from atmosphere.mesh.files import FileResult, Limits, Source, receive_files, send_paths
from atmosphere.mesh.files_source import SourceItem, look_up
from atmosphere.mesh.inbox import PARTIAL
from tests.channels.pipe import Weather, two_links
from tests.mesh.streams import pair
from tests.mesh.transfers import BIG, content, done, transfer


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
