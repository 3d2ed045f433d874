"""Sockets that belong to one session."""

from __future__ import annotations

import socket

import pytest

from atmosphere.ice.endpoint import IceEndpoint
from atmosphere.ice.hardnat import bases as module
from atmosphere.ice.hardnat.bases import MAX_EXTRA_OF_ONE
from atmosphere.ice.mobility import MobilePath
from atmosphere.ice.session import IceSession
from tests.ice.loopback import HOST, LOOPBACK, connect, dial, dialer_credentials, exchange, listen
from tests.until import until

THERE = ("127.0.0.1", 9)


def fresh() -> socket.socket:
    """A bound socket that nobody reads."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.bind(("127.0.0.1", 0))
    return sock


def through(session: IceSession, base: int) -> bool:
    """Whether something came back over that base."""
    return any(pair.base == base and pair.state == "succeeded" for pair in session.report())


async def test_a_session_uses_its_own_socket_and_others_do_not() -> None:
    async with IceEndpoint(LOOPBACK) as host, IceEndpoint(LOOPBACK) as dialer:
        session, _ = await connect(host, dialer)
        other = dialer.dial(dialer_credentials(), HOST)
        base = dialer.extra.adopt(session, fresh(), THERE)
        assert base is not None
        await until(lambda: through(session, base.id))
        later = dial(host, dialer)
        await later.connected(5)
        for one in (other, later):
            assert all(pair.base != base.id for pair in one.report())
        assert base.candidate.endpoint not in {candidate.endpoint for candidate in dialer.candidates}
        # It is worse than the node's own, and no server of the node's.
        assert session.path is not None
        assert session.path.local.port == dialer.port
        assert base.socket is None


async def test_data_goes_over_it_where_nothing_else_works() -> None:
    async with IceEndpoint(LOOPBACK) as host, IceEndpoint(LOOPBACK) as dialer:
        session, _ = await connect(host, dialer)
        base = dialer.extra.adopt(session, fresh(), THERE)
        assert base is not None
        await until(lambda: through(session, base.id))
        session.remove_base(next(iter(dialer._bases)))
        await until(lambda: session.path is not None and session.path.local.port == base.candidate.port)
        (theirs,) = host.sessions
        await until(lambda: theirs.path is not None and theirs.path.remote.port == base.candidate.port)
        assert await exchange(session, [b"\x14 over the new socket"])


async def test_it_is_closed_with_its_session() -> None:
    async with IceEndpoint(LOOPBACK) as host, IceEndpoint(LOOPBACK) as dialer:
        session, _ = await connect(host, dialer)
        sock = fresh()
        base = dialer.extra.adopt(session, sock, THERE)
        assert base is not None
        session.close()
        assert (sock.fileno(), len(dialer.extra), dialer.mux.base(base.id)) == (-1, 0, None)
        late = fresh()
        assert dialer.extra.adopt(session, late, THERE) is None
        assert late.fileno() == -1


async def test_it_goes_on_with_the_next_session_of_its_link() -> None:
    async with IceEndpoint(LOOPBACK) as host, IceEndpoint(LOOPBACK) as dialer:
        first, _ = await connect(host, dialer)
        sock = fresh()
        base = dialer.extra.adopt(first, sock, THERE)
        assert base is not None
        path = MobilePath(first)
        path.keep()
        second = dial(host, dialer)
        path.attach(second, (1, 0))
        await second.connected(5)
        first.close()
        await until(lambda: through(second, base.id))
        assert sock.fileno() != -1
        path.close()
        assert (sock.fileno(), len(dialer.extra), dialer.mux.base(base.id)) == (-1, 0, None)


async def test_they_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    async with IceEndpoint(LOOPBACK) as host, IceEndpoint(LOOPBACK) as dialer:
        session, _ = await connect(host, dialer)
        socks = [fresh() for _ in range(MAX_EXTRA_OF_ONE + 1)]
        for sock in socks:
            assert dialer.extra.adopt(session, sock, THERE) is not None
        assert [sock.fileno() == -1 for sock in socks] == [True, *[False] * MAX_EXTRA_OF_ONE]
        monkeypatch.setattr(module, "MAX_EXTRA", len(dialer.extra))
        assert dialer.extra.adopt(session, fresh(), THERE) is None
    assert all(sock.fileno() == -1 for sock in socks)


async def test_it_goes_with_the_address_it_is_bound_to() -> None:
    async with IceEndpoint(LOOPBACK) as host, IceEndpoint(LOOPBACK) as dialer:
        session, _ = await connect(host, dialer)
        sock = fresh()
        assert dialer.extra.adopt(session, sock, THERE) is not None
        dialer.extra.address_gone("192.0.2.1")
        assert len(dialer.extra) == 1
        dialer.extra.address_gone("127.0.0.1")
        assert (len(dialer.extra), sock.fileno()) == (0, -1)
        listen(dialer)
        assert not session.is_over
