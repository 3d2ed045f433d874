"""Transfers of files between two folders, for the tests of this package."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from atmosphere.mesh.files import FileResult, Limits, Source, receive_files, send_paths
from atmosphere.mesh.inbox import PARTIAL
from tests.mesh.streams import pair

BIG = os.urandom(3_000_000)


def content(folder: Path) -> dict[str, bytes | None]:
    """What is in a folder, by path; None for folders."""
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
