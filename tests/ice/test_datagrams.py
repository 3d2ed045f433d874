"""atmosphere.ice.datagrams: bursts over real sockets, and what the kernel does not take."""

from __future__ import annotations

from typing import Any

import pytest

from atmosphere.ice.datagrams import AMPLIFICATION, MAX_AHEAD, MAX_HELD
from atmosphere.ice.endpoint import IceEndpoint
from atmosphere.ice.mobility import MobilePath
from atmosphere.ice.session import IceSession
from tests.ice.loopback import HOST, LOOPBACK, connect, dial, dialer_credentials, listen
from tests.until import until

DTLS = b"\x17"


def burst(count: int, size: int = 1200, last: int = 1200) -> bytes:
    return b"".join(DTLS + bytes([place]) * (size - 1) for place in range(count - 1)) + DTLS + b"!" * (last - 1)


def collect(session: IceSession | MobilePath) -> tuple[list[bytes], list[int]]:
    """The datagrams that come, and how many came in each burst (or alone, as 1)."""
    got: list[bytes] = []
    sizes: list[int] = []

    def take(data: bytes, segment: int) -> None:
        pieces = [data[start : start + segment] for start in range(0, len(data), segment)]
        got.extend(pieces)
        sizes.append(len(pieces))

    session.on_burst = take
    session.on_datagram = lambda data: take(data, len(data))
    return got, sizes


async def pair(host: IceEndpoint, dialer: IceEndpoint) -> tuple[IceSession, IceSession]:
    session, listener = await connect(host, dialer, lambda _: None)
    peer = listener.session(session.local_ufrag)
    assert peer is not None
    await peer.connected(5)
    return session, peer


def only_socket(session: IceSession) -> Any:
    assert session.selected is not None
    base = session._router.base(session.selected.base)
    assert base is not None and base.socket is not None
    return base.socket


async def test_a_burst_arrives_as_one() -> None:
    async with IceEndpoint(LOOPBACK) as host, IceEndpoint(LOOPBACK) as dialer:
        session, peer = await pair(host, dialer)
        got, sizes = collect(peer)
        data = burst(40, last=300)
        session.send_burst(data, 1200)
        await until(lambda: len(got) == 40)
        assert b"".join(got) == data
        assert sizes in ([40], [39, 1])
        assert session.bytes_sent >= len(data) and peer.bytes_received >= len(data)
        session.send_burst(DTLS + b"alone", 100)
        await until(lambda: got[-1] == DTLS + b"alone")
        assert peer.on_burst is not None


async def test_without_a_reader_of_bursts_each_datagram_is_told() -> None:
    async with IceEndpoint(LOOPBACK) as host, IceEndpoint(LOOPBACK) as dialer:
        session, peer = await pair(host, dialer)
        got: list[bytes] = []
        peer.on_datagram = got.append
        session.send_burst(burst(5), 1200)
        await until(lambda: len(got) == 5)


async def test_a_burst_of_other_things_is_taken_apart() -> None:
    async with IceEndpoint(LOOPBACK) as host, IceEndpoint(LOOPBACK) as dialer:
        session, peer = await pair(host, dialer)
        got, sizes = collect(peer)
        session.send_burst(b"\x80" + bytes(99) + burst(3, 100, 100), 100)
        await until(lambda: len(got) == 4)
        assert sizes == [1] * 4


async def test_before_there_is_a_path_a_burst_waits_like_anything_else() -> None:
    async with IceEndpoint(LOOPBACK) as host, IceEndpoint(LOOPBACK) as dialer:
        peers: list[IceSession] = []
        listen(host, peers.append)
        session = dialer.dial(dialer_credentials(), HOST)
        session.send_burst(burst(3), 1200)
        session.add_remote(host.candidates[0])
        await until(lambda: bool(peers))
        got, _ = collect(peers[0])
        await until(lambda: len(got) == 3)
        session.close()
        dropped = session.dropped
        session.send_burst(burst(3), 1200)
        assert session.dropped == dropped + 3
        session.receive_burst(burst(3), 1200, 0, ("127.0.0.1", 9))
        session.receive_datagram(DTLS, 0, ("127.0.0.1", 9))


async def test_what_the_kernel_does_not_take_is_sent_when_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    async with IceEndpoint(LOOPBACK) as host, IceEndpoint(LOOPBACK) as dialer:
        session, peer = await pair(host, dialer)
        got, _ = collect(peer)
        path = MobilePath(session)
        told: list[bool] = []
        path.on_writable = lambda: told.append(path.blocked)
        sock = only_socket(session)
        real, taken = sock.send_pieces, [10, 0, 7]

        def reluctant(pieces: Any, segment: int, count: int, destination: Any) -> int:
            if not taken:
                return int(real(pieces, segment, count, destination))
            some = min(taken.pop(0), count)
            return int(real((pieces[0][: some * segment],), segment, some, destination)) if some else 0

        monkeypatch.setattr(sock, "send_pieces", reluctant)
        first, second = burst(30), burst(20, last=17)
        path.send_burst(first, 1200)
        assert path.blocked
        path.send_burst(second, 1200)
        await until(lambda: told)
        assert told == [False] and not taken
        await until(lambda: len(got) == 50)
        assert b"".join(got) == first + second


async def test_what_waits_for_the_kernel_is_bounded_and_ends_with_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    async with IceEndpoint(LOOPBACK) as host, IceEndpoint(LOOPBACK) as dialer:
        session, _ = await pair(host, dialer)
        sock = only_socket(session)
        waiting: list[Any] = []
        monkeypatch.setattr(sock, "send_pieces", lambda *_: 0)
        monkeypatch.setattr(sock, "when_writable", waiting.append)
        for _ in range(MAX_HELD + 3):
            session.send_burst(burst(2), 1200)
        assert session.dropped == 6
        waiting[0]()
        assert len(waiting) == 2 and session.blocked
        told: list[bool] = []
        session.on_writable = lambda: told.append(True)
        monkeypatch.setattr(sock, "send_pieces", lambda pieces, segment, count, destination: count)
        waiting[1]()
        assert told == [True] and not session.blocked


async def test_what_waits_for_a_socket_that_is_gone_blocks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    async with IceEndpoint(LOOPBACK) as host, IceEndpoint(LOOPBACK) as dialer:
        session, _ = await pair(host, dialer)
        sock = only_socket(session)
        monkeypatch.setattr(sock, "send_pieces", lambda *_: 1)
        monkeypatch.setattr(sock, "when_writable", lambda callback: None)
        session.send_burst(burst(4), 1200)
        assert [session.blocked, session.dropped] == [True, 0]
        monkeypatch.setattr(session._router, "base", lambda number: None)
        assert [session.blocked, session.dropped] == [False, 3]


async def test_a_probe_goes_by_the_present_path_or_not_at_all() -> None:
    async with IceEndpoint(LOOPBACK) as host, IceEndpoint(LOOPBACK) as dialer:
        session, peer = await pair(host, dialer)
        early = dial(host, dialer)
        early.send_probe(DTLS * 1000)
        assert early.bytes_sent == 0
        early.close()
        got, _ = collect(peer)
        sent = only_socket(session).sent
        MobilePath(session).send_probe(DTLS * 10_000)
        await until(lambda: got == [DTLS * 10_000])
        assert only_socket(session).sent >= sent + 1 and session.bytes_sent == 10_000
        session.close()
        session.send_probe(DTLS)
        assert session.bytes_sent == 10_000


async def test_a_reader_of_bursts_that_fails_is_contained(caplog: pytest.LogCaptureFixture) -> None:
    def raises(data: bytes, segment: int) -> None:
        raise ZeroDivisionError

    async with IceEndpoint(LOOPBACK) as host, IceEndpoint(LOOPBACK) as dialer:
        session, peer = await pair(host, dialer)
        peer.on_burst = raises
        session.send_burst(burst(5), 1200)
        await until(lambda: "a receiver failed" in caplog.text)
        assert peer.state == "connected"


async def test_every_session_of_a_link_has_its_reader() -> None:
    async with IceEndpoint(LOOPBACK) as host, IceEndpoint(LOOPBACK) as dialer:
        listen(host)
        path = MobilePath(dial(host, dialer))
        got, _ = collect(path)
        assert path.on_burst is not None and path.session.on_burst is path.on_burst
        later = dial(host, dialer)
        path.attach(later, (1, 0))
        assert later.on_burst is path.on_burst and later.on_writable is path.on_writable
        assert got == []
        path.close()


def deafen(endpoint: IceEndpoint) -> list[bytes]:
    """What would arrive at an endpoint from now on."""
    came: list[bytes] = []
    (sock,) = endpoint.sockets
    sock.on_datagram = lambda data, source: came.append(bytes(data))
    sock.on_burst = lambda data, segment, source: came.append(bytes(data))
    return came


async def test_what_goes_ahead_of_a_path_is_answered_without_one() -> None:
    async with IceEndpoint(LOOPBACK) as host, IceEndpoint(LOOPBACK) as dialer:
        came, accepted, hello = deafen(dialer), list[IceSession](), DTLS + b"hello" * 20
        listen(host, accepted.append)
        session = dial(host, dialer)
        session.send_ahead(hello)
        await until(lambda: accepted)
        await accepted[0].approached(5)
        assert accepted[0].state == session.state == "checking"
        assert accepted[0].has_early
        got: list[bytes] = []
        accepted[0].on_datagram = got.append
        assert hello in got
        accepted[0].send(DTLS + b"answer")
        await until(lambda: DTLS + b"answer" in came)


async def test_an_address_that_proved_nothing_gets_no_more_than_three_times_what_came_from_it() -> None:
    async with IceEndpoint(LOOPBACK) as host, IceEndpoint(LOOPBACK) as dialer:
        came, accepted = deafen(dialer), list[IceSession]()
        listen(host, accepted.append)
        session = dial(host, dialer)
        session.send_ahead(DTLS + b"hello" * 20)
        await until(lambda: accepted)
        await accepted[0].approached(5)
        peer, sent = accepted[0], accepted[0].bytes_sent
        allowance = peer._allowance
        assert AMPLIFICATION * 101 < allowance <= AMPLIFICATION * (session.bytes_sent + 200 * len(session._checked))
        peer.send(DTLS + bytes(allowance))
        assert (peer.bytes_sent, peer._allowance) == (sent, allowance), "one byte too many: it waits for a path"
        peer.send(DTLS + bytes(allowance - 1))
        peer.send(DTLS)
        assert (peer.bytes_sent, peer._allowance) == (sent + allowance, 0)
        await until(lambda: any(len(data) == allowance for data in came))


async def test_an_address_that_is_no_more_the_remotes_is_not_answered() -> None:
    async with IceEndpoint(LOOPBACK) as host, IceEndpoint(LOOPBACK) as dialer:
        deafen(dialer)
        accepted = list[IceSession]()
        listen(host, accepted.append)
        session = dial(host, dialer)
        session.send_ahead(DTLS)
        await until(lambda: accepted)
        await accepted[0].approached(5)
        peer, (base, _) = accepted[0], accepted[0]._answerable or (0, ("", 0))
        peer._answerable = (base, ("127.0.0.1", 9))
        sent = peer.bytes_sent
        peer.send(DTLS)
        assert peer.bytes_sent == sent
        assert session._checked
        peer.came_early(base, dialer.candidates[0].endpoint, 10)
        assert (peer._answerable, peer._allowance) == ((base, dialer.candidates[0].endpoint), 10 * AMPLIFICATION)
        peer.send(DTLS)
        assert peer.bytes_sent == sent + 1


async def test_once_there_is_a_path_nothing_goes_ahead() -> None:
    async with IceEndpoint(LOOPBACK) as host, IceEndpoint(LOOPBACK) as dialer:
        session, peer = await pair(host, dialer)
        sent = session.bytes_sent
        session.send_ahead(DTLS)
        assert session.bytes_sent == sent
        assert (session._ahead, session._checked, session._answerable, peer._answerable) == ([], [], None, None)


async def test_many_checks_do_not_all_carry_it() -> None:
    async with IceEndpoint(LOOPBACK) as dialer:
        session = dialer.dial(dialer_credentials(), HOST)
        for number in range(3 * MAX_AHEAD):
            session.checked(1, ("127.0.0.1", 1 + number))
        session.send_ahead(DTLS)
        assert session.bytes_sent == MAX_AHEAD
        session.close()
        session.send_ahead(DTLS)
        assert session.bytes_sent == MAX_AHEAD
