"""From nothing to a mesh of two with the real program: codes, peers, pings, and every way a code can be wrong."""

from __future__ import annotations

import dataclasses
import signal
import subprocess
import time

import pytest

from atmosphere.errors import StateError
from atmosphere.joincode import JoinCode
from atmosphere.mesh.lock import Lock
from tests.e2e.conftest import MakeMachine
from tests.e2e.machine import Machine


def test_join_ping_stop(pair: tuple[Machine, Machine]) -> None:
    desk, laptop = pair
    [peer] = laptop.json("peers")
    assert (peer["name"], peer["state"], peer["path"]["kind"]) == ("desk", "connected", "direct")
    [other] = desk.json("peers")
    assert (other["name"], other["state"]) == ("laptop", "connected")
    assert "pong from laptop direct 127.0.0.1:" in desk.run("ping", "laptop", "-c", "1").stdout
    pinged = laptop.json("ping", peer["id"][:6], "-c", "2", "--interval", "0.01")
    assert (pinged["sent"], pinged["received"]) == (2, 2)
    assert laptop.json("status")["mesh"]["name"] == "home"
    laptop.run("status", "--check", "ready")
    assert laptop.run("stop").stdout == "stopped laptop\n"
    laptop.run("status", "--check", "live", code=3)
    laptop.run("peers", code=3)


def test_output_of_join(machine: MakeMachine) -> None:
    desk, laptop = machine("desk"), machine("laptop")
    desk.run("init", "home")
    ready = desk.run("serve", "--detach").stdout
    assert ready.startswith("READY desk ")
    assert "127.0.0.1:" in ready
    made = desk.run("join")
    assert made.stdout.startswith("atm1")
    assert len(made.stdout.splitlines()) == 1
    assert f"On the other side: atmosphere join {made.stdout.strip()}" in made.stderr
    assert "1 h" in made.stderr
    joined = laptop.json("join", *made.stdout.split())
    assert joined["mesh"]["name"] == "home"
    assert joined["node"]["name"] == "laptop"
    assert joined["peer"]["name"] == "desk"
    assert joined["peer"]["state"] == "connected"


def test_a_restart_reconnects_by_itself(pair: tuple[Machine, Machine]) -> None:
    _, laptop = pair
    laptop.run("stop")
    laptop.run("serve", "--detach")
    assert laptop.json("ping", "desk", "-c", "20", "--timeout", "20", "--interval", "0.2")["received"] >= 1


def test_joining_twice_is_done_at_once(pair: tuple[Machine, Machine]) -> None:
    desk, laptop = pair
    code = desk.run("join").stdout
    assert "joined home" in laptop.run("join", *code.split()).stdout


def test_wrong_codes(machine: MakeMachine) -> None:
    desk, laptop = machine("desk"), machine("laptop")
    desk.run("init", "home")
    desk.run("serve", "--detach")
    code = desk.run("join").stdout.strip()
    assert "Error: " in laptop.run("join", "nonsense", code=5).stderr
    swapped = code[:-1] + ("a" if code[-1] != "a" else "b")
    assert "mistyped" in laptop.run("join", swapped, code=5).stderr
    assert laptop.run("join", code[: len(code) // 2], code=5).stderr.startswith("Error: ")
    laptop.run("status", "--check", "live", code=3)
    laptop.run("join", code)
    third = machine("third")
    third.run("join", code, "--timeout", "20s", code=5)
    third.run("status", "--check", "live", code=3)
    third.run("join", desk.run("join").stdout.strip())


def test_revoked_and_expired(machine: MakeMachine) -> None:
    desk, laptop = machine("desk"), machine("laptop")
    desk.run("init", "home")
    desk.run("serve", "--detach")
    code = desk.run("join").stdout.strip()
    [invite] = desk.json("invites")
    desk.run("invites", "revoke", invite["id"][:8])
    assert desk.json("invites") == []
    assert "revoked" in laptop.run("join", code, code=5).stderr
    old = dataclasses.replace(JoinCode.parse(desk.run("join").stdout, time.time()), expires_at=1_000_000_000)
    assert "expired" in laptop.run("join", str(old), code=5).stderr


def test_another_mesh(pair: tuple[Machine, Machine], machine: MakeMachine) -> None:
    _, laptop = pair
    other = machine("other")
    other.run("init", "work")
    other.run("serve", "--detach")
    refused = laptop.run("join", other.run("join").stdout.strip(), code=5)
    assert "another mesh" in refused.stderr
    assert "Try: " in refused.stderr
    assert laptop.json("status")["mesh"]["name"] == "home"


def test_by_hand(machine: MakeMachine) -> None:
    desk, laptop = machine("desk"), machine("laptop")
    desk.run("init", "home")
    desk.run("serve", "--detach")
    code = desk.run("join").stdout.strip()
    joining = laptop.spawn("join", code, "--manual")  # on loopback its checks get through before the reply is back
    assert joining.stdout is not None
    reply = joining.stdout.readline().strip()
    assert "joined home" in desk.run("accept", reply).stdout
    out, err = joining.communicate(timeout=30)
    assert joining.returncode == 0, err
    assert "joined home" in out


def test_members_come_and_go(pair: tuple[Machine, Machine], machine: MakeMachine) -> None:
    desk, laptop = pair
    laptop.run("join", code=5)
    desk.run("promote", "laptop")
    third = machine("third")
    third.run("join", _invite_when_promoted(laptop))
    assert {peer["name"] for peer in third.json("peers")} == {"desk", "laptop"}
    desk.run("remove", "third")
    assert {peer["name"] for peer in desk.json("peers")} == {"laptop"}
    laptop.run("leave", "--yes")
    laptop.run("status", "--check", "live", code=3)
    desk.run("remove", "nobody", code=1)


def _invite_when_promoted(machine: Machine) -> str:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if machine.json("status")["role"] == "admin":
            break
    return machine.run("join").stdout.strip()


def test_join_in_the_foreground(machine: MakeMachine) -> None:
    desk, laptop = machine("desk"), machine("laptop")
    desk.run("init", "home")
    desk.run("serve", "--detach")
    joining = laptop.spawn("join", desk.run("join").stdout.strip(), "--foreground")
    assert joining.stdout is not None
    assert joining.stdout.readline().startswith("READY laptop ")
    assert joining.stdout.readline().startswith("joined home; connected to desk ")
    assert desk.json("ping", "laptop", "-c", "1")["received"] == 1
    joining.send_signal(signal.SIGINT)
    try:
        _, err = joining.communicate(timeout=20)
    except subprocess.TimeoutExpired:
        pytest.fail(f"Ctrl-C did not end it; its node says:\n{laptop.log()}")
    assert joining.returncode == 0, err
    laptop.run("status", "--check", "live", code=3)


def test_interrupted(machine: MakeMachine) -> None:
    """Ctrl-C while the host does not answer: code 6, and the node that was started for it is gone."""
    desk, laptop = machine("desk"), machine("laptop")
    desk.run("init", "home")
    desk.run("serve", "--detach")
    code = desk.run("join").stdout.strip()
    desk.run("stop")
    joining = laptop.spawn("join", code)
    assert joining.stderr is not None
    joining.stderr.readline()
    joining.send_signal(signal.SIGINT)
    try:
        _, err = joining.communicate(timeout=20)
    except subprocess.TimeoutExpired:
        pytest.fail(f"Ctrl-C did not end it; its node says:\n{laptop.log()}")
    assert (joining.returncode, err) == (6, "Error: interrupted\n")
    laptop.run("status", "--check", "live", code=3)


def test_killed_while_joining(machine: MakeMachine) -> None:
    """Nobody waits for the join any more, so the node that was started for it ends by itself."""
    desk, laptop = machine("desk"), machine("laptop")
    desk.run("init", "home")
    desk.run("serve", "--detach")
    code = desk.run("join").stdout.strip()
    desk.run("stop")
    joining = laptop.spawn("join", code)
    assert joining.stderr is not None
    joining.stderr.readline()
    joining.kill()
    deadline = time.monotonic() + 20
    while is_running(laptop) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_running(laptop)


def is_running(machine: Machine) -> bool:
    """Whether a node holds the machine's home."""
    try:
        with Lock(machine.home):
            return False
    except StateError:
        return True
