from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from signaling import KeySigner, SignalingClient
from signaling.__main__ import UsageError, cluster_of, main, parse, secret_of, settings_of, tls_of, turn_of
from tests.signaling.test_session import certificate
from tests.signaling.tools import PATIENCE


@contextlib.asynccontextmanager
async def program(*arguments: str, **environment: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """The running program and what it printed after READY."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "signaling", "--host", "127.0.0.1", "--port", "0", *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **environment},
    )
    assert process.stdout
    assert process.stdin
    try:
        process.stdin.write(b"north\n")
        line = (await asyncio.wait_for(process.stdout.readline(), 20)).decode()
        assert line.startswith("READY ")
        yield process, line.split()[1]
    finally:
        if process.returncode is None:
            process.kill()
        process.stdin.close()  # or its socket outlives the loop, which sees the process end before the pipe does
        with contextlib.suppress(ConnectionError):
            await process.stdin.wait_closed()
        await process.communicate()


async def test_it_serves_and_drains_on_sigterm() -> None:
    options = ("--turn-uri", "turn:turn.example.org", "--turn-secret", "-", "--log-json", "--drain", "20")
    async with program(*options) as (process, url):
        async with SignalingClient(url, KeySigner()) as ann:
            await ann.wait_connected(PATIENCE)
            assert ann.turn[0].uris == ["turn:turn.example.org"]
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 10) == 0
        assert process.stderr
        log = (await process.stderr.read()).decode()
        assert "stopped" in json.loads(log.splitlines()[-1])["message"]
        assert "north" not in log


async def test_a_second_signal_ends_it_at_once() -> None:
    async with program("--drain", "60") as (process, url), SignalingClient(url, KeySigner()) as ann:
        await ann.wait_connected(PATIENCE)
        told = asyncio.Event()
        ann._take_drain = lambda *_: told.set()  # type: ignore[method-assign]
        process.send_signal(signal.SIGINT)
        await asyncio.wait_for(told.wait(), PATIENCE)
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), 10) == 1


def run(*arguments: str) -> int:
    return main(arguments)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--port", "99999"], "is not a port"),
        (["--port", "x"], "is not a port"),
        (["--turn-ttl", "x"], "is not a number of seconds"),
        (["--drain", "-1"], "is not a number of seconds"),
        (["--nonsense"], "unrecognized"),
        (["--turn-uri", "turn:x"], "together"),
        (["--turn-secret", "x"], "together"),
        (["--turn-uri", "x", "--turn-secret", "x"], "no TURN URI"),
        (["--turn-uri", "turn:x", "--turn-secret", "@/nonexistent"], "No such file"),
        (["--turn-uri", "turn:x", "--turn-secret", ""], "empty"),
        (["--tls-cert", "/nonexistent"], "No such file"),
        (["--cluster", "x:4222"], "cluster URL 1 is none of NATS"),
        (["--cluster", ""], "the cluster's URL is empty"),
        (["--cluster", "@/nonexistent"], "the cluster's URL cannot be read"),
        (["--cluster", "nats://x", "--cluster-name", "a.b"], "a cluster's name is"),
        (["--limit", "nonsense=1"], "there is no limit 'nonsense'"),
    ],
)
def test_bad_usage_is_one_line_and_2(arguments: list[str], error: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("Error: ")
    assert error in err


def test_an_address_that_is_not_ours_is_one_line_and_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--host", "192.0.2.1", "--port", "0", "--log-level", "error") == 1
    assert capsys.readouterr().err == "Error: Cannot assign requested address\n"


def test_options_come_from_the_command_line_or_else_the_environment() -> None:
    environment = {
        "SIGNALING_PORT": "1",
        "SIGNALING_HOST": "::1 127.0.0.1",
        "SIGNALING_TURN_URI": "turn:a",
        "SIGNALING_TURN_SECRET": "north",
        "SIGNALING_LOG_JSON": "1",
    }
    options = parse([], environment)
    assert (options.port, options.host, options.log_json) == (1, ["::1", "127.0.0.1"], True)
    turn = turn_of(options)
    assert turn
    assert (turn.uris, turn.secret, turn.ttl) == (("turn:a",), "north", 3600)
    options = parse(["--port", "2", "--host", "::"], environment)
    assert (options.port, options.host) == (2, ["::"])
    options = parse([], {})
    assert (options.port, options.host, options.log_json, turn_of(options), tls_of(options)) == (
        8080,
        [],
        False,
        None,
        None,
    )


def test_a_cluster_and_limits_come_from_options_or_the_environment(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("nats://u:north@a,tls://b\n")
    options = parse(["--cluster", f"@{tmp_path / 'url'}", "--cluster-creds", "x.creds", "--limit", "max_ttl=9"], {})
    cluster = cluster_of(options)
    assert cluster
    assert (cluster.servers, cluster.name) == (("nats://u:north@a", "tls://b"), "atmosphere")
    assert cluster.credentials == Path("x.creds")
    assert settings_of(options).max_ttl == 9
    environment = {
        "SIGNALING_CLUSTER": "nats://c",
        "SIGNALING_CLUSTER_NAME": "blue",
        "SIGNALING_LIMIT": "max_ttl=8 keepalive=7",
        "SIGNALING_PUBLIC_HOST": "a b",
    }
    options = parse([], environment)
    cluster = cluster_of(options)
    assert cluster
    assert (cluster.servers, cluster.name, cluster.credentials) == (("nats://c",), "blue", None)
    settings = settings_of(options)
    assert (settings.max_ttl, settings.keepalive, settings.hosts) == (8, 7, ("a", "b"))
    assert cluster_of(parse([], {})) is None


def test_a_cluster_without_its_library_is_one_line_and_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "nats.aio.client", None)
    assert run("--cluster", "nats://127.0.0.1:1", "--port", "0", "--host", "127.0.0.1") == 1
    assert capsys.readouterr().err == "Error: a cluster needs nats-py: pip install 'atmosphere-mesh[cluster]'\n"


def test_a_secret_can_be_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("north\n")
    assert secret_of(f"@{tmp_path / 'secret'}") == "north"
    (tmp_path / "binary").write_bytes(b"\xff")
    with pytest.raises(UsageError, match="cannot be read"):
        secret_of(f"@{tmp_path / 'binary'}")


def test_tls_files_are_loaded(tmp_path: Path) -> None:
    certificate_file, key_file = certificate(tmp_path)
    assert tls_of(parse(["--tls-cert", str(certificate_file), "--tls-key", str(key_file)], {}))
    (tmp_path / "empty").write_text("")
    with pytest.raises(UsageError, match="and its key cannot be used"):
        tls_of(parse(["--tls-cert", str(tmp_path / "empty")], {}))
