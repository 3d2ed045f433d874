"""Two running nodes whose wall clock is set: nothing that runs may go by it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from atmosphere.channels.stream import Stream
from atmosphere.mesh import assembly
from atmosphere.mesh.node import Node
from tests.mesh.nodes import connected, mesh, until


async def echo(stream: Stream) -> None:
    """What each node serves here."""
    while data := await stream.read(65536):
        stream.write(data)
        await stream.drain()
    await stream.write_eof()


async def comes_back(stream: Stream, data: bytes) -> bool:
    """Whether the other side still echoes."""
    stream.write(data)
    await stream.drain()
    return await stream.readexactly(len(data)) == data


class Wall:
    """A wall clock that can be set, and how often the nodes looked at what expires since it was."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.offset = 0.0
        self.looks = 0
        right, follow = time.time, assembly.Assembly._follow_roster
        monkeypatch.setattr("time.time", lambda: right() + self.offset)
        monkeypatch.setattr(assembly, "MAINTENANCE", 0.02)

        def followed(parts: assembly.Assembly) -> None:
            follow(parts)
            self.looks += 1

        monkeypatch.setattr(assembly.Assembly, "_follow_roster", followed)

    async def set(self, offset: float, node: Node) -> None:
        """Set it, and let both nodes look around at that time."""
        self.offset, self.looks = offset, 0
        await until(node, lambda: self.looks >= 10)


@pytest.mark.parametrize("jump", [-3e7, -3600.0, 3600.0, 3e7])
async def test_links_and_streams_outlive_a_clock_that_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    wall = Wall(monkeypatch)
    async with mesh(tmp_path) as nodes:
        alpha = await nodes.found("alpha")
        beta = await nodes.join(alpha, "beta")
        alpha.on_stream("echo", echo)
        (peer,) = await connected(beta, "alpha")
        await connected(alpha, "beta")
        stream = await peer.open_stream("echo")
        assert await comes_back(stream, b"before")
        await wall.set(jump, beta)
        assert await comes_back(stream, b"then" * 10_000)
        assert (await peer.ping()) is not None
        await wall.set(0.0, beta)
        assert await comes_back(stream, b"and when it is right again")
        assert [peer.state for peer in (*alpha.peers(), *beta.peers())] == ["connected"] * 2


@pytest.mark.parametrize("jump", [-3e7, 3e7])
async def test_members_meet_again_after_a_clock_was_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    """While it is wrong, and once it is right again."""
    wall = Wall(monkeypatch)
    async with mesh(tmp_path) as nodes:
        alpha = await nodes.found("alpha")
        beta = await nodes.join(alpha, "beta")
        await connected(alpha, "beta")
        await wall.set(jump, alpha)
        beta = await nodes.restart(beta)
        await connected(beta, "alpha")
        await wall.set(0.0, alpha)
        beta = await nodes.restart(beta)
        await connected(beta, "alpha")
        await connected(alpha, "beta")
