"""The STUN servers in use: each name is looked up, again and again until there are addresses, which are then asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from atmosphere.errors import Unreachable
from atmosphere.ice.gather import Gatherer
from atmosphere.ice.resolve import resolve
from atmosphere.ice.settings import IceSettings, ServerUri
from atmosphere.ice.tcp_mapping import TcpMapping
from atmosphere.tasks import Tasks

__all__ = ["StunServers", "binding_servers"]

NAME_RETRY = 30.0


def binding_servers(settings: IceSettings) -> list[ServerUri]:
    """Whom to ask for our addresses: STUN servers, and TURN servers over UDP, which are that too (RFC 8656 §3)."""
    if settings.policy == "relay":
        return []
    turn = [server.uri for server in settings.turn if server.uri.transport in (None, "udp")]
    return [*settings.stun, *(ServerUri("stun", uri.host, uri.port) for uri in turn)]


class StunServers:
    """By URI. The gatherer and the mapping of TCP ask them; `found()` is called once there is somebody new to ask.

    `failed(uri, error)` hears in one line of a name that has no address.
    """

    def __init__(
        self, gatherer: Gatherer, tcp: TcpMapping, found: Callable[[], None], failed: Callable[[str, str], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._gatherer = gatherer
        self._tcp = tcp
        self._found = found
        self._failed = failed
        self._finding: dict[str, asyncio.Task[None] | None] = {}
        self._changed = asyncio.Event()
        self._tasks = Tasks("stun servers")

    def set_servers(self, uris: list[ServerUri]) -> None:
        """Ask these from now on; those that stay are left alone."""
        wanted = {str(uri): uri for uri in uris}
        for gone in [name for name in self._finding if name not in wanted]:
            task = self._finding.pop(gone)
            if task is not None:
                task.cancel()
            self._tell(gone, [])
        for name, uri in wanted.items():
            if name not in self._finding:
                self._finding[name] = self._tasks.spawn(self._find(name, uri), f"find {name}")

    def hurry(self) -> None:
        """The network changed: names that were not found are looked up at once."""
        self._changed.set()
        self._changed.clear()

    async def close(self) -> None:
        """Look nothing up any more."""
        await self._tasks.close()

    async def _find(self, name: str, uri: ServerUri) -> None:
        """Look the server's addresses up, again and again until there are some."""
        while True:
            try:
                addresses = await resolve(uri.host, uri.port)
            except Unreachable as error:
                self._failed(name, str(error))
                await self._pause(NAME_RETRY)
            else:
                self._tell(name, addresses)
                self._found()
                return

    def _tell(self, name: str, addresses: list[tuple[str, int]]) -> None:
        self._gatherer.set_server(name, addresses, self._loop.time())
        self._tcp.set_server(name, addresses)

    async def _pause(self, seconds: float) -> None:
        """Wait; a change of the network ends the wait."""
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return
