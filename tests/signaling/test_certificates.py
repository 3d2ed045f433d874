from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from signaling import SignalingServer
from signaling.certificates import Certificates
from signaling.errors import CertificateError
from tests.certificates import LOOPBACK, self_signed, trusting


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_new_files_are_taken_up(tmp_path: Path) -> None:
    clock = Clock()
    held = Certificates(*self_signed(tmp_path), clock=clock)
    first = held.context()
    self_signed(tmp_path)
    assert held.context() is first  # looked at a moment ago
    clock.now = 1.0
    second = held.context()
    assert second is not first
    clock.now = 9.0
    assert held.context() is second
    assert (held.reloads, held.failures) == (1, 0)


def test_a_broken_file_leaves_the_former(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    certificate, key = self_signed(tmp_path)
    held = Certificates(certificate, key, clock=clock)
    first = held.context()
    certificate.write_text("half a certif")
    for second in range(1, 5):
        clock.now = second
        assert held.context() is first
    assert held.failures == len(caplog.records) == 1
    assert "former certificate stays" in caplog.text
    self_signed(tmp_path)
    clock.now = 9.0
    assert held.context() is not first


def test_files_that_are_gone_are_named_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    certificate, key = self_signed(tmp_path)
    held = Certificates(certificate, key, clock=clock)
    first = held.context()
    key.unlink()
    for second in range(1, 5):
        clock.now = second
        assert held.context() is first
    assert held.failures == len(caplog.records) == 1
    self_signed(tmp_path)
    clock.now = 9.0
    assert held.context() is not first


def test_one_file_may_hold_both(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    both = tmp_path / "both.pem"
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    assert Certificates(both).context()


def test_what_cannot_be_used_at_the_start_is_an_error(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path, password=b"secret")
    for files in ((certificate, key), (certificate, certificate), (tmp_path / "none", key), (Path(__file__), key)):
        with pytest.raises(CertificateError, match="cannot be used"):
            Certificates(*files)


async def test_a_server_that_keeps_its_context_shows_new_certificates(tmp_path: Path) -> None:
    clock = Clock()
    old = trusting(self_signed(tmp_path, *LOOPBACK)[0])
    held = Certificates(tmp_path / "cert.pem", tmp_path / "key.pem", clock=clock)
    server = SignalingServer()
    await server.start("127.0.0.1", 0, ssl_context=held.listening_context())

    async def connects(tls: ssl.SSLContext) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=tls)
        writer.close()
        await writer.wait_closed()

    await connects(old)
    new = trusting(self_signed(tmp_path, *LOOPBACK)[0])
    await connects(old)
    clock.now = 1.0
    await connects(new)
    with pytest.raises(ssl.SSLCertVerificationError):
        await connects(old)
    await server.stop()
