"""The node's one place on the network: its sockets, its candidates, its sessions.

One UDP port serves every session, and answers as a STUN server too. Candidates are gathered once for all sessions: host
at once, server-reflexive and relayed as servers answer; each trickles into every session and to `on_candidate`. Servers
are asked side by side, so one that is dead costs nobody time. When the network changes, all of it begins again, and the
callbacks in `on_change` are called once the sockets are right.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable
from functools import partial

from atmosphere.ice.base import Base, reflexive, relay_base
from atmosphere.ice.candidate import Candidate
from atmosphere.ice.changes import Changes
from atmosphere.ice.consent import REST
from atmosphere.ice.credentials import IceCredentials
from atmosphere.ice.events import Transmit
from atmosphere.ice.following import Following
from atmosphere.ice.gather import KEEPALIVE, Gatherer, Mapped, Silent
from atmosphere.ice.gathering import Gathering
from atmosphere.ice.hardnat.bases import ExtraBases
from atmosphere.ice.hardnat.view import NatView
from atmosphere.ice.health import Kind, ServerHealth, ServerTable
from atmosphere.ice.keepalive import KeepAlive
from atmosphere.ice.listener import Listener, PasswordFor
from atmosphere.ice.mux import Mux
from atmosphere.ice.nat import NatBehaviour
from atmosphere.ice.portmapping.mapper import PortMapper
from atmosphere.ice.portmapping.model import MappedPort
from atmosphere.ice.relays import Relays
from atmosphere.ice.session import IceSession
from atmosphere.ice.settings import IceSettings, ServerUri, TurnServer
from atmosphere.ice.sockets import Sockets
from atmosphere.ice.stun_servers import StunServers, binding_servers
from atmosphere.tcp.undecided import Maker
from atmosphere.turn.client import Allocation
from atmosphere.udp.socket import UdpSocket

__all__ = ["IceEndpoint"]

logger = logging.getLogger(__name__)

LOOK_AGAIN = 5.0
"""Seconds between questions to servers that silent paths give rise to."""


class IceEndpoint:
    """Sockets on one port, shared by every session. `async with` starts and closes it."""

    def __init__(self, settings: IceSettings) -> None:
        self.settings = settings.with_servers(settings.stun, settings.turn)
        self.on_candidate: Callable[[Candidate], None] | None = None
        self._changes = Changes()
        self.on_change = self._changes.receivers
        self._numbers = itertools.count(1)
        self._bases: dict[int, Base] = {}
        self._relayed: dict[Allocation, Base] = {}
        self._gatherer = Gatherer()
        self.nat = NatView(self._bases, self._gatherer, lambda: [session.report for session in self.sessions])
        self._health = ServerTable()
        self._sockets = Sockets(self.settings, lambda: next(self._numbers), self._opened, self._closed)
        self._following = Following(lambda sure: self.refresh_addresses(sure=sure), self._own)
        self._ports: PortMapper | None = None
        self._looked_at = float("-inf")
        self._running = False

    async def start(self) -> None:
        """Bind the port and begin to gather; raises AtmosphereError with one line and a hint when it cannot."""
        self._loop = asyncio.get_running_loop()
        self.mux = Mux(self.settings.policy, self._gatherer, bind=self.settings.addresses is not None)
        self.extra = ExtraBases(self.mux, lambda: next(self._numbers))
        self._gathering = Gathering(self._gatherer, self._ask, self._learned)
        self._stun = StunServers(self._gatherer, self.mux.tcp.mapping, self._gathering.run, self._health.failed)
        self._relays = Relays(self._allocated, self._deallocated, self._health.failed)
        self._keepalive = KeepAlive(self.nat.discoverers, self.set_rest)
        self.mux.tcp.on_candidates = self._announce
        self._sockets.open()
        self._running = True
        self._changes.start()
        self._following.start()
        if self.settings.port_mapping and self.settings.policy != "relay":
            self._ports = PortMapper(self.port, self._port_mapped, on_tcp=self.map_tcp, seed=self.settings.mapping_seed)
            for base in self._bases.values():
                self._ports.add(base)
        logger.info("listening on UDP port %d of %s", self.port, ", ".join(self._sockets.addresses))
        self.set_servers(self.settings.stun, self.settings.turn)

    async def close(self) -> None:
        """End every session, give relayed addresses back (a second at most), free the port. Twice is fine."""
        if not self._running:
            return
        self._running = False
        self.on_candidate = None
        self._following.close()
        self._gathering.close()
        self.mux.close()
        await self.mux.tcp.close()
        await self._stun.close()
        await self._keepalive.close()
        await asyncio.gather(self._relays.close(), self._ports.close() if self._ports else asyncio.sleep(0))
        self.extra.close()
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
        found: dict[tuple[str, tuple[str, int]], Candidate] = {}
        every = [candidate for base in self._bases.values() for candidate in base.candidates]
        for candidate in sorted(self.mux.useful([*every, *self.mux.tcp.candidates()]), key=lambda one: -one.priority):
            found.setdefault((candidate.transport, candidate.endpoint), candidate)
        return list(found.values())

    @property
    def behaviour(self) -> NatBehaviour:
        """What our NAT does, as far as servers and peers that were asked anyway can tell."""
        return self.nat.behaviour

    @property
    def sessions(self) -> list[IceSession]:
        """Those that are not over."""
        return self.mux.sessions

    def servers(self) -> list[ServerHealth]:
        """How each STUN and TURN server does."""
        return self._health.report()

    def lent_by(self, node_id: str) -> set[int]:
        """The bases that are relays of that member's: what is heard there, it may have made up."""
        return {base.id for base in self._relayed.values() if base.lender == node_id}

    def port_mappings(self) -> list[MappedPort]:
        """How each of our ports does at each router that we are behind; nothing without `port_mapping`."""
        return self._ports.report() if self._ports else []

    async def gathered(self, timeout: float) -> None:
        """Wait until every server and router has answered or failed, `timeout` seconds at most."""
        try:
            async with asyncio.timeout(timeout):
                await self._health.settled.wait()
                if self._ports:
                    await self._ports.settled()
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

    def set_rest(self, seconds: float) -> None:
        """Check idle paths at least this often (5 to 18 s; 15 unless told): half of what the NAT's mappings live.

        Where that is sooner than usual, so are the sockets' own mappings kept alive. Measured: see `ice.keepalive`.
        """
        self._gatherer.keepalive = KEEPALIVE if seconds >= REST else seconds
        self.mux.set_rest(seconds)

    # TCP

    def serve_tcp(self, port: int) -> Maker:
        """The node's TCP port is a passive candidate on every address from now on (RFC 6544).

        What is returned makes the protocol for each connection that begins like a check.
        """
        self.mux.tcp.port = port
        self._announce(self.mux.tcp.candidates())
        return self.mux.tcp.accept

    def map_tcp(self, local: str, external: tuple[str, int] | None) -> None:
        """A router leads the external address and port to our TCP port on `local`, or (None) does so no more."""
        self._announce(self.mux.tcp.map(local, external))

    # servers

    def set_servers(self, stun: tuple[ServerUri, ...], turn: tuple[TurnServer, ...]) -> None:
        """Ask these servers from now on; credentials of one that stays are replaced."""
        self.settings = self.settings.with_servers(stun, turn)
        kinds: dict[str, Kind] = {str(uri): "stun" for uri in self.settings.stun}
        kinds.update({str(server): "turn" for server in self.settings.turn})
        self._health.replace(kinds)
        self._stun.set_servers(binding_servers(self.settings))
        for base in self._bases.values():
            base.reflexive = {server: one for server, one in base.reflexive.items() if self._gatherer.asks(server)}
        self._relays.set_servers(self.settings.turn)

    # gathering

    def _ask(self, transmit: Transmit) -> None:
        base = self._bases.get(transmit.base)
        if base is not None:
            self.mux.spoke_to(transmit)
            base.send(transmit.data, transmit.destination)

    def _learned(self, event: Mapped | Silent) -> None:
        if isinstance(event, Mapped):
            self._health.answered(event.uri, event.rtt, event.address)
            self._mapped(event)
        else:
            self._health.failed(event.uri, event.error)
            self.mux.tcp.seek()

    def _mapped(self, event: Mapped) -> None:
        base = self._bases.get(event.base)
        if base is None or event.address == base.candidate.endpoint:
            return
        candidate = reflexive(base, event.address, event.server)
        if event.former is not None:
            base.reflexive = {server: one for server, one in base.reflexive.items() if one.endpoint != event.former}
        base.reflexive[event.server] = candidate
        if self._ports:
            self._ports.seen(base)
        if event.new:
            logger.info("%s port %d is seen as %s port %d", *base.candidate.endpoint, *event.address)
            self.mux.add_candidate(candidate, base)
        if event.forgotten:
            self._keepalive.forgotten()
        self._keepalive.learned()
        if event.new or event.former is not None:
            self._announce([candidate, *self.mux.tcp.candidates_of(base)[1:]])
        if event.former is not None and event.former[0] != event.address[0] and self._changes.public_address():
            self._try_everything_again()

    def _port_mapped(self, base: Base, candidate: Candidate | None) -> None:
        base.mapped = candidate
        if candidate is not None:
            self.mux.add_candidate(candidate, base)
        # One that is gone is no longer among `candidates`; whoever tells them hears of it by the socket's own.
        self._announce([candidate or base.candidate])

    def _allocated(self, uri: str, allocation: Allocation) -> None:
        base = relay_base(next(self._numbers), allocation, hide=self.settings.policy == "relay")
        base.lender = next((server.lender for server in self.settings.turn if str(server) == uri), "")
        self._relayed[allocation] = base
        allocation.on_datagram = partial(self._received, base)
        allocation.on_burst = partial(self._received_burst, base)
        self._health.answered(uri, allocation.rtt, allocation.relayed)
        self._add(base)

    def _deallocated(self, allocation: Allocation) -> None:
        base = self._relayed.pop(allocation, None)
        if base is not None:
            self._remove(base)

    # bases

    def _opened(self, base: Base, sock: UdpSocket) -> None:
        sock.on_burst = partial(self._received_burst, base)
        sock.on_no_way = self._following.doubt
        self._gatherer.add_base(base.id, base.candidate.address, self._loop.time())
        self._add(base)
        self._announce(self.mux.tcp.candidates_of(base))
        if self._ports:
            self._ports.add(base)

    def _received(self, base: Base, data: bytes, source: tuple[str, int]) -> None:
        if self.mux.receive(base, data, source):
            self._gathering.run()

    def _received_burst(self, base: Base, data: bytes, segment: int, source: tuple[str, int]) -> None:
        if self.mux.receive_burst(base, data, segment, source):
            self._gathering.run()

    def _closed(self, base: Base) -> None:
        self._gatherer.remove_base(base.id)
        self.extra.address_gone(base.candidate.address)
        self._remove(base)
        self.mux.tcp.address_gone(base.candidate.address)
        if self._ports:
            self._ports.remove(base)

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

    def _own(self) -> set[str]:
        return {*self._sockets.addresses, *self._sockets.names}

    def refresh_addresses(self, *, sure: bool = False) -> bool:
        """Look at the network now: new addresses get a socket and candidates, those gone lose theirs.

        Whether anything changed, or is said to have changed (`sure`); then all is asked and tried again at once.
        """
        if not self._running:
            return False
        changed = self._changes.look(moved=self._sockets.refresh(), sure=sure)
        if self._ports:
            self._ports.refresh(changed=changed)
        if not changed:
            return False
        logger.info("the network changed: %s", ", ".join(self.addresses))
        self._gatherer.ask_again(self._loop.time())
        self._gathering.run()
        self._try_everything_again()
        return True

    def _try_everything_again(self) -> None:
        self._relays.hurry()
        self._keepalive.network_changed()
        self.mux.network_changed()
        self._stun.hurry()
        self._changes.tell()

    def look_again(self) -> None:
        """Somebody's path has fallen silent, and it may be our network that changed: ask STUN and TURN servers at once
        whether we are still where we were. Often is fine."""
        if self._running and (now := self._loop.time()) >= self._looked_at + LOOK_AGAIN:
            self._looked_at = now
            self._gatherer.ask_again(now)
            self._gathering.run()
            self._relays.hurry()
