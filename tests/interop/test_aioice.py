"""Against aioice's stock Connection: a second ICE implementation, in both roles, through our mux."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aioice
import pytest

from atmosphere.ice.candidate import Candidate
from atmosphere.ice.credentials import IceCredentials
from atmosphere.ice.endpoint import IceEndpoint
from atmosphere.ice.session import IceSession
from tests.ice.loopback import HOST, LOOPBACK, dialer_credentials, echo, listen

DATAGRAMS = [b"\x20first", b"\x3f" * 1200, b"\x14last"]


@asynccontextmanager
async def stock(credentials: IceCredentials, *, controlling: bool) -> AsyncIterator[aioice.Connection]:
    """aioice as it is, its candidates gathered on loopback alone."""
    connection = aioice.Connection(
        ice_controlling=controlling,
        components=1,
        local_username=credentials.ufrag,
        local_password=credentials.password,
        use_ipv6=False,
    )
    await connection.gather_candidates()
    yield connection
    await connection.close()


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])


async def tell(connection: aioice.Connection, remote: IceCredentials, candidates: list[Candidate]) -> None:
    """What signaling would carry to it."""
    connection.remote_username, connection.remote_password = remote.ufrag, remote.password
    for candidate in candidates:
        await connection.add_remote_candidate(aioice.Candidate.from_sdp(candidate.to_sdp()))
    await connection.add_remote_candidate(None)


async def comes_back(connection: aioice.Connection) -> bool:
    """Whether datagrams sent by the stock side are echoed by ours."""
    for datagram in DATAGRAMS:
        await connection.send(datagram)
        if await asyncio.wait_for(connection.recv(), 5) != datagram:
            return False
    return True


@pytest.mark.parametrize("controlling", [True, False])
async def test_it_dials_our_listener_and_nothing_is_signaled_back(controlling: bool) -> None:
    async with IceEndpoint(LOOPBACK) as host, stock(dialer_credentials(), controlling=controlling) as connection:
        listen(host)
        await tell(connection, HOST, host.candidates)
        await asyncio.wait_for(connection.connect(), 10)
        assert await comes_back(connection)
        assert [session.state for session in host.sessions] == ["connected"]


@pytest.mark.parametrize("controlling", [True, False])
async def test_we_dial_it(controlling: bool) -> None:
    theirs, ours = dialer_credentials(), dialer_credentials()
    async with IceEndpoint(LOOPBACK) as endpoint, stock(theirs, controlling=not controlling) as connection:
        session: IceSession = endpoint.dial(ours, theirs, controlling=controlling)
        echo(session)
        for candidate in connection.local_candidates:
            session.add_remote(Candidate.from_sdp(candidate.to_sdp()))
        await tell(connection, ours, endpoint.candidates)
        await asyncio.wait_for(connection.connect(), 10)
        await session.connected(10)
        assert await comes_back(connection)
        assert session.path is not None
        assert session.path.kind == "direct"
