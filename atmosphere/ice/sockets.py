"""The node's sockets: one for each local address, all on one port, following the addresses as they come and go."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable

from atmosphere.errors import AtmosphereError
from atmosphere.ice.base import Base, socket_base
from atmosphere.ice.settings import IceSettings
from atmosphere.udp.addresses import LocalAddress, Quality, address_class, local_addresses
from atmosphere.udp.socket import UdpSocket

__all__ = ["Sockets", "preference"]

logger = logging.getLogger(__name__)

ATTEMPTS = 32
"""Ports tried for one that is free on all addresses."""

LOOPBACK = (
    LocalAddress("lo", "127.0.0.1", 4, Quality.LOOPBACK),
    LocalAddress("lo", "::1", 6, Quality.LOOPBACK),
)


class Sockets:
    """Opens and closes the sockets; `number` gives each base its number, `on_open` and `on_close` say what changed."""

    def __init__(
        self,
        settings: IceSettings,
        number: Callable[[], int],
        on_open: Callable[[Base, UdpSocket], None],
        on_close: Callable[[Base], None],
    ) -> None:
        self._settings = settings
        self._number = number
        self._on_open, self._on_close = on_open, on_close
        self._open: dict[str, tuple[Base, UdpSocket]] = {}
        self._names: dict[str, str] = {}
        self.port = 0

    @property
    def addresses(self) -> list[str]:
        """Those with a socket."""
        return list(self._open)

    @property
    def names(self) -> set[str]:
        """The interfaces that these are on, as far as they are known."""
        return {name for address, name in self._names.items() if address in self._open}

    @property
    def sockets(self) -> list[UdpSocket]:
        """Those that are open."""
        return [sock for _, sock in self._open.values()]

    def open(self) -> None:
        """Bind every address on the one port; raises AtmosphereError with one line and a hint when it is taken."""
        wanted = self._wanted()
        bound = _bind_all(wanted, self._settings.port)
        if not bound:
            raise AtmosphereError("this machine has no address to listen on", hint="is the network up?")
        self.port = bound[0][1].port
        for local, sock in bound:
            self._add(local, sock)

    def refresh(self) -> bool:
        """Follow the machine's addresses; whether anything changed. Never raises for one that cannot be bound."""
        wanted = self._wanted()
        names = {local.address for local in wanted}
        # Loopback was the only one there was; links may live on it, and it costs nothing to keep.
        gone = [one for one in self._open if one not in names and address_class(one) != "loopback"]
        for address in gone:
            base, sock = self._open.pop(address)
            self._names.pop(address, None)
            sock.close()
            logger.info("no longer listening on %s: this machine has it no more", address)
            self._on_close(base)
        opened = [self._follow(local) for local in wanted if local.address not in self._open]
        return bool(gone) or any(opened)

    def _follow(self, local: LocalAddress) -> bool:
        try:
            sock = UdpSocket.bind(local.address, self.port)
        except OSError as error:
            logger.debug("cannot listen on %s port %d: %s", local.address, self.port, error)
            return False
        logger.info("listening on %s port %d", local.address, self.port)
        self._add(local, sock)
        return True

    def close(self) -> None:
        """Close them all."""
        for _, sock in self._open.values():
            sock.close()
        self._open.clear()

    def _add(self, local: LocalAddress, sock: UdpSocket) -> None:
        number = self._number()
        base = socket_base(number, sock, self._preference(local, number))
        self._open[local.address] = (base, sock)
        self._names[local.address] = local.name
        self._on_open(base, sock)

    def _preference(self, local: LocalAddress, number: int) -> int:
        """Unique among the sockets, as RFC 8445 §5.1.2.1 wants: after 256 of them the numbers begin again."""
        taken = {base.candidate.priority >> 8 & 0xFFFF for base, _ in self._open.values()}
        wanted = preference(local.quality, _place(local.address), number)
        return next(free for free in range(wanted, -1, -1) if free not in taken)

    def _wanted(self) -> list[LocalAddress]:
        if self._settings.addresses is not None:
            found = [_named(address) for address in dict.fromkeys(self._settings.addresses)]
        else:
            found = local_addresses() or list(LOOPBACK)
        if self._settings.loopback:
            found += [one for one in LOOPBACK if one.address not in {local.address for local in found}]
        return found


def preference(quality: int, place: int, number: int) -> int:
    """A socket's local preference (0–65535, RFC 8445 §5.1.2.2): its interface, its address's kind, then its age.

    `place` is the kind's (0 to 15, the best first). By these and not by the order in which addresses came: an IPv6
    address that comes late ranks as if it had always been there.
    """
    return (min(quality, 15) << 12) | ((15 - min(place, 15)) << 8) | (255 - number % 256)


def _place(address: str) -> int:
    """Public IPv6, then IPv4, then IPv6 of local use (RFC 8421 §4, RFC 6724)."""
    if ":" not in address:
        return 1
    return 2 if address_class(address) == "private" else 0


def _named(address: str) -> LocalAddress:
    quality = Quality.LOOPBACK if address_class(address) == "loopback" else Quality.WIRED
    return LocalAddress("", address, 6 if ":" in address else 4, quality)


def _bind_all(wanted: list[LocalAddress], port: int) -> list[tuple[LocalAddress, UdpSocket]]:
    """Sockets on all addresses that exist, on one port; a port of 0 is tried until one is free on all."""
    for _ in range(1 if port else ATTEMPTS):
        bound: list[tuple[LocalAddress, UdpSocket]] = []
        try:
            for local in wanted:
                _bind_one(local, bound[0][1].port if bound else port, bound)
        except OSError as error:
            for _, sock in bound:
                sock.close()
            if port:
                raise _explain(error, port) from error
        else:
            return bound
    raise AtmosphereError("no UDP port is free on every local address", hint="choose one with --port")


def _bind_one(local: LocalAddress, port: int, bound: list[tuple[LocalAddress, UdpSocket]]) -> None:
    try:
        bound.append((local, UdpSocket.bind(local.address, port)))
    except OSError as error:
        if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
            raise
        logger.info("cannot listen on %s: %s", local.address, error)


def _explain(error: OSError, port: int) -> AtmosphereError:
    if error.errno == errno.EADDRINUSE:
        return AtmosphereError(
            f"UDP port {port} is in use", hint="another node or program has it: choose one with --port"
        )
    if error.errno == errno.EACCES:
        return AtmosphereError(
            f"UDP port {port} is not allowed for this user", hint="choose one above 1023 with --port"
        )
    return AtmosphereError(f"cannot listen on UDP port {port}: {error.strerror or error}")
