"""What the command line needs of a node, a peer and a stream; the mesh's classes fit, and so do a test's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol

from atmosphere.mesh.info import Explanation, InviteInfo, NodeStatus, PeerInfo


class CodeFace(Protocol):
    """A join code."""

    @property
    def expires_at(self) -> float:
        """When it ends, unix seconds."""

    @property
    def candidates(self) -> tuple[Any, ...]:
        """Where the host can be tried."""


class PeerFace(Protocol):
    """A member of the mesh."""

    @property
    def id(self) -> str:
        """The node id."""

    @property
    def name(self) -> str:
        """The node's name."""

    def info(self) -> PeerInfo:
        """How it is reached now."""

    async def wait_connected(self, timeout: float | None = None) -> None:
        """Wait for a link; raises Unreachable."""

    async def ping(self, timeout: float = 5.0) -> float:
        """Milliseconds there and back; raises Unreachable."""

    async def open_stream(self, name: str) -> Any:
        """A stream to the peer's handler of that name."""


class ManualFace(Protocol):
    """A join by hand under way."""

    @property
    def reply(self) -> str:
        """The reply code to carry back."""

    async def wait(self) -> Any:
        """The peer, once connected."""


class NodeFace(Protocol):
    """A node."""

    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def mesh_id(self) -> str | None: ...  # noqa: D102
    @property
    def mesh_name(self) -> str | None: ...  # noqa: D102

    async def start(self) -> None: ...  # noqa: D102
    async def stop(self) -> None: ...  # noqa: D102
    async def invite(self, uses: int = 1, expires: float = 3600.0) -> Any: ...  # noqa: D102
    def invites(self) -> list[InviteInfo]: ...  # noqa: D102
    def revoke_invite(self, invite_id: str) -> Any: ...  # noqa: D102
    async def join(  # noqa: D102
        self,
        code: Any,
        *,
        name: str | None = None,
        progress: Callable[[str], None] | None = None,
        timeout: float = 30.0,
    ) -> Any: ...
    async def join_manual(self, code: Any, *, name: str | None = None) -> Any: ...  # noqa: D102
    def explain(self, peer: Any) -> Explanation: ...  # noqa: D102
    async def accept(self, reply: str) -> Any: ...  # noqa: D102
    def peers(self) -> list[Any]: ...  # noqa: D102
    def peer(self, text: str) -> Any: ...  # noqa: D102
    async def remove(self, peer: Any) -> None: ...  # noqa: D102
    async def promote(self, peer: Any) -> None: ...  # noqa: D102
    async def leave(self) -> None: ...  # noqa: D102
    def status(self) -> NodeStatus: ...  # noqa: D102
    def events(self) -> AsyncIterator[Any]: ...  # noqa: D102
    def on_stream(self, name: str, handler: Callable[[Any], Awaitable[None]]) -> Any: ...  # noqa: D102
