"""Options become settings: their values, their origins, and paths that do not depend on where the node runs."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from atmosphere.cli.daemon.options import NodeOptions, decode_start, make_node, stun_servers, without_password
from atmosphere.cli.gather import check_servers, node_options
from atmosphere.cli.params import server_options
from atmosphere.cli.state import State
from atmosphere.errors import DecodeError
from atmosphere.mesh.node import Node
from tests.cli.conftest import Invoke


def gathered(
    *arguments: str, debug: bool = False, env: dict[str, str] | None = None, **defaults: object
) -> NodeOptions:
    found: list[NodeOptions] = []

    @click.command()
    @server_options
    @click.pass_context
    def command(ctx: click.Context, /, **_: object) -> None:
        found.append(node_options(ctx))

    state = State(home=Path("/nowhere"))
    state._debug = debug
    result = CliRunner().invoke(command, arguments, obj=state, env=env, default_map=defaults)
    assert result.exit_code == 0, result.output
    return found[0]


def test_defaults() -> None:
    options = gathered()
    assert (options.port, options.stun, options.path_policy, options.no_relay) == (7777, [], "any", False)
    assert set(options.origins.values()) == {"default"}
    assert options.inbox_of(Path("/home/x")) == Path("/home/x/inbox")


def test_order() -> None:
    """Command line before environment before file before default."""
    env = {"ATMOSPHERE_PORT": "2", "ATMOSPHERE_NAME": "env"}
    options = gathered("--port", "1", env=env, port=3, name="file", host="192.0.2.1")
    assert (options.port, options.name, options.host) == (1, "env", "192.0.2.1")
    assert options.origins["port"] == "command line"
    assert options.origins["name"] == "environment"
    assert options.origins["host"] == "config.toml"


def test_what_is_switched_off_reaches_the_node(tmp_path: Path) -> None:
    for flag, name in (("--no-hard-nat", "hard_nat"), ("--no-port-mapping", "port_mapping"), ("--no-relay", "relay")):
        for arguments, expected in (((), True), ((flag,), False)):
            node = make_node(tmp_path, gathered(*arguments))
            assert isinstance(node, Node)
            assert getattr(node.settings, name) is expected


def test_several() -> None:
    options = gathered("--stun", "stun:a", "--stun", "b:1", "--turn", "turn:u:p@c", "--signaling", "wss://d")
    assert (options.stun, options.turn, options.signaling) == (["stun:a", "b:1"], ["turn:u:p@c"], ["wss://d"])
    assert gathered(env={"ATMOSPHERE_STUN": "stun:a stun:b"}).stun == ["stun:a", "stun:b"]


def test_inbox_is_absolute() -> None:
    assert gathered("--inbox", "in").inbox == os.path.join(os.getcwd(), "in")
    assert gathered("--inbox", "~/in").inbox == os.path.expanduser("~/in")


def test_debug_reaches_the_node() -> None:
    assert gathered(debug=True).log_level == "debug"


def test_secret_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "uri").write_text("turn:ann:hush@example.org\n")
    assert gathered("--turn", f"@{tmp_path / 'uri'}").turn == ["turn:ann:hush@example.org"]


@pytest.mark.parametrize(
    ("stun", "turn", "signaling"), [(["stun:"], [], []), ([], ["turn:a@b"], []), ([], [], ["example.org"])]
)
def test_wrong_servers(stun: list[str], turn: list[str], signaling: list[str]) -> None:
    with pytest.raises(click.UsageError):
        check_servers(stun, turn, signaling)


def test_a_broker_is_a_meeting_place(tmp_path: Path) -> None:
    file = tmp_path / "place"
    file.write_text("mqtts://anna:sesame@broker.example\n")
    options = gathered("--signaling", f"@{file}", "--signaling", "wss+mqtt://b", "--signaling", "wss://c")
    assert options.signaling == ["mqtts://anna:sesame@broker.example", "wss+mqtt://b", "wss://c"]
    shown = options.public()["signaling"]["value"]
    assert shown == ["mqtts://anna:***@broker.example", "wss+mqtt://b", "wss://c"]


def test_a_broker_needs_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiomqtt", None)
    check_servers([], [], ["wss://c"])
    with pytest.raises(click.UsageError) as caught:
        check_servers([], [], ["mqtts://anna:sesame@broker.example"])
    assert "mqtts://broker.example: " in caught.value.message
    assert "pip install 'atmosphere-mesh[mqtt]'" in caught.value.message
    assert "sesame" not in caught.value.message


def test_stun_servers() -> None:
    assert stun_servers([]) is None
    assert stun_servers(["none"]) == ()
    assert stun_servers(["stun:a"]) == ("stun:a",)


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("turn:ann:hush@example.org:3478", "turn:ann:***@example.org:3478"),
        ("turn:1767225600:ann:hu@sh@example.org", "turn:1767225600:ann:***@example.org"),
        ("turn:example.org", "turn:example.org"),
    ],
)
def test_passwords_are_left_out(uri: str, shown: str) -> None:
    assert without_password(uri) == shown


@pytest.mark.parametrize("data", [b"", b"{}", b'{"home":1,"options":{}}', b"\xff"])
def test_start_is_decoded_totally(data: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_start(data)


@pytest.mark.parametrize("text", ['stun = "stun:a:1"', 'stun = ["stun:a:1"]'])
def test_one_server_needs_no_list(home: Path, invoke: Invoke, text: str) -> None:
    (home / "config.toml").write_text(text)
    settings = json.loads(invoke("--json", "config").stdout)["settings"]
    assert settings["stun"] == {"value": ["stun:a:1"], "origin": "config.toml"}


@pytest.mark.parametrize(
    "text", ["port = [1, 2]", "[serve.port]", 'name = ["a"]', "stun = [[1]]", "stun = 5", "port = 1.5"]
)
def test_a_senseless_value_in_the_file(home: Path, invoke: Invoke, text: str) -> None:
    (home / "config.toml").write_text(text)
    result = invoke("serve", "--port", "x") if "serve" in text else invoke("config")
    assert "unexpected" not in result.stderr
    assert result.exit_code in (0, 2)
