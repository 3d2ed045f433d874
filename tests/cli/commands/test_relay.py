"""relay: what belongs together, and what it prints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from atmosphere.cli.commands import relay as command
from atmosphere.cli.state import State
from tests.cli.conftest import Invoke

DESCRIBED = {
    "port": 3478,
    "addresses": ["198.51.100.7:3478"],
    "signaling": ["ws://198.51.100.7:3478"],
    "stun": ["stun:198.51.100.7:3478"],
    "turn": ["turn:198.51.100.7:3479"],
}


@pytest.mark.parametrize(
    "wrong",
    [
        ("--secret", "s", "--turn", "nonsense"),
        ("--secret", "s", "--turn", "turn:ann:hush@example.org"),
        ("--turn", "turn:example.org"),
        ("--tls-cert", __file__),
        ("--tls-key", "/nowhere"),
        ("--port", "x"),
        ("--user", "anna"),
        ("--allow-peer", "everybody"),
        ("--min-port", "2000", "--max-port", "1000"),
        ("--public-url", "nonsense"),
    ],
)
def test_usage(invoke: Invoke, wrong: tuple[str, ...]) -> None:
    assert invoke("relay", *wrong).exit_code == 2


def test_settings(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(command, "_run", lambda state, server, drain: seen.append((server, drain)))
    arguments = ("--port", "1", "--host", "127.0.0.1", "--turn", "turn:a", "--secret", "-", "--drain", "7s")
    result = invoke("relay", *arguments, "--allow-peer", "10.0.0.0/8", input="hush\n")
    assert result.exit_code == 0, result.output
    [(server, drain)] = seen
    assert (server.port, server.hosts, drain) == (1, ("127.0.0.1",), 7)
    assert (server.settings.turn_uris, server.settings.secret) == (("turn:a",), "hush")
    assert server.settings.relay.allow_peers == ("10.0.0.0/8",)


def test_users_come_from_files_and_the_environment(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(command, "_run", lambda state, server, drain: seen.append(server.settings.users))
    users = tmp_path / "users"
    users.write_text("anna:one\nben:two\n")
    assert invoke("relay", "--user", f"@{users}").exit_code == 0
    assert invoke("relay", env={"ATMOSPHERE_USER": "carla:three"}).exit_code == 0
    assert seen == [{"anna": "one", "ben": "two"}, {"carla": "three"}]


def test_a_certificate_that_is_none(invoke: Invoke) -> None:
    result = invoke("relay", "--port", "0", "--host", "127.0.0.1", "--tls-cert", __file__, "--tls-key", __file__)
    assert result.exit_code == 1
    assert "cannot be used" in result.stderr


def test_announcement(capsys: pytest.CaptureFixture[str]) -> None:
    command._announce(State(), DESCRIBED)
    ready, options, credentials = capsys.readouterr().out.splitlines()
    assert ready == "READY relay on port 3478, 198.51.100.7:3478"
    assert options == "Give to nodes: --signaling ws://198.51.100.7:3478 --stun stun:198.51.100.7:3478"
    assert "turn:198.51.100.7:3479" in credentials
    command._announce(State(), DESCRIBED, users=True)
    assert capsys.readouterr().out.splitlines()[3].endswith("--turn turn:NAME:PASSWORD@198.51.100.7:3478")
    command._announce(State(json=True), DESCRIBED)
    assert json.loads(capsys.readouterr().out) == DESCRIBED
