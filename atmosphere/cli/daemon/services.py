"""What a node of the command line does for its peers: it takes files, and it takes part in measurements."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atmosphere.cli.control.server import Report
from atmosphere.errors import LinkError
from atmosphere.mesh import bench, files

if TYPE_CHECKING:
    from atmosphere.cli.daemon.faces import NodeFace, PeerFace

logger = logging.getLogger(__name__)

RECONNECT_TIMEOUT = 60.0
"""Seconds to wait for a link that broke during a transfer; what has arrived is not sent again."""
FRUITLESS = 2
"""Attempts in a row that may end without a byte more than before."""
PROGRESS_EVERY = 0.1


def register(node: NodeFace, inbox: Path) -> None:
    """Let the members of the mesh send files into `inbox` and measure."""

    async def receive(stream: Any) -> None:
        for result in await files.receive_files(stream, inbox, peer_name=stream.peer.id):
            logger.info("from %s: %s %s", stream.peer.name, result.saved_as or result.name, result.error or "received")

    node.on_stream(bench.STREAM, bench.serve)
    node.on_stream(files.STREAM, receive)


async def send(peer: PeerFace, paths: Sequence[str], as_name: str | None, report: Report) -> dict[str, Any]:
    """Send files and folders to `peer`, going on after a broken link; what became of each.

    Raises Unreachable or LinkError when the link does not come back.
    """
    began, progress, fruitless = time.monotonic(), _Progress(report), 0
    while True:
        before = progress.done
        try:
            results = await _attempt(peer, paths, as_name, progress)
            break
        except LinkError as error:
            fruitless = 0 if progress.done > before else fruitless + 1
            if fruitless >= FRUITLESS:
                raise
            logger.info("sending to %s goes on after: %s", peer.name, error)
            await report({"waiting": f"the link to {peer.name} broke; waiting up to {RECONNECT_TIMEOUT:.0f} s for it"})
            await peer.wait_connected(RECONNECT_TIMEOUT)
    return _summary(peer, results, time.monotonic() - began)


async def _attempt(
    peer: PeerFace, paths: Sequence[str], as_name: str | None, progress: _Progress
) -> list[files.FileResult]:
    stream = await peer.open_stream(files.STREAM)
    try:
        return await files.send_paths(stream, [Path(path) for path in paths], as_name=as_name, progress=progress)
    finally:
        with contextlib.suppress(LinkError):  # all is said already; a second try would send it twice
            await stream.close()


def _summary(peer: PeerFace, results: list[files.FileResult], seconds: float) -> dict[str, Any]:
    arrived = [result for result in results if result.ok]
    moved = sum(result.size - result.resumed_at for result in arrived)
    return {
        "peer": peer.name,
        "files": len(arrived),
        "bytes": sum(result.size for result in arrived),
        "seconds": round(seconds, 3),
        "mb_per_s": round(moved / 1e6 / seconds, 2) if seconds > 0 else 0.0,
        "results": results,
        "path": peer.info().path,
    }


class _Progress:
    """Tells the client how far it is, at most ten times a second."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._told = 0.0
        self.done = 0

    def __call__(self, name: str, done: int, total: int | None) -> None:
        self.done = max(self.done, done)
        now = time.monotonic()
        if now - self._told >= PROGRESS_EVERY:
            self._told = now
            self._report.soon({"name": name, "done": done, "total": total})
