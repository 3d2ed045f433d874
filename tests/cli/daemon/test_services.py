"""Sending goes on after a broken link, and gives up when nothing moves any more."""

from __future__ import annotations

from typing import Any

import pytest

from atmosphere.cli.daemon import services
from atmosphere.errors import LinkError, StreamReset, Unreachable
from atmosphere.mesh.files import FileResult
from tests.cli.fake import FakePeer


class Stream:
    async def close(self) -> None:
        return None


class Peer(FakePeer):
    """Always gives a stream; counts how often one waited for it."""

    def __init__(self) -> None:
        super().__init__("b" * 52, "desk")
        self.waited = 0

    async def open_stream(self, name: str) -> Stream:
        return Stream()

    async def wait_connected(self, timeout: float | None = None) -> None:
        self.waited += 1


class Told:
    """A report that remembers."""

    def __init__(self) -> None:
        self.lines: list[Any] = []

    async def __call__(self, data: Any) -> None:
        self.lines.append(data)

    def soon(self, data: Any) -> None:
        self.lines.append(data)


def scripted(monkeypatch: pytest.MonkeyPatch, *steps: int | Exception) -> list[int]:
    """send_paths that reports each number as progress, raises each error, and ends after the last step."""
    remaining, sent = list(steps), []

    async def send_paths(stream: Any, paths: Any, *, as_name: str | None, progress: Any) -> list[FileResult]:
        while remaining:
            step = remaining.pop(0)
            if isinstance(step, Exception):
                raise step
            sent.append(step)
            progress("film", step, 1000)
        return [FileResult("film", 1000, "film (2)", resumed_at=400), FileResult("link", error="a link")]

    monkeypatch.setattr("atmosphere.mesh.files.send_paths", send_paths)
    return sent


async def test_send(monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, 1000)
    told = Told()
    result = await services.send(Peer(), ["/film"], None, told)  # type: ignore[arg-type]
    assert (result["peer"], result["files"], result["bytes"]) == ("desk", 1, 1000)
    assert result["path"].kind == "direct"
    assert len(result["results"]) == 2
    assert told.lines == [{"name": "film", "done": 1000, "total": 1000}]


async def test_goes_on_after_broken_links(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = scripted(monkeypatch, 100, LinkError("1"), 200, LinkError("2"), 300, StreamReset("3"), 1000)
    peer = Peer()
    told = Told()
    await services.send(peer, ["/film"], None, told)  # type: ignore[arg-type]
    assert sent == [100, 200, 300, 1000]
    assert [line["waiting"] for line in told.lines if "waiting" in line] == [
        "the link to desk broke; waiting up to 60 s for it"
    ] * 3
    assert peer.waited == 3


async def test_gives_up_when_nothing_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, 100, LinkError("1"), LinkError("2"), LinkError("3"))
    with pytest.raises(LinkError, match="3"):
        await services.send(Peer(), ["/film"], None, Told())  # type: ignore[arg-type]


async def test_no_link_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(Peer):
        async def wait_connected(self, timeout: float | None = None) -> None:
            raise Unreachable("gone")

    scripted(monkeypatch, 100, LinkError("1"))
    with pytest.raises(Unreachable):
        await services.send(Gone(), ["/film"], None, Told())  # type: ignore[arg-type]


async def test_progress_is_told_rarely() -> None:
    told = Told()
    progress = services._Progress(told)  # type: ignore[arg-type]
    for done in range(1000):
        progress("film", done, 1000)
    assert 1 <= len(told.lines) < 100
    assert progress.done == 999
