"""The node's one port: ICE, STUN and TURN on UDP; signaling, health and TURN on TCP."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from atmosphere.errors import AtmosphereError, StateError
from atmosphere.ice.endpoint import IceEndpoint
from atmosphere.ice.settings import IceSettings
from atmosphere.stun.defaults import DEFAULT_STUN_SERVERS
from atmosphere.tcp.hangup import HangUp
from atmosphere.tcp.port import TcpPort
from atmosphere.tcp.undecided import Accepted
from atmosphere.turn.uri import ServerUri, TurnServer, parse_stun, parse_turn
from signaling import Settings, SignalingServer
from signaling.routes import Route

logger = logging.getLogger(__name__)

PathPolicy = Literal["any", "direct", "relay"]

TRIES = 8
"""How many free ports to try when any will do: UDP and TCP have to be free on the same one."""


@dataclass(frozen=True, slots=True)
class RelayQuota:
    """What this node relays for other members at most: allocations in all and of one member, bytes/s of one member.

    A member needs one allocation, two while it moves to another; one that was killed leaves its own for 10 minutes.
    """

    allocations: int = 512
    allocations_of_one: int = 16
    bytes_per_second: float = 5e6


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """What a node is told about its network; each is a command line option of the same name.

    `relay`: whether it relays for other members where it can be reached; within `relay_quota`, which has no option.
    """

    port: int = 7777
    host: tuple[str, ...] = ()
    signaling: tuple[str, ...] = field(default=(), repr=False)
    stun: tuple[str, ...] | None = None
    turn: tuple[str, ...] = field(default=(), repr=False)
    path_policy: PathPolicy = "any"
    relay: bool = True
    relay_quota: RelayQuota = RelayQuota()
    port_mapping: bool = True
    hard_nat: bool = True

    @property
    def stun_uris(self) -> tuple[ServerUri, ...]:
        """The STUN servers to ask: those given, or the well-known public ones; raises DecodeError."""
        return tuple(parse_stun(text) for text in (DEFAULT_STUN_SERVERS if self.stun is None else self.stun))

    @property
    def turn_servers(self) -> tuple[TurnServer, ...]:
        """The TURN servers to ask, with their credentials; raises DecodeError."""
        return tuple(parse_turn(text) for text in self.turn)


class TurnDoor(Protocol):
    """Who serves TURN over connections; see member_turn.py."""

    def stream(self, accepted: Accepted) -> asyncio.Protocol:
        """The protocol for one connection."""

    def route(self) -> Route:
        """Its WebSockets."""


class Listeners:
    """The endpoint on UDP, and on TCP the embedded signaling server and (where there is one) the TURN server."""

    def __init__(
        self,
        settings: NodeSettings,
        is_member: Callable[[str], bool],
        turn: TurnDoor | None = None,
        mapping_seed: bytes = b"",
    ) -> None:
        self._settings = settings
        self._mapping_seed = mapping_seed
        self._is_member = is_member
        self._turn = turn
        self._tcp: TcpPort | None = None
        self.endpoint = self._make_endpoint(settings.port)
        self.server: SignalingServer | None = None

    @property
    def port(self) -> int:
        """The port in use, once started."""
        return self.endpoint.port

    def _make_endpoint(self, port: int) -> IceEndpoint:
        settings = self._settings
        return IceEndpoint(
            IceSettings(
                addresses=settings.host or None,
                port=port,
                stun=settings.stun_uris,
                turn=settings.turn_servers,
                policy=settings.path_policy,
                port_mapping=settings.port_mapping,
                mapping_seed=self._mapping_seed,
            )
        )

    async def start(self) -> None:
        """Bind both; raises StateError when the port is taken, saying by which protocol."""
        tries = 1 if self._settings.port else TRIES
        for left in reversed(range(tries)):
            try:
                await self._start_once()
            except StateError:
                if not left:
                    raise
                logger.debug("port %d is taken on TCP, trying another", self.port)
                self.endpoint = self._make_endpoint(random.randint(20000, 60000) if left == 1 else 0)  # noqa: S311
            else:
                return

    async def _start_once(self) -> None:
        await self.endpoint.start()
        tcp = TcpPort(self)
        try:
            await tcp.start(list(self._settings.host) or None, self.port)
        except OSError as error:
            await self.endpoint.close()
            raise StateError(
                f"TCP port {self.port} is taken: {error.strerror or error}", hint="choose another one with --port"
            ) from error
        self._tcp = tcp
        tcp.framed = self.endpoint.serve_tcp(tcp.port)
        # Strangers may leave word for members (joiners do), and get nothing else of us.
        routes = [] if self._turn is None else [self._turn.route()]
        self.server = SignalingServer(Settings(), is_member=self._is_member, routes=routes)
        self.server.port, self.server.addresses = tcp.port, tcp.addresses
        self.server.open()

    # what comes to the TCP port

    def turn(self, accepted: Accepted) -> asyncio.Protocol:
        """A stream of STUN and TURN messages."""
        return self._turn.stream(accepted) if self._turn is not None else HangUp()

    def http(self, accepted: Accepted) -> asyncio.Protocol:
        """HTTP, and the WebSockets that begin with it."""
        if self.server is None:
            return HangUp()
        return self.server.connection()

    async def close(self) -> None:
        """Stop listening; allocations are deleted."""
        if self._tcp is not None:
            await self._tcp.stop()
        if self.server is not None:
            try:
                await self.server.stop(drain=0.0)
            except (AtmosphereError, OSError) as error:
                logger.debug("stopping the signaling server: %s", error)
        await self.endpoint.close()
