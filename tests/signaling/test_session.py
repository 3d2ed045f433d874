from __future__ import annotations

import asyncio
import datetime
import http
import ipaddress
import socket
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import InvalidProxy
from websockets.http11 import Request, Response

from signaling import KeySigner, SignalingClient, SignalingError, SignalingServer
from signaling import session as session_module
from signaling.session import describe, leave, open_session
from tests.signaling.tools import PATIENCE, serving, url_of


async def refuse(url: str, match: str, context: ssl.SSLContext | None = None) -> None:
    with pytest.raises(SignalingError, match=match):
        await open_session(url, KeySigner(), context)


async def test_a_redirect_is_not_followed() -> None:
    async with serving() as other:

        def redirect(connection: ServerConnection, _: Request) -> Response:
            response = connection.respond(http.HTTPStatus.FOUND, "")
            response.headers["Location"] = url_of(other)
            return response

        async def handler(_: ServerConnection) -> None:
            raise AssertionError

        async with serve(handler, "127.0.0.1", 0, process_request=redirect) as server:
            await refuse(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}", "HTTP 302")
        assert other.stats()["connections_total"] == 0


async def test_a_server_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "OPEN_TIMEOUT", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        await refuse(f"ws://127.0.0.1:{silent.getsockname()[1]}", "no answer")


async def test_a_server_that_is_no_web_server() -> None:
    async def handler(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.org ESMTP\r\n")
        writer.close()

    async with await asyncio.start_server(handler, "127.0.0.1", 0) as server:
        await refuse(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}", "valid HTTP")


async def test_a_path_that_is_not_there() -> None:
    async with serving() as server:
        await refuse(url_of(server) + "other", "HTTP 404")


async def test_leaving_twice_is_once() -> None:
    async with serving() as server:
        websocket, _ = await open_session(url_of(server), KeySigner(), None)
        leave(websocket)
        leave(websocket)
        await asyncio.wait_for(websocket.wait_closed(), PATIENCE)
        assert websocket.close_code == 1001


def test_reasons_are_one_line() -> None:
    assert describe(TimeoutError()) == "no answer within 8 s"
    assert describe(socket.gaierror(-2, "x")) == "the server's name does not resolve"
    assert describe(OSError(111, "Connection refused")) == "Connection refused"
    assert describe(OSError("Multiple\nexceptions")) == "Multiple exceptions"
    assert describe(ValueError()) == "ValueError"


def certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "cert.pem", folder / "key.pem"
    certificate_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate_file, key_file


async def test_tls(tmp_path: Path) -> None:
    files = certificate(tmp_path)
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_side.load_cert_chain(*files)
    server = SignalingServer()
    await server.start("127.0.0.1", 0, ssl_context=server_side)
    url = f"https://127.0.0.1:{server.port}"
    trusting = ssl.create_default_context(cafile=str(files[0]))
    async with SignalingClient(url, KeySigner(), ssl_context=trusting) as ann:
        await ann.wait_connected(PATIENCE)
        assert await ann.send(ann.id, b"") == "delivered"
    await refuse(f"wss://127.0.0.1:{server.port}", "(?i)certificate")
    await server.stop()


def test_a_proxy_that_cannot_be_used_does_not_show_its_password() -> None:
    error = InvalidProxy("http://ben:sesame@proxy.example/path", "no path is allowed")
    assert describe(error) == "no path is allowed"
