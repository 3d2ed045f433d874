"""One port for three protocols: who gets a connection, and what becomes of those who do not say."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from atmosphere.tcp import port as port_module
from atmosphere.tcp.port import TcpPort, TcpSettings
from atmosphere.tcp.undecided import Accepted
from signaling.certificates import Certificates
from tests.certificates import LOOPBACK, self_signed, trusting
from tests.until import until

PATIENCE = 10.0
BINDING = bytes.fromhex("0001000021 12a442".replace(" ", "")) + bytes(12)


class Answer(asyncio.Protocol):
    """Says what it is, then sends back what it gets."""

    def __init__(self, kind: str, accepted: Accepted) -> None:
        self.greeting = f"{kind} {'tls' if accepted.secure else 'tcp'} {accepted.client[0]} {accepted.local[0]}\n"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self.greeting.encode())

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class Handlers:
    def turn(self, accepted: Accepted) -> asyncio.Protocol:
        return Answer("turn", accepted)

    def http(self, accepted: Accepted) -> asyncio.Protocol:
        return Answer("http", accepted)


@contextlib.asynccontextmanager
async def listening(
    settings: TcpSettings | None = None, certificates: Certificates | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[TcpPort]:
    port = TcpPort(Handlers(), settings, certificates)
    await port.start(host)
    try:
        yield port
    finally:
        await port.stop()
        assert port.undecided == 0


async def ask(port: TcpPort, data: bytes, *, tls: ssl.SSLContext | None = None) -> tuple[str, bytes]:
    """What answers to `data`: its greeting, and what comes back."""
    async with asyncio.timeout(PATIENCE):
        host, number = port.addresses[0]
        reader, writer = await asyncio.open_connection(host, number, ssl=tls)
        writer.write(data)
        try:
            greeting = (await reader.readline()).decode()
            return greeting, await reader.readexactly(len(data)) if greeting else b""
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return self_signed(tmp_path, *LOOPBACK)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_plain(host: str) -> None:
    async with listening(host=host) as port:
        assert await ask(port, BINDING) == (f"turn tcp {host} {host}\n", BINDING)
        assert await ask(port, b"GET /") == (f"http tcp {host} {host}\n", b"GET /")


async def test_inside_tls(files: tuple[Path, Path]) -> None:
    async with listening(certificates=Certificates(*files)) as port:
        for data, kind in ((BINDING, "turn"), (b"GET /", "http")):
            assert await ask(port, data, tls=trusting(files[0])) == (f"{kind} tls 127.0.0.1 127.0.0.1\n", data)
        assert await ask(port, BINDING) == ("turn tcp 127.0.0.1 127.0.0.1\n", BINDING)


async def test_a_renewed_certificate_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signaling.certificates.LOOK_EVERY", 0.0)
    old = trusting(self_signed(tmp_path, *LOOPBACK)[0])
    async with listening(certificates=Certificates(tmp_path / "cert.pem", tmp_path / "key.pem")) as port:
        assert (await ask(port, b"GET /", tls=old))[0]
        new = trusting(self_signed(tmp_path, *LOOPBACK)[0])
        assert (await ask(port, b"GET /", tls=new))[0]
        with pytest.raises(ssl.SSLCertVerificationError):
            await ask(port, b"GET /", tls=old)
        assert (await ask(port, b"GET /", tls=new))[0]


async def hung_up(port: TcpPort, data: bytes = b"", *, tls: ssl.SSLContext | None = None) -> None:
    async with asyncio.timeout(PATIENCE):
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection(*port.addresses[0], ssl=tls)
            writer.write(data)
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()


@pytest.mark.parametrize("data", [b"\x05\x01\x00", b"\xff", b"\x16\x03\x01", b"\r\n"], ids=repr)
async def test_what_nobody_speaks_is_cut_at_once(data: bytes) -> None:
    async with listening(TcpSettings(deadline=PATIENCE)) as port:  # without TLS, so that a handshake is of no use
        await hung_up(port, data)
        assert port.silent == 0


async def test_nonsense_inside_tls_is_cut_at_once(files: tuple[Path, Path]) -> None:
    async with listening(TcpSettings(deadline=PATIENCE), Certificates(*files)) as port:
        await hung_up(port, b"\xff", tls=trusting(files[0]))
        await hung_up(port, b"\x16\x03\x01", tls=trusting(files[0]))
        assert port.silent == 0


async def test_who_says_nothing_is_cut_after_a_while(files: tuple[Path, Path]) -> None:
    async with listening(TcpSettings(deadline=0.1), Certificates(*files)) as port:
        await hung_up(port)
        await hung_up(port, b"\x16")  # half a handshake
        await hung_up(port, tls=trusting(files[0]))  # a whole one, and then nothing
        await until(lambda: port.undecided == 0)
        assert port.silent >= 2


async def test_a_broken_handshake_is_no_failure_of_ours(
    files: tuple[Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    async with listening(certificates=Certificates(*files)) as port:
        await hung_up(port, b"\x16\x03\x01\x00\x05hello")
        with pytest.raises(ssl.SSLError):  # who does not trust us
            await ask(port, b"GET /", tls=ssl.create_default_context())
        _, writer = await asyncio.open_connection(*port.addresses[0])
        writer.write(b"\x16\x03")
        writer.transport.abort()
        await until(lambda: port.undecided == 0)
    assert not [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")]


async def test_the_undecided_are_few_and_the_others_are_served() -> None:
    settings = TcpSettings(undecided=10, undecided_per_address=3, deadline=PATIENCE)
    async with listening(settings) as port:
        silent = [socket.create_connection(port.addresses[0]) for _ in range(3)]
        await until(lambda: port.undecided == 3)
        await hung_up(port)
        assert port.refused == 1
        silent.pop().close()
        await until(lambda: port.undecided == 2)
        assert (await ask(port, b"GET /"))[0].startswith("http")
        for sock in silent:
            sock.close()
        await until(lambda: port.undecided == 0)


async def test_the_undecided_in_all_are_few() -> None:
    async with listening(TcpSettings(undecided=1, deadline=PATIENCE)) as port:
        with socket.create_connection(port.addresses[0]):
            await until(lambda: port.undecided == 1)
            await hung_up(port)


async def test_stopping_cuts_who_is_undecided(files: tuple[Path, Path]) -> None:
    async with listening(TcpSettings(deadline=PATIENCE), Certificates(*files)) as port:
        waiting = [asyncio.ensure_future(hung_up(port, data)) for data in (b"", b"\x16\x03\x01\x02")]
        waiting.append(asyncio.ensure_future(hung_up(port, tls=trusting(files[0]))))
        await until(lambda: port.undecided == 3)
        await port.stop()
        await asyncio.gather(*waiting)


async def test_a_machine_without_descriptors_accepts_again_later(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(port_module, "PAUSE", 0.01)
    async with listening() as port:
        real = port._sockets[0]
        refusals = iter([OSError(errno.EMFILE, "Too many open files")])

        class Full:
            """A listener that cannot accept at first."""

            def __getattr__(self, name: str) -> object:
                return getattr(real, name)

            def accept(self) -> tuple[socket.socket, tuple[str, int]]:
                for error in refusals:
                    raise error
                return real.accept()

        asyncio.get_running_loop().remove_reader(real.fileno())
        port._listen(Full())  # type: ignore[arg-type]
        assert (await ask(port, b"GET /"))[0]
    assert "Too many open files" in caplog.text


async def test_a_socket_that_cannot_listen_leaves_nothing_open(monkeypatch: pytest.MonkeyPatch) -> None:
    class Deaf(socket.socket):
        def listen(self, backlog: int = 0) -> None:
            raise OSError(errno.EADDRINUSE, "Address already in use")

    bound = Deaf(socket.AF_INET, socket.SOCK_STREAM)
    bound.bind(("127.0.0.1", 0))

    async def sockets(host: object, port: int) -> list[socket.socket]:
        return [bound]

    monkeypatch.setattr(port_module, "listening_sockets", sockets)
    with pytest.raises(OSError, match="in use"):
        await TcpPort(Handlers()).start()
    assert bound.fileno() == -1


async def test_a_port_that_is_taken() -> None:
    async with listening() as first:
        second = TcpPort(Handlers())
        with pytest.raises(OSError, match="in use"):
            await second.start("127.0.0.1", first.port)
        await second.stop()


@pytest.mark.parametrize("tls", [False, True])
async def test_a_trusted_proxy_says_who_its_client_is(tls: bool, files: tuple[Path, Path]) -> None:
    settings = TcpSettings(trusted_proxies=("127.0.0.1",), undecided_per_address=1)
    async with listening(settings, Certificates(*files)) as port:
        for header in (b"PROXY TCP4 203.0.113.9 198.51.100.1 4711 443\r\n", b"PROXY TCP6 2001:db8::9 ::1 4711 443\r\n"):
            reader, writer = await asyncio.open_connection(*port.addresses[0])
            for byte in header:
                writer.write(bytes([byte]))
                await writer.drain()
            if tls:
                await writer.start_tls(trusting(files[0]), server_hostname="localhost")
            writer.write(b"GET /")
            greeting = (await reader.readline()).decode()
            assert greeting == f"http {'tls' if tls else 'tcp'} {header.split()[2].decode()} 127.0.0.1\n"
            assert await reader.readexactly(5) == b"GET /"
            writer.close()
            await writer.wait_closed()


async def test_one_client_of_a_proxy_does_not_lock_the_others_out() -> None:
    def header(client: str) -> bytes:
        return f"PROXY TCP4 {client} 198.51.100.1 4711 443\r\n".encode()

    settings = TcpSettings(trusted_proxies=("127.0.0.1",), undecided=4, undecided_per_address=2, deadline=PATIENCE)
    async with listening(settings) as port:
        silent = [socket.create_connection(port.addresses[0]) for _ in range(2)]
        for sock in silent:
            sock.sendall(header("203.0.113.9"))
        await until(lambda: port.undecided == 2)
        for refused in range(1, 5):
            await hung_up(port, header("203.0.113.9"))
            assert (port.refused, port.undecided) == (refused, 2)
        reader, writer = await asyncio.open_connection(*port.addresses[0])
        writer.write(header("203.0.113.10") + b"GET /")
        assert await reader.readline() == b"http tcp 203.0.113.10 127.0.0.1\n"
        writer.close()
        await writer.wait_closed()
        for sock in silent:
            sock.close()
        await until(lambda: port.undecided == 0)
        assert port._seats.total == 0


async def test_a_trusted_proxy_need_not_say_it() -> None:
    async with listening(TcpSettings(trusted_proxies=("127.0.0.1",))) as port:
        assert (await ask(port, b"GET /"))[0] == "http tcp 127.0.0.1 127.0.0.1\n"
        assert (await ask(port, BINDING))[0] == "turn tcp 127.0.0.1 127.0.0.1\n"
        await hung_up(port, b"PROXY nonsense\r\n")


async def test_nobody_else_may_say_it() -> None:
    async with listening() as port:
        greeting, _ = await ask(port, b"PROXY TCP4 203.0.113.9 198.51.100.1 4711 443\r\n")
        assert greeting == "http tcp 127.0.0.1 127.0.0.1\n"  # to which that is a bad request


async def test_half_a_header_has_its_time() -> None:
    async with listening(TcpSettings(trusted_proxies=("127.0.0.1",), deadline=0.2)) as port:
        await hung_up(port, b"PROXY TCP4 203.0")
        assert port.silent == 1
