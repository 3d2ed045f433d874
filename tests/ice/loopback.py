"""Two endpoints on this machine and a session between them."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable

from atmosphere.ice.credentials import IceCredentials
from atmosphere.ice.endpoint import IceEndpoint
from atmosphere.ice.listener import Listener
from atmosphere.ice.session import IceSession
from atmosphere.ice.settings import IceSettings

HOST = IceCredentials("HostUfrag", "ThePasswordOfTheHost0000")
LOOPBACK = IceSettings(addresses=("127.0.0.1",))
_numbers = itertools.count()


def password_for(ufrag: str) -> str:
    """Each dialer's password, as a join code's secret would give it."""
    return f"PasswordThatBelongsTo{ufrag}"


def dialer_credentials() -> IceCredentials:
    """Credentials nobody had before."""
    ufrag = f"dialer{next(_numbers)}"
    return IceCredentials(ufrag, password_for(ufrag))


def echo(session: IceSession) -> None:
    """What the host's side does in these tests."""
    session.on_datagram = session.send


def listen(host: IceEndpoint, on_session: Callable[[IceSession], None] = echo) -> Listener:
    """The host listens with its usual credentials."""
    return host.listen(HOST.ufrag, HOST.password, password_for, on_session)


def dial(host: IceEndpoint, dialer: IceEndpoint) -> IceSession:
    """A session to whatever the host can be reached at; nothing goes back but checks."""
    session = dialer.dial(dialer_credentials(), HOST)
    for candidate in host.candidates:
        session.add_remote(candidate)
    return session


async def connect(
    host: IceEndpoint, dialer: IceEndpoint, on_session: Callable[[IceSession], None] = echo
) -> tuple[IceSession, Listener]:
    """A connected session of the dialer's; for relayed hosts the dialer's candidates are told to the host, too."""
    listener = listen(host, on_session)
    session = dial(host, dialer)
    theirs = listener.session(session.local_ufrag)
    assert theirs is not None
    for candidate in dialer.candidates:
        theirs.add_remote(candidate)
    await session.connected(10)
    return session, listener


async def exchange(session: IceSession, datagrams: Iterable[bytes]) -> bool:
    """Whether each datagram comes back from an echo."""
    got: asyncio.Queue[bytes] = asyncio.Queue()
    session.on_datagram = got.put_nowait
    for datagram in datagrams:
        session.send(datagram)
        if await asyncio.wait_for(got.get(), 5) != datagram:
            return False
    return True
