"""Opens relayed transport addresses: a random free port on the right local address, or two neighbours. Pure."""

from __future__ import annotations

import errno
from collections.abc import Callable
from functools import partial

from atmosphere.turn.server.allocation import Relayed
from atmosphere.turn.server.errors import TurnError
from atmosphere.turn.server.host import Host
from atmosphere.turn.server.pairs import Pairs
from atmosphere.turn.server.ports import Ports
from atmosphere.turn.server.settings import TurnSettings
from atmosphere.turn.server.shared import SharedPort
from atmosphere.udp.window import Window

MAX_TRIES = 64
"""Ports that the system may refuse, as other programs have them, before the range counts as full."""

FromPeer = Callable[[Relayed, Window, int, int, tuple[str, int], float], None]


class Opener:
    """Opens and closes relayed addresses; `from_peer(relayed, …)` gets what arrives there."""

    def __init__(self, settings: TurnSettings, host: Host, from_peer: FromPeer) -> None:
        self._settings = settings
        self._host = host
        self._from_peer = from_peer
        self._ports: dict[str, Ports] = {}
        self._shared: dict[str, SharedPort] = {}
        self._pairs = Pairs()

    def move(self, settings: TurnSettings) -> None:
        """Open on the addresses of these settings from now on; what is open stays."""
        self._settings = settings

    def open(self, family: int, arrived_at: str, *, even: bool = False, pair: bool = False) -> list[Relayed]:
        """One relayed address, or with `pair` that and the one with the next port up.

        TurnError 440 where this family is not relayed, 508 where no port is to be had.
        """
        found = self._settings.relay_address(family, arrived_at)
        if found is None:
            raise TurnError(440)
        local, public = found
        if self._settings.single_relay_port:
            return [self._join(local, public, even, pair)]
        ports = self._ports.setdefault(local, Ports(self._settings.min_port, self._settings.max_port))
        offers = ports.offers(even=even or pair, pair=pair)
        for _, port in zip(range(MAX_TRIES), offers, strict=False):
            opened = self._open(local, public, port)
            if opened is None:
                continue
            if not pair:
                return [opened]
            second = self._beside(opened)
            if second is not None:
                return [opened, second]
        raise TurnError(508)

    def _beside(self, opened: Relayed) -> Relayed | None:
        """The one with the next port up; without it `opened` is closed."""
        second = None
        try:
            second = self._open(opened.local, opened.address[0], opened.address[1] + 1)
        finally:
            if second is None:
                self.close(opened)
        return second

    def _open(self, local: str, public: str, port: int) -> Relayed | None:
        """A relayed address on this very port, or None where somebody else has it."""
        relayed = Relayed((public, port), local)
        try:
            relayed.relay = self._host.open(local, port, partial(self._from_peer, relayed))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return None
            raise TurnError(508) from error
        self._ports[local].take(port)
        return relayed

    def start(self) -> None:
        """Open what all allocations share; raises OSError."""
        for local, public in self._settings.addresses.items() if self._settings.single_relay_port else ():
            self._share(local, public)

    def _share(self, local: str, public: str) -> SharedPort:
        port = self._settings.single_relay_port
        shared = SharedPort((public, port), self._pairs)
        shared.relay = self._host.open(local, port, partial(self._from_peers, shared))
        self._shared[local] = shared
        self._pairs.addresses.add(shared.address)
        return shared

    def stop(self) -> None:
        """Close it."""
        for shared in self._shared.values():
            if shared.relay is not None:
                shared.relay.close()
        self._shared.clear()
        self._pairs.addresses.clear()

    def _join(self, local: str, public: str, even: bool, pair: bool) -> Relayed:
        shared = self._shared.get(local)
        if shared is None:
            try:
                shared = self._share(local, public)
            except OSError as error:
                raise TurnError(508) from error
        if pair or (even and shared.address[1] % 2):
            raise TurnError(508)
        relayed = Relayed(shared.address, local, shared)
        relayed.relay = shared.relay
        shared.join(relayed)
        return relayed

    def _from_peers(
        self, shared: SharedPort, window: Window, size: int, segment: int, source: tuple[str, int], now: float
    ) -> None:
        relayed = shared.owner(source, now)
        if relayed is not None:
            self._from_peer(relayed, window, size, segment, source, now)

    def close(self, relayed: Relayed) -> None:
        """Free its port."""
        if relayed.shared is not None:
            relayed.shared.leave(relayed)
        elif relayed.relay is not None:
            relayed.relay.close()
            relayed.relay = None
            self._ports[relayed.local].give_back(relayed.address[1])
