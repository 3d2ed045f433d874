"""A node with the library in a machine of the laboratory: it joins, times itself, and carries one long stream.

    python -m tests.lab.courier found HOME [node options]
    python -m tests.lab.courier join HOME CODE [node options] [--until-direct SECONDS] [--send BYTES --rate RATE]

RATE is in bytes a second. Prints one JSON object a line: {"code": …}; {"joined", "first_byte", "direct"} in seconds
since the join began; while it carries {"sent" or "received": bytes}; at the end {"done": SHA-256, "silence": …}; and
every event of the node. `silence` is the longest time that the receiver waited for bytes: how long, and its beginning
and end on the clock that all machines of the laboratory share (CLOCK_MONOTONIC).
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import logging
import random
import sys
import time
from contextlib import suppress
from pathlib import Path

from atmosphere import AtmosphereError, Node, Peer, Stream, init_home
from atmosphere.mesh.events import Event, PathChanged, PeerConnected, PeerDisconnected
from atmosphere.tasks import Tasks

NAME = "film"
CHUNK = 32_768
REPORT_EVERY = 1_000_000


def tell(**what: object) -> None:
    """One line for whoever watches."""
    print(json.dumps({"at": time.monotonic()} | what), flush=True)


class Silence:
    """The longest time between two arrivals."""

    def __init__(self) -> None:
        self.longest = 0.0
        self.began = self.ended = self._last = time.monotonic()

    def broken(self) -> None:
        """Something arrived."""
        now = time.monotonic()
        if now - self._last > self.longest:
            self.longest, self.began, self.ended = now - self._last, self._last, now
        self._last = now

    def told(self) -> dict[str, float]:
        """As JSON."""
        return {"seconds": self.longest, "began": self.began, "ended": self.ended}


def content(length: int) -> bytes:
    """The film: the same for everybody."""
    return random.Random("film").randbytes(length)


async def receive(stream: Stream) -> None:
    """Take the whole stream, answer with its hash on the same stream, and tell."""
    digest, received, reported, silence = hashlib.sha256(), 0, 0, Silence()
    try:
        while data := await stream.read(65_536):
            silence.broken()
            digest.update(data)
            received += len(data)
            if received - reported >= REPORT_EVERY:
                reported = received
                tell(received=received)
        stream.write(digest.hexdigest().encode())
        await stream.write_eof()
    except (AtmosphereError, OSError) as error:
        tell(failed=str(error), received=received)
        raise
    tell(done=digest.hexdigest(), received=received, silence=silence.told())


async def send(peer: Peer, length: int, rate: float) -> None:
    """Send the film over one stream at `rate` bytes a second, and insist on the hash that comes back."""
    film, chunk = content(length), min(CHUNK, max(1, int(rate / 10)))
    stream = await peer.open_stream(NAME)
    sent = reported = 0
    due = time.monotonic()
    try:
        while sent < length:
            stream.write(film[sent : sent + chunk])
            sent = min(length, sent + chunk)
            await stream.drain()
            if sent - reported >= REPORT_EVERY:
                reported = sent
                tell(sent=sent)
            due = max(time.monotonic(), due + chunk / rate)
            await asyncio.sleep(due - time.monotonic())
        await stream.write_eof()
        answer = await stream.read()
    except (AtmosphereError, OSError) as error:
        tell(failed=str(error), sent=sent)
        raise
    expected = hashlib.sha256(film).hexdigest()
    assert answer.decode() == expected, f"the other side has {answer!r}"
    tell(done=expected, sent=sent)


async def watch(node: Node) -> None:
    """Tell what happens."""
    async for event in node.events():
        tell(**told(event))


def told(event: Event) -> dict[str, object]:
    """An event as JSON."""
    what: dict[str, object] = {"event": type(event).__name__}
    if isinstance(event, PathChanged):
        path = event.path
        what["path"] = None if path is None else [path.kind, path.protocol, path.remote.address, path.remote.port]
    if isinstance(event, PeerConnected | PeerDisconnected):
        what["peer"] = event.peer.name
    if isinstance(event, PeerDisconnected):
        what["reason"] = event.reason
    return what


async def join(node: Node, code: str, timeout: float, patience: float) -> Peer:
    """Become a member; tell how long that, the first answer and a direct path took (None: not within `patience`)."""
    began = time.monotonic()
    events = node.events()
    peer = await node.join(code, timeout=timeout)
    joined = time.monotonic() - began
    await peer.ping(timeout)
    first_byte = time.monotonic() - began
    direct = None
    with suppress(TimeoutError):
        async with asyncio.timeout(patience):
            while not is_direct(peer):
                await anext(events)
            direct = time.monotonic() - began
    path = peer.info().path
    tell(joined=joined, first_byte=first_byte, direct=direct, path=path and [path.kind, path.protocol])
    return peer


def is_direct(peer: Peer) -> bool:
    """Whether data takes no relay now."""
    path = peer.info().path
    return path is not None and path.kind == "direct"


async def run(given: argparse.Namespace) -> None:
    """Be a node until somebody ends the program."""
    home, tasks = Path(given.home), Tasks("courier")
    logging.basicConfig(filename=f"{home}.log", level=logging.INFO, format="%(relativeCreated)7d %(name)s: %(message)s")
    if given.what == "found":
        init_home(home, "lab", given.name)
    node = Node(
        home,
        name=given.name,
        signaling=given.signaling,
        stun=given.stun,
        turn=given.turn,
        path_policy=given.path_policy,
        port_mapping=False,
    )
    node.on_stream(NAME, receive)
    async with node:
        tasks.spawn(watch(node), "watch")
        if given.what == "found":
            tell(code=str(await node.invite()))
        else:
            peer = await join(node, given.code, given.timeout, given.until_direct)
            if given.send:
                await send(peer, given.send, given.rate)
        await asyncio.get_running_loop().create_future()
    await tasks.close()


def arguments(words: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["found", "join"])
    parser.add_argument("home")
    if words[:1] == ["join"]:
        parser.add_argument("code")
    parser.add_argument("--name", required=True)
    for option in ("signaling", "stun", "turn"):
        parser.add_argument(f"--{option}", action="append", default=[])
    parser.add_argument("--path-policy", default="any")
    parser.add_argument("--timeout", type=float, default=45.0)
    parser.add_argument("--until-direct", type=float, default=0.0)
    parser.add_argument("--send", type=int, default=0)
    parser.add_argument("--rate", type=float, default=4e6)
    return parser.parse_args(words)


if __name__ == "__main__":
    asyncio.run(run(arguments(sys.argv[1:])))
