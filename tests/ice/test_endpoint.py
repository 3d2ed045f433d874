"""atmosphere.ice.endpoint, on loopback sockets; real servers are in tests/interop."""

from __future__ import annotations

import asyncio
import random
import socket
import time
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from atmosphere.errors import AtmosphereError, Unreachable
from atmosphere.ice import endpoint as endpoint_module
from atmosphere.ice.candidate import Candidate
from atmosphere.ice.credentials import IceCredentials
from atmosphere.ice.endpoint import IceEndpoint
from atmosphere.ice.session import IceSession
from atmosphere.ice.settings import IceSettings, parse_stun, parse_turn
from atmosphere.stun.message import Class, Message, Method, binding_request, decode, encode, mapped_address
from atmosphere.udp.addresses import LocalAddress, Quality
from atmosphere.udp.socket import UdpSocket
from tests.ice.loopback import HOST, LOOPBACK, connect, dial, dialer_credentials, echo, exchange, listen
from tests.turn.fake_server import PASSWORD, RELAYED, USER, FakeTurnServer
from tests.until import until


async def ask(request: bytes, port: int, timeout: float = 5.0) -> Message | None:
    """What the endpoint answers to one datagram of a stranger's."""
    sock = UdpSocket.bind("127.0.0.1")
    answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    sock.on_datagram = lambda data, source: answer.set_result(data)
    sock.send(request, ("127.0.0.1", port))
    try:
        return decode(await asyncio.wait_for(answer, timeout))
    except TimeoutError:
        return None
    finally:
        sock.close()


def check(local: str, remote: str, password: str) -> bytes:
    """A first check as a dialer sends it."""
    attributes: dict[str, Any] = {"USERNAME": f"{local}:{remote}", "PRIORITY": 1, "ICE-CONTROLLING": 1}
    message = Message(Method.BINDING, Class.REQUEST, attributes=attributes)
    message.add_message_integrity(password.encode())
    return encode(message)


async def test_a_dialer_needs_no_answer() -> None:
    async with IceEndpoint(LOOPBACK) as host, IceEndpoint(LOOPBACK) as dialer:
        met: list[IceSession] = []

        def on_session(session: IceSession) -> None:
            met.append(session)
            echo(session)

        listen(host, on_session)
        session = dial(host, dialer)
        await session.connected(5)
        assert await exchange(session, [b"\x20hello", b"\x3f" * 1200])
        assert [one.remote_ufrag for one in met] == [session.local_ufrag]
        assert session.path is not None
        assert (session.path.kind, session.path.protocol, session.path.family) == ("direct", "udp", 4)
        assert session.path.remote.port == host.port
        assert session.bytes_sent == session.bytes_received == 1206


async def test_over_ipv6_and_over_both() -> None:
    both = IceSettings(addresses=("::1", "127.0.0.1"))
    async with IceEndpoint(both) as host, IceEndpoint(IceSettings(addresses=("::1",))) as six, IceEndpoint(both) as two:
        listen(host)
        assert {one.family for one in host.candidates} == {4, 6}
        for dialer in (six, two):
            session = dial(host, dialer)
            await session.connected(5)
            assert session.path is not None
            assert (session.path.family, session.path.remote.address) == (6, "::1")
            assert await exchange(session, [b"\x20six"])


async def test_twenty_dialers_at_once() -> None:
    async with IceEndpoint(LOOPBACK) as host:
        listen(host)
        dialers = [IceEndpoint(LOOPBACK) for _ in range(20)]
        await asyncio.gather(*(dialer.start() for dialer in dialers))
        started = time.monotonic()
        sessions = [dial(host, dialer) for dialer in dialers]
        await asyncio.gather(*(session.connected(10) for session in sessions))
        assert time.monotonic() - started < 5
        assert all(await asyncio.gather(*(exchange(session, [b"\x20x"]) for session in sessions)))
        assert len(host.sessions) == 20
        await asyncio.gather(*(dialer.close() for dialer in dialers))


async def test_strangers_hear_nothing() -> None:
    async with IceEndpoint(LOOPBACK) as host:
        listen(host)
        unknown = ask(check("nobody", "dialer", HOST.password), host.port, 0.3)
        wrong = ask(check(HOST.ufrag, "dialer", "a wrong password"), host.port, 0.3)
        odd = ask(check(HOST.ufrag, "no ufrag!", HOST.password), host.port, 0.3)
        assert set(await asyncio.gather(unknown, wrong, odd)) == {None}
        assert host.sessions == []
        assert host.mux.dropped == {"unknown": 1, "unauthenticated": 1, "refused": 1}


async def test_a_dialer_may_be_refused_and_a_failing_listener_is_contained() -> None:
    def raises(*_: object) -> None:
        raise ZeroDivisionError

    async with IceEndpoint(LOOPBACK) as host:
        host.listen("refusing", HOST.password, lambda ufrag: None, echo)
        host.listen("raising", HOST.password, raises, echo)
        host.listen("announcing", HOST.password, lambda ufrag: "x" * 22, raises)
        for local in ("refusing", "raising", "announcing"):
            await ask(check(local, "dialer", HOST.password), host.port, 0.2)
        assert [session.local_ufrag for session in host.sessions] == ["announcing"]


async def test_a_flood_of_garbage_changes_nothing() -> None:
    rng = random.Random(1)
    failures: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: failures.append(context))
    async with IceEndpoint(LOOPBACK) as host, IceEndpoint(LOOPBACK) as dialer:
        session, _ = await connect(host, dialer)
        size = host.mux.size
        seed = [check(HOST.ufrag, "dialer", "wrong"), check("x", "y", "z"), encode(binding_request()), b"\x16\xfe\xfd"]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
            for number in range(5000):
                data = bytearray(rng.choice(seed)) if number % 2 else bytearray(rng.randbytes(rng.randrange(80)))
                for _ in range(rng.randrange(4)):
                    if data:
                        data[rng.randrange(len(data))] = rng.randrange(256)
                flood.sendto(data, ("127.0.0.1", host.port))
                if number % 50 == 0:
                    await asyncio.sleep(0)
        assert await exchange(session, [b"\x20still here"])
        assert host.mux.size <= size + 10
        assert [one.state for one in host.sessions] == ["connected"]
        assert failures == []
        assert sum(host.mux.dropped.values()) > 1000


async def test_the_port_is_a_stun_server() -> None:
    async with IceEndpoint(LOOPBACK) as host:
        answer = await ask(encode(binding_request()), host.port)
        assert answer is not None
        mapped = mapped_address(answer)
        assert mapped is not None
        assert mapped[0] == "127.0.0.1"


async def test_closed_and_dialed_again() -> None:
    async with IceEndpoint(LOOPBACK) as host, IceEndpoint(LOOPBACK) as dialer:
        first, listener = await connect(host, dialer)
        first.close()
        host.sessions[0].close()
        assert host.sessions == dialer.sessions == []
        assert listener.session(first.local_ufrag) is None  # its late checks must not start it anew
        second = dial(host, dialer)
        await second.connected(5)
        assert await exchange(second, [b"\x20again"])
        listener.close()
        listener.close()
        third = dial(host, dialer)
        with pytest.raises(Unreachable, match=r"no path within 0\.2 s"):
            await third.connected(0.2)


async def test_signaling_and_the_first_check_meet_in_one_session() -> None:
    async with IceEndpoint(LOOPBACK) as host, IceEndpoint(LOOPBACK) as dialer:
        met: list[IceSession] = []
        listener = listen(host, met.append)
        session = dial(host, dialer)
        signaled = listener.session(session.local_ufrag)
        await session.connected(5)
        assert met == [signaled] == host.sessions


async def test_both_dial_at_once_and_one_session_stays() -> None:
    async with IceEndpoint(LOOPBACK) as one, IceEndpoint(LOOPBACK) as two:
        listen(one)
        listen(two)
        reasons: list[Any] = []
        dialed = [dial(two, one), dial(one, two)]
        for session in dialed:
            session.on_event = reasons.append
        await until(lambda: any(session.is_over for session in dialed))
        await until(lambda: len(one.sessions) == 1 == len(two.sessions))
        (here,), (there,) = one.sessions, two.sessions
        assert here.key == there.key[::-1]
        assert here.dialer_ufrag == min(session.local_ufrag for session in dialed)
        (loser,) = [session for session in dialed if session.is_over]
        assert "superseded" in reasons[-1].reason
        with pytest.raises(Unreachable, match="superseded"):
            await loser.connected(1)
        (winner,) = [session for session in dialed if not session.is_over]
        await winner.connected(5)
        assert await exchange(winner, [b"\x20one link"])


async def test_a_restarted_dialer_gets_through_at_once() -> None:
    async with IceEndpoint(LOOPBACK) as host:
        listen(host)
        dialer = IceEndpoint(LOOPBACK)
        await dialer.start()
        await dial(host, dialer).connected(5)
        port = dialer.port
        await dialer.close()
        async with IceEndpoint(IceSettings(addresses=("127.0.0.1",), port=port)) as restarted:
            session = dial(host, restarted)
            await session.connected(5)
            assert await exchange(session, [b"\x20back"])


async def test_a_dead_stun_server_delays_nobody() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as dead:
        dead.bind(("127.0.0.1", 0))
        async with IceEndpoint(LOOPBACK) as alive, IceEndpoint(LOOPBACK) as host:
            uris = [f"stun:127.0.0.1:{port}" for port in (dead.getsockname()[1], alive.port)]
            settings = IceSettings(addresses=("127.0.0.1",), stun=tuple(map(parse_stun, uris)))
            started = time.monotonic()
            async with IceEndpoint(settings) as dialer:
                session, _ = await connect(host, dialer)
                assert time.monotonic() - started < 1
                await until(lambda: dialer.servers()[1].ok)
                assert dialer.servers()[1].address == ("127.0.0.1", dialer.port)
                assert dialer.servers()[0].ok is None
                await dialer.gathered(0.01)
                await dialer.gathered(8)
                assert dialer.servers()[0].error == "no answer"
                assert session.state == "connected"


async def test_dead_stun_and_turn_servers_cost_no_time() -> None:
    """Nobody waits for gathering: neither for a silent port nor for one that takes connections and says nothing."""
    silent = UdpSocket.bind("127.0.0.1")
    callers: list[asyncio.StreamWriter] = []
    deaf = await asyncio.start_server(lambda reader, writer: callers.append(writer), "127.0.0.1", 0)
    port = deaf.sockets[0].getsockname()[1]
    settings = IceSettings(
        ("127.0.0.1",),
        stun=(parse_stun(f"stun:127.0.0.1:{silent.port}"),),
        turn=tuple(
            parse_turn(f"turn:127.0.0.1:{number}?transport={transport}", username="user", password="secret")
            for number, transport in ((silent.port, "udp"), (port, "tcp"), (port, "ws"))
        ),
    )
    async with IceEndpoint(settings) as host, IceEndpoint(settings) as dialer:
        listen(host)
        began = asyncio.get_running_loop().time()
        session = dial(host, dialer)
        await session.connected(5)
        assert asyncio.get_running_loop().time() - began < 1.0
        session.close()
    silent.close()
    deaf.close()
    await deaf.wait_closed()
    for caller in callers:
        caller.close()
        await caller.wait_closed()


async def test_a_taken_port_is_one_clear_line() -> None:
    async with IceEndpoint(LOOPBACK) as host:
        with pytest.raises(AtmosphereError, match=f"UDP port {host.port} is in use") as caught:
            await IceEndpoint(IceSettings(addresses=("127.0.0.1",), port=host.port)).start()
        assert "--port" in str(caught.value.hint)


async def test_candidates_trickle_into_live_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeTurnServer() as server:
        async with IceEndpoint(LOOPBACK) as host, IceEndpoint(LOOPBACK) as dialer:
            session, _ = await connect(host, dialer)
            found: asyncio.Queue[Candidate] = asyncio.Queue()
            dialer.on_candidate = found.put_nowait
            turn = replace(parse_turn(f"turn:{USER}:{PASSWORD}@127.0.0.1:{server.address[1]}"), lender="a member")
            stun = parse_stun(f"127.0.0.1:{host.port}")
            dialer.set_servers((stun,), (turn,))
            candidate = await asyncio.wait_for(found.get(), 5)
            assert (candidate.type, candidate.endpoint) == ("relay", RELAYED)
            assert candidate.relay_protocol == "udp"
            assert candidate in dialer.candidates
            assert (len(dialer.lent_by("a member")), dialer.lent_by("another")) == (1, set())
            await dialer.gathered(5)
            assert [(one.kind, one.ok) for one in dialer.servers()] == [("stun", True), ("turn", True)]
            assert "secret" not in repr(dialer.settings) + repr(dialer.servers())
            dialer.set_servers((), ())
            await until(lambda: candidate not in dialer.candidates)
            assert dialer.servers() == []
            assert await exchange(session, [b"\x20still"])


async def test_a_turn_server_tells_our_address_too() -> None:
    with FakeTurnServer() as server:
        server.sees = ("203.0.113.5", 40000)
        turn = parse_turn(f"turn:{USER}:{PASSWORD}@127.0.0.1:{server.address[1]}")
        async with IceEndpoint(IceSettings(("127.0.0.1",), turn=(turn,))) as endpoint:
            await until(lambda: {"srflx", "relay"} <= {one.type for one in endpoint.candidates})
            assert [(one.kind, one.ok, one.address) for one in endpoint.servers()] == [("turn", True, RELAYED)]


async def test_direct_leaves_turn_servers_out_and_relay_everything_else() -> None:
    stun, turn = parse_stun("127.0.0.1:9"), parse_turn("turn:127.0.0.1:9")
    async with IceEndpoint(IceSettings(("127.0.0.1",), stun=(stun,), turn=(turn,), policy="direct")) as direct:
        assert [server.kind for server in direct.servers()] == ["stun"]
    async with IceEndpoint(IceSettings(("127.0.0.1",), stun=(stun,), turn=(turn,), policy="relay")) as relay:
        assert [server.kind for server in relay.servers()] == ["turn"]
        assert relay.candidates == []
        listen(relay)
        assert await ask(check(HOST.ufrag, "dialer", HOST.password), relay.port, 0.2) is None
        assert relay.mux.dropped["policy"] == 1


async def test_a_mapped_address_becomes_a_candidate() -> None:
    async with IceEndpoint(LOOPBACK) as endpoint:
        server = UdpSocket.bind("127.0.0.1")

        def answer(data: bytes, source: tuple[str, int]) -> None:
            attributes = {"XOR-MAPPED-ADDRESS": ("203.0.113.5", 40000 + server.received)}
            response = Message(Method.BINDING, Class.RESPONSE, decode(data).transaction_id, attributes)
            server.send(encode(response), source)

        server.on_datagram = answer
        found: asyncio.Queue[Candidate] = asyncio.Queue()
        endpoint.on_candidate = found.put_nowait
        endpoint.set_servers((parse_stun(f"127.0.0.1:{server.port}"),), ())
        first = await asyncio.wait_for(found.get(), 5)
        assert (first.type, first.endpoint) == ("srflx", ("203.0.113.5", 40001))
        assert (first.related_address, first.related_port) == ("127.0.0.1", endpoint.port)
        endpoint._gatherer.ask_again(0.0)  # as after a change of the network: the mapping is another now
        endpoint._gathering.run()
        second = await asyncio.wait_for(found.get(), 5)
        assert second.endpoint == ("203.0.113.5", 40002)
        assert [one.endpoint for one in endpoint.candidates if one.type == "srflx"] == [second.endpoint]
        server.close()


async def test_what_our_nat_does_is_known_from_the_servers_that_are_asked_anyway() -> None:
    async with IceEndpoint(LOOPBACK) as endpoint:
        assert endpoint.behaviour.mapping == "unknown"
        servers = [UdpSocket.bind("127.0.0.1"), UdpSocket.bind("127.0.0.2")]

        def answer(server: UdpSocket, data: bytes, source: tuple[str, int]) -> None:
            attributes = {"XOR-MAPPED-ADDRESS": ("203.0.113.5", server.port)}
            response = Message(Method.BINDING, Class.RESPONSE, decode(data).transaction_id, attributes)
            server.send(encode(response), source)

        for server in servers:
            server.on_datagram = partial(answer, server)
        endpoint.set_servers(tuple(parse_stun(f"{server.address}:{server.port}") for server in servers), ())
        await endpoint.gathered(5)
        assert (endpoint.behaviour.mapping, endpoint.behaviour.type) == ("address-and-port-dependent", "symmetric")
        assert sorted(endpoint.nat.servers) == [(server.address, server.port) for server in servers]
        for server in servers:
            server.close()


async def test_a_name_without_an_address_is_one_line() -> None:
    async with IceEndpoint(LOOPBACK) as endpoint:
        endpoint.set_servers((parse_stun("nobody.invalid"),), ())
        await endpoint.gathered(10)
        (server,) = endpoint.servers()
        assert server.ok is False
        assert "nobody.invalid" in str(server.error)


async def test_a_change_of_the_network_looks_names_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    present = [LocalAddress("a", "127.0.0.2", 4, Quality.WIRED)]
    monkeypatch.setattr("atmosphere.ice.sockets.local_addresses", lambda: list(present))
    asked: list[str] = []

    async def resolve(host: str, port: int) -> list[tuple[str, int]]:
        asked.append(host)
        if len(asked) == 1:
            raise Unreachable("no network")
        return [("127.0.0.1", port)]

    monkeypatch.setattr("atmosphere.ice.stun_servers.resolve", resolve)
    async with IceEndpoint(IceSettings(stun=(parse_stun("stun.example:9"),))) as endpoint:
        await until(lambda: asked)
        assert endpoint.servers()[0].error == "no network"
        present.append(LocalAddress("b", "127.0.0.3", 4, Quality.WIFI))
        endpoint.refresh_addresses()
        await until(lambda: len(asked) == 2)


async def test_a_silent_path_has_the_servers_asked_again_but_not_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = IceEndpoint(LOOPBACK)
    endpoint.look_again()
    async with endpoint:
        asked: list[float] = []
        monkeypatch.setattr(endpoint._gatherer, "ask_again", asked.append)
        for _ in range(3):
            endpoint.look_again()
        assert len(asked) == 1
        endpoint._looked_at -= endpoint_module.LOOK_AGAIN
        endpoint.look_again()
        assert len(asked) == 2


async def test_idle_paths_are_asked_as_often_as_the_nat_wants() -> None:
    async with IceEndpoint(LOOPBACK) as host, IceEndpoint(LOOPBACK) as dialer:
        session, _ = await connect(host, dialer)
        dialer.set_rest(7.0)
        assert session.rest == 7.0


async def test_a_session_with_the_same_fragments_is_refused() -> None:
    async with IceEndpoint(LOOPBACK) as endpoint:
        ours, theirs = dialer_credentials(), dialer_credentials()
        endpoint.dial(ours, theirs)
        with pytest.raises(ValueError, match="exists"):
            endpoint.dial(ours, theirs)
        listen(endpoint)
        with pytest.raises(ValueError, match="listened on already"):
            listen(endpoint)


async def test_a_failing_receiver_of_candidates_is_contained(caplog: pytest.LogCaptureFixture) -> None:
    def raises(candidate: Candidate) -> None:
        raise ZeroDivisionError

    endpoint = IceEndpoint(LOOPBACK)
    endpoint.on_candidate = raises
    await endpoint.start()
    assert "a candidate's receiver failed" in caplog.text
    await endpoint.close()
    await endpoint.close()


async def test_a_response_nobody_asked_for_is_dropped() -> None:
    async with IceEndpoint(LOOPBACK) as endpoint:
        response = Message(Method.BINDING, Class.RESPONSE, attributes={"XOR-MAPPED-ADDRESS": ("192.0.2.1", 1)})
        refresh = Message(Method.REFRESH, Class.REQUEST)
        indication = Message(Method.BINDING, Class.INDICATION)
        for message in (response, refresh, indication):
            assert await ask(encode(message), endpoint.port, 0.05) is None
        assert endpoint.mux.dropped == {"unasked": 1, "method": 1}


async def test_credentials_have_no_place_in_a_repr() -> None:
    async with IceEndpoint(LOOPBACK) as endpoint:
        session = endpoint.dial(
            IceCredentials("ufragA", "hidden-password"), IceCredentials("ufragB", "hidden-password")
        )
        assert "hidden" not in repr(session)
