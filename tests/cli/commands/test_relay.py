"""relay: what belongs together, and what it prints."""

from __future__ import annotations

import json
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
        ("--secret", "s"),
        ("--secret", "s", "--turn", "nonsense"),
        ("--secret", "s", "--turn", "turn:ann:hush@example.org"),
        ("--turn", "turn:example.org"),
        ("--tls-cert", __file__),
        ("--tls-key", "/nowhere"),
        ("--port", "x"),
    ],
)
def test_usage(invoke: Invoke, wrong: tuple[str, ...]) -> None:
    assert invoke("relay", *wrong).exit_code == 2


def test_settings(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(command, "_run", lambda state, settings: seen.append(settings))
    result = invoke(
        "relay", "--port", "1", "--public-host", "example.org", "--turn", "turn:a", "--secret", "-", input="hush\n"
    )
    assert result.exit_code == 0, result.output
    assert (seen[0].port, seen[0].public_host, seen[0].turn, seen[0].secret) == (1, "example.org", ("turn:a",), "hush")


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
    command._announce(State(json=True), DESCRIBED)
    assert json.loads(capsys.readouterr().out) == DESCRIBED
