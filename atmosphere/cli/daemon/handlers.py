"""What each request on the control socket does to the node."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from atmosphere.cli import watching
from atmosphere.cli.control import messages as m
from atmosphere.cli.control.server import Report
from atmosphere.cli.daemon.pinging import Pinging
from atmosphere.errors import AtmosphereError
from atmosphere.tasks import Tasks

if TYPE_CHECKING:
    from atmosphere.cli.daemon.faces import NodeFace, PeerFace
    from atmosphere.cli.daemon.options import NodeOptions

CONNECT_TIMEOUT = 15.0
"""Seconds to wait for a link to a member that is not connected just now."""


class Life(Protocol):
    """What ends the process around the node."""

    def stop(self) -> None:
        """Begin to end."""

    async def stopped(self) -> None:
        """Wait until the node has ended."""


class Handlers:
    """Called with a request and a report; returns the request's result."""

    def __init__(self, node: NodeFace, options: NodeOptions, life: Life) -> None:
        self._node = node
        self._options = options
        self._life = life

    async def __call__(self, request: m.Request, report: Report) -> Any:
        """The result of `request`; raises AtmosphereError."""
        method = getattr(self, f"_{type(request).__name__.lower()}")
        return await method(request, report)

    async def _invite(self, request: m.Invite, report: Report) -> Any:
        code = await self._node.invite(uses=request.uses, expires=request.expires)
        candidates = [
            {"type": c.type, "address": c.address, "port": c.port, "protocol": c.protocol} for c in code.candidates
        ]
        return {"code": str(code), "expires_at": code.expires_at, "uses": request.uses, "candidates": candidates}

    async def _invites(self, request: m.Invites, report: Report) -> Any:
        return self._node.invites()

    async def _revoke(self, request: m.Revoke, report: Report) -> Any:
        matching = [invite.id for invite in self._node.invites() if invite.id.startswith(request.id)]
        if len(matching) != 1 or not request.id:
            what = "several join codes have" if len(matching) > 1 else "no outstanding join code has"
            raise AtmosphereError(f"{what} the id {request.id!r}", hint="atmosphere invites")
        self._node.revoke_invite(matching[0])
        return {"revoked": matching[0]}

    async def _peers(self, request: m.Peers, report: Report) -> Any:
        return [peer.info() for peer in self._node.peers()]

    async def _watch(self, request: m.Watch, report: Report) -> Any:
        changed = asyncio.Event()
        tasks = Tasks("watch")
        listening = tasks.spawn(self._note_events(changed), "events")
        shown: list[Any] | None = None
        try:
            while listening is not None and not listening.done():
                changed.clear()
                peers = [peer.info() for peer in self._node.peers()]
                essence = [watching.essence(peer) for peer in peers]
                if request.figures or essence != shown:
                    await report(peers)
                shown = essence
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(request.interval):
                        await changed.wait()
        finally:
            await tasks.close()

    async def _note_events(self, changed: asyncio.Event) -> None:
        """Set `changed` at every event, and once more when the node has stopped."""
        async for _ in self._node.events():
            changed.set()
        changed.set()

    async def _status(self, request: m.Status, report: Report) -> Any:
        return self._node.status()

    async def _config(self, request: m.Config, report: Report) -> Any:
        return self._options.public()

    async def _join(self, request: m.Join, report: Report) -> Any:
        try:
            return self._joined(await self._join_as_asked(request, report))
        except BaseException:
            if request.or_stop:
                self._life.stop()
            raise

    async def _join_as_asked(self, request: m.Join, report: Report) -> Any:
        if request.manual:
            manual = await self._node.join_manual(request.code, name=request.name)
            await report({"reply": manual.reply})
            return await manual.wait()
        return await self._node.join(request.code, name=request.name, progress=report.soon, timeout=request.timeout)

    async def _accept(self, request: m.Accept, report: Report) -> Any:
        return self._joined(await self._node.accept(request.reply))

    def _joined(self, peer: Any) -> Any:
        status = self._node.status()
        return {"mesh": status.mesh, "node": status.node, "peer": peer.info()}

    async def _ping(self, request: m.Ping, report: Report) -> Any:
        return await Pinging(self._node, request, report).run()

    async def _explain(self, request: m.Explain, report: Report) -> Any:
        peer = self._node.peer(request.peer)
        return {"peer": peer.info(), **msgspec.structs.asdict(self._node.explain(peer))}

    async def _bench(self, request: m.Bench, report: Report) -> Any:
        from atmosphere.mesh import bench

        peer = await self._connected(request.peer)
        measured = await bench.measure(
            peer, seconds=request.seconds, reverse=request.reverse, streams=request.streams, progress=report.soon
        )
        return {
            "peer": peer.name,
            "seconds": round(measured.seconds, 3),
            "bytes": measured.bytes,
            "mb_per_s": round(measured.mb_per_s, 2),
            "path": peer.info().path,
        }

    async def _connected(self, text: str) -> PeerFace:
        """The peer of that name, with a link; raises UnknownPeer or Unreachable."""
        peer: PeerFace = self._node.peer(text)
        await peer.wait_connected(CONNECT_TIMEOUT)
        return peer

    async def _send(self, request: m.Send, report: Report) -> Any:
        from atmosphere.cli.daemon import services

        return await services.send(
            await self._connected(request.peer), [os.fsdecode(path) for path in request.paths], request.as_name, report
        )

    async def _remove(self, request: m.Remove, report: Report) -> Any:
        peer = self._node.peer(request.peer)
        named = {"id": peer.id, "name": peer.name}
        await self._node.remove(peer)
        return {"removed": named}

    async def _promote(self, request: m.Promote, report: Report) -> Any:
        peer = self._node.peer(request.peer)
        await self._node.promote(peer)
        return {"promoted": {"id": peer.id, "name": peer.name}}

    async def _leave(self, request: m.Leave, report: Report) -> Any:
        mesh = self._node.status().mesh
        await self._node.leave()
        self._life.stop()
        await self._life.stopped()
        return {"left": mesh}

    async def _stop(self, request: m.Stop, report: Report) -> Any:
        node = self._node.status().node
        self._life.stop()
        await self._life.stopped()
        return {"stopped": node}
