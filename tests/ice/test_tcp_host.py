"""ICE over TCP between endpoints on this machine: real connections, with UDP kept from getting through or not."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from atmosphere.ice import gather
from atmosphere.ice import tcp_host as module
from atmosphere.ice.base import reflexive
from atmosphere.ice.candidate import Candidate
from atmosphere.ice.endpoint import IceEndpoint
from atmosphere.ice.events import IceEvent, PathLost, PathRestored
from atmosphere.ice.session import IceSession
from atmosphere.ice.settings import IceSettings, parse_stun
from atmosphere.ice.tcp_candidates import tcp_host
from atmosphere.ice.tcp_doors import AT_ONCE
from atmosphere.ice.tcp_framing import frame
from atmosphere.ice.tcp_host import TcpHost
from atmosphere.ice.tcp_mapping import TcpMapped, TcpMapping
from atmosphere.stun.message import Class, Message, Method, decode, encode
from atmosphere.tcp.port import TcpPort
from atmosphere.tcp.undecided import Accepted
from tests.ice.loopback import HOST, LOOPBACK, dialer_credentials, echo, exchange, listen
from tests.ice.vnet import make_candidate
from tests.until import until


class Doors:
    """The other protocols of the port."""

    def turn(self, accepted: Accepted) -> asyncio.Protocol:
        return asyncio.Protocol()

    def http(self, accepted: Accepted) -> asyncio.Protocol:
        return asyncio.Protocol()


@contextlib.asynccontextmanager
async def host_over_tcp(
    settings: IceSettings = LOOPBACK, address: str = "127.0.0.1"
) -> AsyncIterator[tuple[IceEndpoint, TcpPort]]:
    """An endpoint with a TCP port of its own."""
    port = TcpPort(Doors())
    async with IceEndpoint(settings) as endpoint:
        await port.start(address)
        port.framed = endpoint.serve_tcp(port.port)
        try:
            yield endpoint, port
        finally:
            await port.stop()


def tcp_only(host: IceEndpoint, dialer: IceEndpoint) -> IceSession:
    """A session that knows nothing of the host but its TCP candidates."""
    session = dialer.dial(dialer_credentials(), HOST)
    for candidate in host.candidates:
        if candidate.transport == "tcp":
            session.add_remote(candidate)
    return session


async def test_what_waits_for_our_own_mapping_leaves_room_for_other_sessions() -> None:
    async with IceEndpoint(LOOPBACK) as node:
        first, second = (node.dial(dialer_credentials(), HOST) for _ in range(2))
        for session, count in ((second, 1), (first, 2 * module.MAX_WAITING)):
            for port in range(2000, 2000 + count):
                session.add_remote(Candidate.from_sdp(f"f 1 tcp 1 127.0.0.1 {port} typ srflx tcptype so"))
        waiting = [session for session, _ in node.mux.tcp._waiting]
        assert waiting == [second] + [first] * module.MAX_WAITING_OF_ONE


async def test_one_peer_holds_so_many_connections_whatever_sessions_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CONNECTIONS_OF_ONE", 2)
    async with host_over_tcp() as (host, _), IceEndpoint(LOOPBACK) as dialer:
        listen(host)
        first, second = tcp_only(host, dialer), tcp_only(host, dialer)
        await first.connected(10)
        await second.connected(10)
        third = tcp_only(host, dialer)
        await until(lambda: host.mux.tcp.dropped > 0)
        assert len(host.mux.tcp.bases) == 2
        for session in host.sessions:
            if session.remote_ufrag == first.local_ufrag:
                session.close()
        await third.connected(10)
        assert len(host.mux.tcp.bases) == 2


async def test_a_session_that_may_only_use_relays_connects_to_nobody() -> None:
    async with host_over_tcp() as (host, _), IceEndpoint(LOOPBACK) as dialer:
        listen(host)
        session = dialer.dial(dialer_credentials(), HOST)
        session.set_policy("relay")
        for candidate in host.candidates:
            session.add_remote(candidate)

        def is_planned() -> bool:
            return session.tcp is not None and session.tcp._timer is not None

        assert [(pair.local.transport, pair.state) for pair in session.report()] == [("tcp", "waiting")]
        assert not is_planned()
        session.set_policy("any")
        assert is_planned()
        session.set_policy("relay")
        assert not is_planned()


@pytest.mark.parametrize("dialed", [False, True], ids=["it dials", "we dial"])
async def test_no_peer_has_us_try_every_port_by_one_session_after_the_other(dialed: bool) -> None:
    async with IceEndpoint(LOOPBACK) as node:
        listener, tried = listen(node), set[tuple[str, int]]()
        for number in range(20):
            credentials = dialer_credentials()
            session = node.dial(credentials, HOST) if dialed else listener.session(credentials.ufrag)
            assert session is not None
            for port in range(2000 + 8 * number, 2008 + 8 * number):
                session.add_remote(Candidate.from_sdp(f"f 1 tcp 1 127.0.0.1 {port} typ host tcptype passive"))
            tried |= {pair.remote.endpoint for pair in session.report()}
            session.close()
        assert len(tried) == AT_ONCE


async def test_a_session_over_tcp_alone() -> None:
    async with host_over_tcp() as (host, port), IceEndpoint(LOOPBACK) as dialer:
        met: list[IceSession] = []

        def on_session(session: IceSession) -> None:
            met.append(session)
            echo(session)

        listen(host, on_session)
        session = tcp_only(host, dialer)
        await session.connected(10)
        assert await exchange(session, [b"\x20hello", b"\x3f" * 60000])
        assert session.path is not None
        assert (session.path.kind, session.path.protocol, session.path.remote.port) == ("direct", "tcp", port.port)
        assert session.path.local.type == "host", "no router sits between"
        (far,) = met
        assert far.path is not None
        assert (far.path.kind, far.path.protocol, far.path.local.port) == ("direct", "tcp", port.port)
        assert far.origin == "127.0.0.1"
        session.close()
        await until(lambda: not host.mux.tcp.bases and not dialer.mux.tcp.bases)


def check(local: str, remote: str, password: str, **more: Any) -> bytes:
    """A first check as a dialer sends it."""
    attributes: dict[str, Any] = {"USERNAME": f"{local}:{remote}", "PRIORITY": 1, "ICE-CONTROLLING": 1} | more
    message = Message(Method.BINDING, Class.REQUEST, attributes=attributes)
    message.add_message_integrity(password.encode())
    return encode(message)


GOOD = check(HOST.ufrag, "dialer00", HOST.password)


async def say(port: TcpPort, *datagrams: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect and send."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port.port)
    for datagram in datagrams:
        writer.write(frame(datagram))
    return reader, writer


async def is_cut(reader: asyncio.StreamReader) -> bool:
    """Wait until the host ends the connection; True when it said nothing before."""
    async with asyncio.timeout(10):
        try:
            return await reader.read() == b""
        except ConnectionResetError:
            return True


@pytest.mark.parametrize(
    "first",
    [
        check("Nobody", "dialer00", HOST.password),
        check(HOST.ufrag, "dialer00", "wrong" * 5),
        check(HOST.ufrag, "x", HOST.password),
        check(HOST.ufrag, "refused0", HOST.password),
        encode(Message(Method.BINDING, Class.REQUEST)),
        encode(Message(Method.ALLOCATE, Class.REQUEST, attributes={"USERNAME": f"{HOST.ufrag}:dialer00"})),
        GOOD[:-1],
        GOOD[:-9] + b"unauthentic"[:9],
    ],
    ids=["ufrag", "password", "no-ufrag", "refused", "no-username", "method", "cut", "changed"],
)
async def test_strangers_are_cut_without_an_answer(first: bytes) -> None:
    async with host_over_tcp() as (host, port):
        host.listen(HOST.ufrag, HOST.password, lambda ufrag: None if ufrag == "refused0" else "p" * 22, echo)
        reader, writer = await say(port, first)
        assert await is_cut(reader)
        assert host.mux.tcp.dropped == 1
        assert not host.sessions
        writer.close()


async def test_a_check_without_a_priority_begins_nothing() -> None:
    message = Message(Method.BINDING, Class.REQUEST, attributes={"USERNAME": f"{HOST.ufrag}:dialer00"})
    message.add_message_integrity(HOST.key)
    async with host_over_tcp() as (host, port):
        listen(host)
        reader, writer = await say(port, encode(message))
        assert await is_cut(reader)
        writer.close()


async def test_an_authentic_check_is_answered_on_its_connection() -> None:
    async with host_over_tcp() as (host, port):
        listen(host)
        reader, writer = await say(port, GOOD)
        async with asyncio.timeout(10):
            said = [decode(await reader.readexactly(int.from_bytes(await reader.readexactly(2)))) for _ in range(2)]
        assert {one.message_class for one in said} == {Class.REQUEST, Class.RESPONSE}, "it checks, too"
        answer = next(one for one in said if one.message_class is Class.RESPONSE)
        assert answer.transaction_id == decode(GOOD).transaction_id
        assert answer.attributes["XOR-MAPPED-ADDRESS"] == writer.get_extra_info("sockname")
        assert (len(host.mux.tcp.bases), host.mux.tcp.dropped) == (1, 0)
        writer.close()
        await until(lambda: not host.mux.tcp.bases)


async def test_a_connection_is_one_sessions_only() -> None:
    other = check(HOST.ufrag, "dialer99", HOST.password)
    async with host_over_tcp() as (host, port):
        listen(host)
        _, writer = await say(port, GOOD, other)
        await until(lambda: len(host.sessions) == 2)
        reports = {session.remote_ufrag: len(session.report()) for session in host.sessions}
        assert reports == {"dialer00": 1, "dialer99": 0}
        writer.close()


async def test_noise_on_a_connection_disturbs_nobody() -> None:
    noise = random.Random(7)
    async with host_over_tcp() as (host, port), IceEndpoint(LOOPBACK) as dialer:
        listen(host)
        session = tcp_only(host, dialer)
        _, writer = await say(port, GOOD)
        await until(lambda: len(host.mux.tcp.bases) == 1)
        for _ in range(2000):
            head = noise.choice([b"", b"\x00\x01", b"\x01\x01\x00\x08\x21\x12\xa4\x42", b"\x40", b"\x16\xfe\xfd"])
            writer.write(frame(head + noise.randbytes(noise.randrange(300))))
        await writer.drain()
        await session.connected(10)
        assert await exchange(session, [b"\x20hello"])
        assert len(host.sessions) == 2
        assert max(one.bytes_received for one in host.sessions) > 100_000, "it was read"
        writer.close()


async def test_the_silent_are_cut_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STRANGER_SECONDS", 0.02)
    async with host_over_tcp() as (host, port):
        listen(host)
        reader, writer = await asyncio.open_connection("127.0.0.1", port.port)
        writer.write(frame(GOOD)[:-1])
        assert await is_cut(reader)
        assert host.mux.tcp.dropped == 1
        writer.close()


async def test_there_are_so_many_strangers_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STRANGERS_OF_ONE", 2)
    async with host_over_tcp() as (host, port):
        listen(host)
        waiting = [await asyncio.open_connection("127.0.0.1", port.port) for _ in range(2)]
        for _, writer in waiting:
            writer.write(frame(GOOD)[:-1])
        await until(lambda: len(host.mux.tcp._strangers) == 2)
        reader, one_more = await say(port, GOOD)
        assert await is_cut(reader)
        waiting[0][1].write(frame(GOOD)[-1:])
        await until(lambda: host.mux.tcp.bases)
        for writer in (one_more, *(writer for _, writer in waiting)):
            writer.close()


async def test_there_are_so_many_connections_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CONNECTIONS", 0)
    async with host_over_tcp() as (host, port):
        listen(host)
        reader, writer = await say(port, GOOD)
        assert await is_cut(reader)
        writer.close()


async def test_who_hides_behind_relays_has_no_tcp() -> None:
    hidden = IceSettings(addresses=("127.0.0.1",), policy="relay")
    async with host_over_tcp(hidden) as (host, port), IceEndpoint(hidden) as dialer:
        listen(host)
        assert host.candidates == []
        reader, writer = await say(port, GOOD)
        assert await is_cut(reader)
        writer.close()
        session = dialer.dial(dialer_credentials(), HOST)
        session.add_remote(tcp_host(make_candidate("host", ("127.0.0.1", 1)), "passive", port.port))
        assert session.tcp is None


async def test_candidates_are_told_as_they_are_known() -> None:
    told: list[Candidate] = []
    async with IceEndpoint(LOOPBACK) as host:
        host.on_candidate = told.append
        host.serve_tcp(host.port)
        (own,) = told
        assert (own.transport, own.tcp_type, own.endpoint) == ("tcp", "passive", ("127.0.0.1", host.port))
        host.map_tcp("127.0.0.1", ("203.0.113.5", 4000))
        assert [(one.type, one.endpoint) for one in told[1:]] == [("srflx", ("203.0.113.5", 4000))]
        assert told[1] in host.candidates
        host.map_tcp("127.0.0.1", None)
        host.map_tcp("192.0.2.77", ("203.0.113.5", 4000))
        assert len(told) == 2
        assert [one.transport for one in host.candidates] == ["udp", "tcp"]


async def test_an_address_that_keeps_the_udp_port_may_keep_the_tcp_port_too() -> None:
    async with IceEndpoint(LOOPBACK) as host:
        base = host.mux.tcp.hosts()[0]
        for port in (host.port, 40000):
            base.reflexive["192.0.2.9", port] = reflexive(base, ("203.0.113.5", port), ("192.0.2.9", 3478))
        assert host.mux.tcp.candidates() == []
        host.serve_tcp(host.port)
        beyond = [one.endpoint for one in host.mux.tcp.candidates() if one.type == "srflx"]
        assert beyond == [("203.0.113.5", host.port)]


async def test_with_its_address_a_connection_is_gone_at_once() -> None:
    async with host_over_tcp() as (host, _), IceEndpoint(LOOPBACK) as dialer:
        listen(host)
        session, events = tcp_only(host, dialer), list[IceEvent]()
        await session.connected(10)
        session.on_event = events.append
        (base,) = dialer.mux.tcp.bases.values()
        assert base.candidate.address == "127.0.0.1"
        dialer._closed(next(iter(dialer.mux.tcp.hosts())))
        assert not dialer.mux.tcp.bases
        assert isinstance(events[0], PathLost)


async def test_what_cannot_be_connected_to_is_not() -> None:
    async with host_over_tcp() as (host, port):
        session = host.dial(dialer_credentials(), HOST)
        own = tcp_host(make_candidate("host", ("127.0.0.1", 1)), "passive", port.port)
        for remote in (own, tcp_host(own, "active"), tcp_host(make_candidate("host", ("192.0.2.1", 1)), "passive", 7)):
            session.add_remote(remote)
        assert session.tcp is None


async def test_an_address_that_cannot_be_bound_is_an_error_of_the_attempt() -> None:
    remote = tcp_host(make_candidate("host", ("127.0.0.1", 1)), "passive", 7777)
    async with IceEndpoint(LOOPBACK) as endpoint:
        with pytest.raises(OSError, match="assign"):
            endpoint.mux.tcp.open_socket(tcp_host(make_candidate("host", ("192.0.2.1", 1)), "active"), remote)


async def test_over_ipv6() -> None:
    six = IceSettings(addresses=("::1",))
    async with host_over_tcp(six, "::1") as (host, _), IceEndpoint(six) as dialer:
        listen(host)
        session = tcp_only(host, dialer)
        await session.connected(10)
        assert session.path is not None
        assert (session.path.family, session.path.protocol) == (6, "tcp")


async def test_udp_wins_where_it_works() -> None:
    async with host_over_tcp() as (host, _), IceEndpoint(LOOPBACK) as dialer:
        listen(host)
        session = dialer.dial(dialer_credentials(), HOST)
        for candidate in host.candidates:
            session.add_remote(candidate)
        await session.connected(10)
        assert session.path is not None
        assert session.path.protocol == "udp"
        assert [(report.local.tcp_type, report.state) for report in session.report() if report.local.tcp_type] == [
            ("active", "waiting")
        ]


async def test_from_tcp_to_udp_when_udp_comes_and_back_when_it_goes() -> None:
    async with host_over_tcp() as (host, _), IceEndpoint(LOOPBACK) as dialer:
        sessions: list[IceSession] = []
        listen(host, sessions.append)
        session = tcp_only(host, dialer)
        await session.connected(10)
        for candidate in host.candidates:
            session.add_remote(candidate)
        await until(lambda: session.path is not None and session.path.protocol == "udp")
        await until(lambda: sessions[0].path is not None and sessions[0].path.protocol == "udp")
        for base in dialer.mux.tcp.hosts():
            session.remove_base(base.id)
        assert session.path is not None
        assert session.path.protocol == "tcp", "at once: the connection was still there"


async def test_a_connection_that_dies_is_replaced() -> None:
    async with host_over_tcp() as (host, _), IceEndpoint(LOOPBACK) as dialer:
        listen(host)
        session, events = tcp_only(host, dialer), list[IceEvent]()
        await session.connected(10)
        session.on_event = events.append
        (base,) = host.mux.tcp.bases
        for far in host.sessions:
            assert far.tcp is not None
            far.tcp._ways[0].connection.close()
        await until(lambda: [one for one in events if isinstance(one, PathRestored)])
        assert base not in host.mux.tcp.bases
        assert await exchange(session, [b"\x20again"])


async def test_a_router_that_forgets_the_connection_is_no_obstacle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing passes, and nobody says so: consent finds out, and another connection is made."""
    async with host_over_tcp() as (host, _), IceEndpoint(LOOPBACK) as dialer:
        listen(host)
        session, events = tcp_only(host, dialer), list[IceEvent]()
        await session.connected(10)
        session.on_event = events.append
        assert session.tcp is not None
        old = session.tcp._ways[0].connection
        monkeypatch.setattr(old, "send", lambda datagram, destination=None: None)
        old.on_datagram = lambda datagram: None
        base = dialer.mux.tcp.bases[session.tcp._ways[0].base.id]
        base.send = old.send
        await until(lambda: [one for one in events if isinstance(one, PathRestored)], 30)
        assert old.is_over
        assert await exchange(session, [b"\x20again"])


# --- simultaneous open: the connection itself is shown in tests/lab ---------------------------------------------------

BEYOND = ("203.0.113.5", 40000)
THEIRS = Candidate.from_sdp("f 1 tcp 1500000000 127.0.0.1 45555 typ srflx raddr 0.0.0.0 rport 0 tcptype so")


async def test_what_is_learned_of_tcp_is_told_and_used() -> None:
    told: list[Candidate] = []
    async with IceEndpoint(LOOPBACK) as host:
        host.on_candidate = told.append
        host.serve_tcp(host.port)
        session = host.dial(dialer_credentials(), HOST)
        gone = host.dial(dialer_credentials(), HOST)
        for one in (session, gone):
            one.add_remote(THEIRS)
            assert one.tcp is None, "nowhere to connect from yet"
        gone.close()
        tcp = host.mux.tcp
        tcp.mapping.known["127.0.0.1"] = TcpMapped(41000, BEYOND)
        tcp._mapped("127.0.0.1")
        assert [(one.tcp_type, one.endpoint) for one in told] == [
            ("passive", ("127.0.0.1", host.port)),
            ("so", BEYOND),
        ]
        assert told[1] in host.candidates
        assert session.tcp is not None
        assert gone.tcp is None
        [report] = session.report()
        assert (report.local.endpoint, report.local.tcp_type, report.remote) == (("127.0.0.1", 41000), "so", THEIRS)
        sock = tcp.open_socket(report.local, report.remote)
        assert sock.getsockname() == ("127.0.0.1", 41000)
        sock.close()
        session.add_remote(THEIRS)
        assert len(session.report()) == 1
        tcp.mapping.known["127.0.0.1"] = TcpMapped(40000, BEYOND)
        kept = [(one.tcp_type, one.endpoint) for one in tcp.candidates() if one.type == "srflx"]
        assert kept == [("passive", (BEYOND[0], host.port)), ("so", BEYOND)], "a router that keeps ports"
        tcp._mapped("192.0.2.77")
        assert len(told) == 2


async def test_servers_are_asked_over_tcp_when_none_answers_over_udp(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    silent = IceSettings(addresses=("127.0.0.1",), stun=(parse_stun("stun:127.0.0.1:1"),))
    monkeypatch.setattr(gather, "GIVE_UP", 0.05)
    monkeypatch.setattr(TcpMapping, "want", lambda self, hosts: asked.append(list(hosts)))
    async with IceEndpoint(silent) as host:
        await until(lambda: asked == [["127.0.0.1"]])
        base = host.mux.tcp.hosts()[0]
        base.reflexive["192.0.2.9", 1] = reflexive(base, BEYOND, ("192.0.2.9", 3478))
        host.mux.tcp.seek()
        assert len(asked) == 1
    hidden = TcpHost(host.mux, {}, bind=False, hidden=True)
    hidden.seek()
    assert len(asked) == 1
