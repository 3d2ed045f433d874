"""Other people's WebRTC stacks, driven alike: libwebrtc and libdatachannel in Node, and Chromium."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import msgspec
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from atmosphere.tasks import Tasks

NODE = Path(__file__).parent / "node"
ANSWER_TIME = 40.0
CHROMIUM = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
    "--allow-loopback-in-peer-connection",
)


class Peer:
    """One peer: `await peer("open", label=…)` gives the answer to a command of node/data_core.mjs."""

    def __init__(self, send: Callable[[bytes], Any]) -> None:
        self._send = send
        self._numbers = itertools.count()
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}

    async def __call__(self, do: str, **what: Any) -> dict[str, Any]:
        number = next(self._numbers)
        self._answers[number] = answer = asyncio.get_running_loop().create_future()
        self._send(msgspec.json.encode({"id": number, "do": do, **what}))
        async with asyncio.timeout(ANSWER_TIME):
            found: dict[str, Any] = await answer
        assert "error" not in found, found
        return found

    def heard(self, line: bytes | str) -> None:
        """An answer came."""
        answer = msgspec.json.decode(line)
        waiting = self._answers.pop(answer["id"])
        if not waiting.done():
            waiting.set_result(answer)


@asynccontextmanager
async def node_peer(stack: str) -> AsyncIterator[Peer]:
    """A peer in Node: "wrtc" or "libdatachannel"."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        "node", str(NODE / "data_peer.mjs"), stack, stdin=pipe, stdout=pipe, limit=2**22
    )
    stdin, stdout = process.stdin, process.stdout
    assert stdin is not None and stdout is not None
    peer, tasks = Peer(lambda line: stdin.write(line + b"\n")), Tasks("node")

    async def hear() -> None:
        while line := await stdout.readline():
            peer.heard(line)

    tasks.spawn(hear(), "answers")
    try:
        yield peer
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await tasks.close()


@asynccontextmanager
async def chromium_peer() -> AsyncIterator[Peer]:
    """A peer in a page of a fresh Chromium."""
    arrived: asyncio.Future[ServerConnection] = asyncio.get_running_loop().create_future()
    peers: list[Peer] = []

    async def commands(connection: ServerConnection) -> None:
        arrived.set_result(connection)
        async for answer in connection:
            peers[0].heard(answer)

    async with serve(commands, "127.0.0.1", 0, process_request=_file, max_size=2**24) as server:
        port = server.sockets[0].getsockname()[1]
        profile = tempfile.mkdtemp(prefix="atmosphere-chromium-")
        process = await asyncio.create_subprocess_exec(
            "chromium",
            *CHROMIUM,
            f"--user-data-dir={profile}",
            f"http://127.0.0.1:{port}/data_page.html",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        tasks = Tasks("chromium")
        try:
            async with asyncio.timeout(ANSWER_TIME):
                connection = await arrived
            peers.append(Peer(lambda line: tasks.spawn(_say(connection, line.decode()), "command")))
            yield peers[0]
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
            await tasks.close()
            shutil.rmtree(profile, ignore_errors=True)


async def _say(connection: ServerConnection, text: str) -> None:
    await connection.send(text)


def _file(connection: ServerConnection, request: Request) -> Response | None:
    """Serve the page and its script; the WebSocket goes on."""
    name = request.path.lstrip("/")
    if name == "commands":
        return None
    kinds = {"data_page.html": "text/html", "data_core.mjs": "text/javascript"}
    if name not in kinds:
        return Response(HTTPStatus.NOT_FOUND, "Not Found", Headers({"Content-Length": "0"}), b"")
    body = (NODE / name).read_bytes()
    headers = Headers({"Content-Type": kinds[name], "Content-Length": str(len(body)), "Connection": "close"})
    return Response(HTTPStatus.OK, "OK", headers, body)
