"""join without a code, with one, and accept."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pytest

from atmosphere.cli.control import client, messages
from atmosphere.errors import CodeError, Unreachable
from atmosphere.joincode import JoinCode
from tests.cli.conftest import Invoke
from tests.cli.fake import FakeLife, FakeNode

CODE = str(JoinCode(b"m" * 20, "a" * 51 + "q", b"s" * 16, "home", int(time.time()) + 3600))


def test_invite(invoke: Invoke, node: FakeNode) -> None:
    result = invoke("join", "--expires", "30m", "--uses", "3")
    assert result.stdout == "atm1-abcd-efgh\n"
    assert result.stderr == (
        "On the other side: atmosphere join atm1-abcd-efgh\nIt works for 30 min, for 3 machines.\n"
    )
    assert ("invite", 3, 1800.0) in node.asked


def test_invite_json(invoke: Invoke, node: FakeNode) -> None:
    assert json.loads(invoke("--json", "join").stdout) == {
        "code": "atm1-abcd-efgh",
        "expires_at": 2_000_000_000,
        "uses": 1,
        "candidates": [{"type": "host", "address": "192.0.2.1", "port": 7777, "protocol": "udp"}],
    }


def test_invite_as_qr(invoke: Invoke, node: FakeNode) -> None:
    result = invoke("join", "--qr")
    assert result.stdout == "atm1-abcd-efgh\n"
    assert "█" in result.stderr


def test_invite_without_a_node(invoke: Invoke) -> None:
    assert invoke("join").exit_code == 3


def test_join_shows_the_route(invoke: Invoke, node: FakeNode) -> None:
    result = invoke("join", CODE)
    assert result.exit_code == 0
    assert result.stdout == "joined home; connected to desk (bbbbbbbb)\n"
    assert result.stderr == ("signalling\n→ relayed via 198.51.100.7 (41 ms)\n→ direct 203.0.113.9:7777 (12 ms)\n")


def test_join_json(invoke: Invoke, node: FakeNode) -> None:
    result = json.loads(invoke("--json", "join", CODE).stdout)
    assert list(result) == ["mesh", "node", "peer"]
    assert result["peer"]["path"]["kind"] == "direct"


def test_ways_to_give_the_code(invoke: Invoke, node: FakeNode, tmp_path: Path) -> None:
    (tmp_path / "code").write_text(f"{CODE}\n")
    words = [CODE[start : start + 9] for start in range(0, len(CODE), 9)]
    for arguments, input, env in (
        ([CODE.upper()], None, {}),
        (words, None, {}),
        (["-"], f"{CODE}\n", {}),
        ([f"@{tmp_path / 'code'}"], None, {}),
        ([], None, {"ATMOSPHERE_CODE": CODE}),
    ):
        result = invoke("join", *arguments, input=input, env=env)
        assert result.exit_code == 0, result.output
        assert ("join", CODE, None) in node.asked
        node.asked.clear()


def test_code_that_cannot_be_read(invoke: Invoke) -> None:
    result = invoke("join", "@/nowhere/at/all")
    assert result.exit_code == 2
    assert "cannot be read" in result.stderr


@pytest.mark.parametrize("wrong", ["nonsense", CODE[:40], CODE[:-2] + "zz"], ids=["nonsense", "cut", "changed"])
def test_wrong_codes_start_nothing(invoke: Invoke, home: Path, wrong: str) -> None:
    result = invoke("join", wrong)
    assert result.exit_code == 5
    assert result.stderr.startswith("Error: ")
    assert list(home.iterdir()) == []


def test_expired(invoke: Invoke) -> None:
    old = str(JoinCode(b"m" * 20, "a" * 51 + "q", b"s" * 16, "home", 1000))
    assert invoke("join", old).exit_code == 5


def test_code_of_another_mesh(invoke: Invoke, home: Path) -> None:
    assert invoke("init", "work").exit_code == 0
    result = invoke("join", CODE)
    assert result.exit_code == 5
    assert result.stderr == (
        "Error: this code is for another mesh (home); this home is in work\n"
        "Try: use another --home, or `atmosphere leave` first\n"
    )


def test_refused_by_the_host(invoke: Invoke, node: FakeNode) -> None:
    node.fails = CodeError("the code was used already", reason="used", hint="ask for another code")
    result = invoke("join", CODE)
    assert result.exit_code == 5
    assert result.stderr == "Error: the code was used already\nTry: ask for another code\n"
    node.fails = Unreachable("nobody answered")
    assert invoke("join", CODE).exit_code == 4


def test_by_hand(invoke: Invoke, node: FakeNode) -> None:
    result = invoke("join", CODE, "--manual")
    assert result.stdout == "atr1-reply\njoined home; connected to desk (bbbbbbbb)\n"
    assert "atmosphere accept" in result.stderr
    assert json.loads(invoke("--json", "join", CODE, "--manual").stdout)["peer"]["name"] == "desk"
    assert invoke("accept", "atr1-reply").stdout == "joined home; connected to desk (bbbbbbbb)\n"
    assert ("accept", "atr1-reply") in node.asked


def test_interrupting_the_command_cancels_the_join(node: FakeNode, home: Path) -> None:
    node.hangs = True
    control = client.ControlClient.connect(home)
    control._socket.sendall(messages.encode(messages.Join(CODE)))
    control.close()
    assert node.cancelled.wait(5)


@pytest.mark.parametrize("or_stop", [True, False])
def test_a_node_for_one_join_ends_with_it(node: FakeNode, home: Path, life: FakeLife, or_stop: bool) -> None:
    node.fails = Unreachable("nobody answered")
    with pytest.raises(Unreachable):
        client.call(home, messages.Join(CODE, or_stop=or_stop))
    assert life.stopping.is_set() == or_stop


def test_nothing_is_left_when_the_node_does_not_start(
    invoke: Invoke, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise FileNotFoundError(2, "No such file or directory", "python")

    monkeypatch.setattr(subprocess, "Popen", fail)
    result = invoke("join", CODE)
    assert result.exit_code == 1
    assert result.stderr == "Error: No such file or directory: python\n"
