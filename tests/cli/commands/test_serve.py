"""serve --detach with a real node, from this process: what it prints, what it leaves, what it says when it cannot."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from atmosphere.cli.control import client, messages
from atmosphere.errors import NotRunning
from tests.cli.conftest import Invoke

OPTIONS = ("--host", "127.0.0.1", "--stun", "none", "--no-port-mapping")


@pytest.fixture
def ended(home: Path) -> Iterator[None]:
    """The home's node ends with the test."""
    yield
    try:
        client.call(home, messages.Stop())
    except NotRunning:
        return


@pytest.mark.usefixtures("ended")
def test_detach(invoke: Invoke, home: Path) -> None:
    result = invoke("--json", "serve", "--detach", "--port", "0", "--name", "desk", *OPTIONS)
    assert result.exit_code == 0, result.output
    ready = json.loads(result.stdout)
    assert list(ready) == ["node", "mesh", "port", "addresses", "pid"]
    assert ready["node"]["name"] == "desk"
    assert ready["addresses"] == [f"127.0.0.1:{ready['port']}"]
    assert stat.S_IMODE((home / "node.log").stat().st_mode) == 0o600
    settings = json.loads(invoke("--json", "config").stdout)["settings"]
    assert settings["host"] == {"value": "127.0.0.1", "origin": "command line"}
    assert settings["path_policy"]["origin"] == "default"

    again = invoke("serve", "--detach", "--port", "0", *OPTIONS)
    assert again.exit_code == 1
    assert "already running" in again.stderr

    taken = invoke("--home", str(home.parent / "other"), "serve", "--detach", "--port", str(ready["port"]), *OPTIONS)
    assert taken.exit_code == 1
    assert taken.stderr.startswith(f"Error: port {ready['port']} is already in use\nTry: ")
    assert invoke("stop").exit_code == 0


def test_address_of_another_machine(invoke: Invoke) -> None:
    result = invoke("serve", "--detach", "--port", "0", "--host", "192.0.2.77", "--stun", "none")
    assert result.exit_code == 1
    assert "192.0.2.77" in result.stderr


@pytest.mark.parametrize(
    "wrong", [("--stun", "stun:no where"), ("--turn", "nonsense"), ("--signaling", "ftp://x"), ("--port", "70000")]
)
def test_wrong_options_start_nothing(invoke: Invoke, home: Path, wrong: tuple[str, str]) -> None:
    result = invoke("serve", "--detach", *wrong)
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: ")
    assert list(home.iterdir()) == []
