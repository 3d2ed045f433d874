"""The node's one place on the network: its sockets, its candidates, its sessions.

One UDP port serves every session, and answers as a STUN server too. Candidates are gathered once for all sessions: host
at once, server-reflexive and relayed as servers answer; each trickles into every session and to `on_candidate`. Servers
are asked side by side, so one that is dead costs nobody time.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable
from functools import partial

from atmosphere.errors import Unreachable
from atmosphere.ice.base import Base, reflexive, relay_base
from atmosphere.ice.candidate import Candidate
from atmosphere.ice.credentials import IceCredentials
from atmosphere.ice.gather import Gatherer, Mapped
from atmosphere.ice.health import Kind, ServerHealth, ServerTable
from atmosphere.ice.listener import Listener, PasswordFor
from atmosphere.ice.mux import Mux
from atmosphere.ice.relays import Relays
from atmosphere.ice.resolve import resolve
from atmosphere.ice.session import IceSession
from atmosphere.ice.settings import IceSettings, ServerUri, TurnServer
from atmosphere.ice.sockets import Sockets
from atmosphere.tasks import Tasks
from atmosphere.turn.client import Allocation
from atmosphere.udp.socket import UdpSocket

__all__ = ["IceEndpoint"]

logger = logging.getLogger(__name__)

FOLLOW_ADDRESSES = 3.0
"""Seconds between looks at the machine's addresses."""
NAME_RETRY = 30.0
LOOK_AGAIN = 5.0
"""Seconds between questions to servers that silent paths give rise to."""


class IceEndpoint:
    """Sockets on one port, shared by every session. `async with` starts and closes it."""

    def __init__(self, settings: IceSettings) -> None:
        self.settings = settings.with_servers(settings.stun, settings.turn)
        self.on_candidate: Callable[[Candidate], None] | None = None
        self._numbers = itertools.count(1)
        self._bases: dict[int, Base] = {}
        self._relayed: dict[Allocation, Base] = {}
        self._gatherer = Gatherer()
        self._health = ServerTable()
        self._tasks = Tasks("ice endpoint")
        self._stun_tasks: dict[str, asyncio.Task[None] | None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._sockets = Sockets(self.settings, lambda: next(self._numbers), self._opened, self._closed)
        self._changed = asyncio.Event()
        self._looked_at = float("-inf")
        self._running = False

    async def start(self) -> None:
        """Bind the port and begin to gather; raises AtmosphereError with one line and a hint when it cannot."""
        self._loop = asyncio.get_running_loop()
        self.mux = Mux(self.settings.policy, self._gatherer)
        self._relays = Relays(self._allocated, self._deallocated, self._health.failed)
        self._sockets.open()
        self._running = True
        logger.info("listening on UDP port %d of %s", self.port, ", ".join(self._sockets.addresses))
        self.set_servers(self.settings.stun, self.settings.turn)
        if self.settings.addresses is None:
            self._tasks.spawn(self._follow(), "follow addresses")

    async def close(self) -> None:
        """End every session, give relayed addresses back (a second at most), free the port. Twice is fine."""
        if not self._running:
            return
        self._running = False
        self.on_candidate = None
        self.mux.close()
        await self._tasks.close()
        await self._relays.close()
        if self._timer is not None:
            self._timer.cancel()
        self._sockets.close()

    async def __aenter__(self) -> IceEndpoint:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # what it is

    @property
    def port(self) -> int:
        """The UDP port, the same on every local address."""
        return self._sockets.port

    @property
    def addresses(self) -> list[str]:
        """The local addresses it listens on."""
        return self._sockets.addresses

    @property
    def sockets(self) -> list[UdpSocket]:
        """The sockets on these."""
        return self._sockets.sockets

    @property
    def candidates(self) -> list[Candidate]:
        """What can be told to peers now, best first, each address once."""
        found: dict[tuple[str, int], Candidate] = {}
        every = [candidate for base in self._bases.values() for candidate in base.candidates]
        for candidate in sorted(self.mux.useful(every), key=lambda one: -one.priority):
            found.setdefault(candidate.endpoint, candidate)
        return list(found.values())

    @property
    def sessions(self) -> list[IceSession]:
        """Those that are not over."""
        return self.mux.sessions

    def servers(self) -> list[ServerHealth]:
        """How each STUN and TURN server does."""
        return self._health.report()

    async def gathered(self, timeout: float) -> None:
        """Wait until every server has answered or failed, `timeout` seconds at most."""
        try:
            async with asyncio.timeout(timeout):
                await self._health.settled.wait()
        except TimeoutError:
            return

    # sessions

    def dial(self, local: IceCredentials, remote: IceCredentials, *, controlling: bool = True) -> IceSession:
        """Start a session: checks go out as soon as it has remote candidates (`add_remote`)."""
        return self.mux.dial(local, remote, controlling=controlling)

    def listen(
        self,
        ufrag: str,
        password: str,
        password_for: PasswordFor,
        on_session: Callable[[IceSession], None],
    ) -> Listener:
        """Take sessions that dialers start by a check "ufrag:their ufrag" signed with `password`.

        `password_for(their ufrag)` is their password, or None to refuse; `on_session` gets each new session before its
        first check is answered. Raises ValueError when `ufrag` is listened on already.
        """
        listener = Listener(self.mux, IceCredentials(ufrag, password), password_for, on_session)
        self.mux.listen(listener)
        return listener

    # servers

    def set_servers(self, stun: tuple[ServerUri, ...], turn: tuple[TurnServer, ...]) -> None:
        """Ask these servers from now on; credentials of one that stays are replaced."""
        self.settings = self.settings.with_servers(stun, turn)
        kinds: dict[str, Kind] = {str(uri): "stun" for uri in self.settings.stun}
        kinds.update({str(server): "turn" for server in self.settings.turn})
        self._health.replace(kinds)
        self._set_stun({str(uri): uri for uri in self._binding_servers()})
        self._relays.set_servers(self.settings.turn)

    def _binding_servers(self) -> list[ServerUri]:
        """Whom to ask for our addresses: STUN servers, and TURN servers over UDP, which are that too (RFC 8656 §3)."""
        if self.settings.policy == "relay":
            return []
        turn = [server.uri for server in self.settings.turn if server.uri.transport in (None, "udp")]
        return [*self.settings.stun, *(ServerUri("stun", uri.host, uri.port) for uri in turn)]

    def _set_stun(self, wanted: dict[str, ServerUri]) -> None:
        for gone in [uri for uri in self._stun_tasks if uri not in wanted]:
            task = self._stun_tasks.pop(gone)
            if task is not None:
                task.cancel()
            self._gatherer.set_server(gone, [], self._loop.time())
        for name, uri in wanted.items():
            if name not in self._stun_tasks:
                self._stun_tasks[name] = self._tasks.spawn(self._find_stun(name, uri), f"find {name}")

    async def _find_stun(self, name: str, uri: ServerUri) -> None:
        """Look the server's addresses up, again and again until there are some."""
        while True:
            try:
                addresses = await resolve(uri.host, uri.port)
            except Unreachable as error:
                self._health.failed(name, str(error))
                await self._pause(NAME_RETRY)
            else:
                self._gatherer.set_server(name, addresses, self._loop.time())
                self._gather()
                return

    async def _pause(self, seconds: float) -> None:
        """Wait; a change of the network ends the wait."""
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return

    # gathering

    def _gather(self) -> None:
        """Let the gatherer send, hear what it learned, arm its timer."""
        now = self._loop.time()
        self._gatherer.handle_timer(now)
        for transmit in self._gatherer.transmits():
            base = self._bases.get(transmit.base)
            if base is not None:
                self.mux.spoke_to(transmit)
                base.send(transmit.data, transmit.destination)
        for event in self._gatherer.events():
            if isinstance(event, Mapped):
                self._health.answered(event.uri, event.rtt, event.address)
                self._mapped(event)
            else:
                self._health.failed(event.uri, event.error)
        self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self._gatherer.deadline()
        if deadline is not None and self._running:
            self._timer = self._loop.call_at(deadline, self._gather)

    def _mapped(self, event: Mapped) -> None:
        base = self._bases.get(event.base)
        if base is None or event.address == base.candidate.endpoint:
            return
        candidate = reflexive(base, event.address, event.server)
        base.reflexive[event.server] = candidate
        if event.new:
            logger.info("%s port %d is seen as %s port %d", *base.candidate.endpoint, *event.address)
            self.mux.add_candidate(candidate, base)
            self._announce([candidate])

    def _allocated(self, uri: str, allocation: Allocation) -> None:
        base = relay_base(next(self._numbers), allocation, hide=self.settings.policy == "relay")
        self._relayed[allocation] = base
        allocation.on_datagram = partial(self._received, base)
        self._health.answered(uri, allocation.rtt, allocation.relayed)
        self._add(base)

    def _deallocated(self, allocation: Allocation) -> None:
        base = self._relayed.pop(allocation, None)
        if base is not None:
            self._remove(base)

    # bases

    def _opened(self, base: Base, sock: UdpSocket) -> None:
        sock.on_burst = partial(self._received_burst, base)
        self._gatherer.add_base(base.id, base.candidate.address, self._loop.time())
        self._add(base)

    def _received(self, base: Base, data: bytes, source: tuple[str, int]) -> None:
        if self.mux.receive(base, data, source):
            self._gather()

    def _received_burst(self, base: Base, data: bytes, segment: int, source: tuple[str, int]) -> None:
        if self.mux.receive_burst(base, data, segment, source):
            self._gather()

    def _closed(self, base: Base) -> None:
        self._gatherer.remove_base(base.id)
        self._remove(base)

    def _add(self, base: Base) -> None:
        self._bases[base.id] = base
        self.mux.add_base(base)
        self._announce(base.candidates)

    def _remove(self, base: Base) -> None:
        self._bases.pop(base.id, None)
        self.mux.remove_base(base.id)

    def _announce(self, candidates: list[Candidate]) -> None:
        for candidate in self.mux.useful(candidates):
            if self.on_candidate is not None:
                try:
                    self.on_candidate(candidate)
                except Exception:
                    # The listener's fault is the listener's; gathering goes on.
                    logger.exception("a candidate's receiver failed")

    # changes of the network

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(FOLLOW_ADDRESSES)
            self.refresh_addresses()

    def refresh_addresses(self) -> None:
        """Look at the machine's addresses now: new ones get a socket and candidates, those gone lose theirs."""
        if self._running and self._sockets.refresh():
            self._gatherer.ask_again(self._loop.time())
            self._gather()
            self._relays.hurry()
            self._changed.set()
            self._changed.clear()

    def look_again(self) -> None:
        """Somebody's path has fallen silent, and it may be our network that changed: ask STUN and TURN servers at once
        whether we are still where we were. Often is fine."""
        if self._running and (now := self._loop.time()) >= self._looked_at + LOOK_AGAIN:
            self._looked_at = now
            self._gatherer.ask_again(now)
            self._gather()
            self._relays.hurry()
