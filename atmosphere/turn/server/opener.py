"""Opens relayed transport addresses: a random free port on the right local address, or two neighbours. Pure."""

from __future__ import annotations

import errno
from collections.abc import Callable
from functools import partial

from atmosphere.turn.server.allocation import Relayed
from atmosphere.turn.server.errors import TurnError
from atmosphere.turn.server.host import Host
from atmosphere.turn.server.ports import Ports
from atmosphere.turn.server.settings import TurnSettings

MAX_TRIES = 64
"""Ports that the system may refuse, as other programs have them, before the range counts as full."""

FromPeer = Callable[[Relayed, bytes, int, tuple[str, int], float], None]


class Opener:
    """Opens and closes relayed addresses; `from_peer(relayed, data, segment, source, now)` gets what arrives there."""

    def __init__(self, settings: TurnSettings, host: Host, from_peer: FromPeer) -> None:
        self._settings = settings
        self._host = host
        self._from_peer = from_peer
        self._ports = {local: Ports(settings.min_port, settings.max_port) for local in settings.addresses}

    def open(self, family: int, arrived_at: str, *, even: bool = False, pair: bool = False) -> list[Relayed]:
        """One relayed address, or with `pair` that and the one with the next port up.

        TurnError 440 where this family is not relayed, 508 where no port is to be had.
        """
        found = self._settings.relay_address(family, arrived_at)
        if found is None:
            raise TurnError(440)
        local, public = found
        offers = self._ports[local].offers(even=even or pair, pair=pair)
        for _, port in zip(range(MAX_TRIES), offers, strict=False):
            opened = self._open(local, public, port)
            if opened is None:
                continue
            second = self._open(local, public, port + 1) if pair else opened
            if second is None:
                self.close(opened)
                continue
            return [opened, second] if pair else [opened]
        raise TurnError(508)

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

    def close(self, relayed: Relayed) -> None:
        """Free its port."""
        if relayed.relay is not None:
            relayed.relay.close()
            relayed.relay = None
            self._ports[relayed.local].give_back(relayed.address[1])
