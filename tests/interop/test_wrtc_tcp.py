"""libwebrtc, the WebRTC of browsers, reaches us over ICE-TCP where it is told of nothing but our TCP port."""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
import re
from typing import Any

import msgspec
import pytest

from atmosphere.channels.link import Link
from atmosphere.errors import ChannelClosed
from atmosphere.ice.candidate import Candidate
from atmosphere.ice.credentials import IceCredentials
from atmosphere.ice.mobility import MobilePath
from atmosphere.ice.session import Path
from atmosphere.ice.settings import IceSettings
from atmosphere.identity import Identity
from atmosphere.tasks import Tasks
from atmosphere.udp.addresses import local_addresses
from tests.ice.test_tcp_host import host_over_tcp
from tests.interop.webrtc import WebRtcPeer

pytestmark = pytest.mark.needs("wrtc")

PROGRAM = str(pathlib.Path(__file__).parent / "node" / "tcp_peer.mjs")
PATIENCE = 40.0


class TcpOnly(WebRtcPeer):
    """A peer of ours that tells of its TCP candidates only, and takes none; `way` is how it was reached."""

    way: Path | None = None

    def describe_tcp(self) -> str:
        """Our answer."""
        lines = self.describe("active").split("\r\n")
        return "\r\n".join(line for line in lines if not line.startswith("a=candidate:") or " tcp " in line)

    async def answer(self, offer: str) -> Link:
        """The link to whoever made the offer, once it has found its way here."""
        ufrag, password = (re.findall(rf"^a={name}:(\S+)", offer, re.MULTILINE)[0] for name in ("ice-ufrag", "ice-pwd"))
        session = self._endpoint.dial(self._credentials, IceCredentials(ufrag, password), controlling=False)
        self.path = MobilePath(session)
        self.link = Link(self.path, self._identity, client=True, plain=True)
        self.link.on_channel = self.channels.put_nowait
        await session.connected(20)
        await self.link.start(20)
        return self.link


async def echo(peer: TcpOnly, offer: str) -> None:
    """Answer, and send everything back."""
    await peer.answer(offer)
    peer.way = peer.session.path
    channel = await peer.next_channel()
    with contextlib.suppress(ChannelClosed):
        while True:
            await channel.send(await channel.receive())


async def test_libwebrtc_connects_to_our_tcp_port() -> None:
    (address, *_) = [one.address for one in local_addresses() if one.family == 4] or ["127.0.0.1"]
    process = await asyncio.create_subprocess_exec(
        "node", PROGRAM, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    tasks = Tasks("echo")
    try:
        async with asyncio.timeout(PATIENCE), host_over_tcp(IceSettings(addresses=(address,)), address) as (host, port):
            offer = msgspec.json.decode(await process.stdout.readline())["offer"]
            peer = TcpOnly(host, Identity.generate())
            answer = peer.describe_tcp()
            assert [one.transport for one in candidates_in(answer)] == ["tcp"]
            tasks.spawn(echo(peer, offer), "echo")
            job = {"answer": answer, "messages": 20, "size": 10_000}
            process.stdin.write(msgspec.json.encode(job) + b"\n")
            result: dict[str, Any] = msgspec.json.decode(await process.stdout.readline())
            assert result["ok"], result
            assert result["echoed"] == 20
            assert result["pair"]["remote"]["protocol"] == "tcp"
            assert result["pair"]["remote"]["port"] == port.port
            way = peer.way
            assert way is not None
            assert (way.kind, way.protocol, way.local.port, way.remote.type) == ("direct", "tcp", port.port, "prflx")
            await tasks.close()
            await peer.link.close("the test is over")
    finally:
        await tasks.close()
        process.stdin.close()
        await process.wait()


def candidates_in(description: str) -> list[Candidate]:
    return [Candidate.from_sdp(line) for line in re.findall(r"^a=candidate:(.*?)\r?$", description, re.MULTILINE)]
