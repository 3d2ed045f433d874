"""Two libwebrtc peers (node/relay_peer.mjs) that may reach each other through relays only."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec

PROGRAM = str(Path(__file__).parent / "node" / "relay_peer.mjs")
GRACE = 10.0
"""Seconds that Node may take beyond the time it is given, to start and to end."""


class Candidate(msgspec.Struct, rename="camel"):
    """One end of the pair that carried the data; `relay_protocol` is how the client reaches its relay."""

    type: str
    protocol: str
    address: str | None = None
    port: int | None = None
    relay_protocol: str | None = None
    url: str | None = None


class Pair(msgspec.Struct):
    local: Candidate
    remote: Candidate


class Outcome(msgspec.Struct):
    """What the program printed: with `ok` the two sides' pairs, else an `error` and what may explain it."""

    ok: bool
    echoed: dict[str, int] = {}
    offerer: Pair | None = None
    answerer: Pair | None = None
    error: str = ""
    states: dict[str, str] = {}
    candidates: dict[str, list[str]] = {}
    errors: list[dict[str, Any]] = []

    @property
    def pairs(self) -> tuple[Pair, Pair]:
        """Both sides' pairs; fails the test where the peers did not connect."""
        assert self.ok, self
        assert self.offerer is not None, self
        assert self.answerer is not None, self
        return self.offerer, self.answerer


def relay_only(uri: str, username: str, password: str) -> dict[str, Any]:
    """A peer's configuration (RTCConfiguration): this TURN server, and nothing but relayed candidates."""
    servers = [{"urls": [uri], "username": username, "credential": password}]
    return {"iceServers": servers, "iceTransportPolicy": "relay"}


async def relay_peers(
    offerer: dict[str, Any], answerer: dict[str, Any], *, messages: int = 3, size: int = 1000, timeout: float = 20.0
) -> Outcome:
    """Let two peers exchange `messages` of `size` bytes, both ways and back, within `timeout` seconds."""
    process = await asyncio.create_subprocess_exec(
        "node",
        PROGRAM,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    job = {"offerer": offerer, "answerer": answerer, "messages": messages, "size": size, "timeout": timeout}
    try:
        async with asyncio.timeout(timeout + GRACE):
            output, complaints = await process.communicate(msgspec.json.encode(job))
    except TimeoutError:
        process.kill()
        await process.communicate()
        raise
    assert output, complaints.decode()
    return msgspec.json.decode(output, type=Outcome)
