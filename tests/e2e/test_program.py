"""The program itself: quick help, one-line errors, a second node on the same home, signals."""

from __future__ import annotations

import signal
import subprocess

from tests.e2e.conftest import MakeMachine


def test_init_does_not_overwrite(machine: MakeMachine) -> None:
    desk = machine("desk")
    made = desk.json("init", "home")
    assert made["mesh"]["name"] == "home"
    assert made["node"]["name"] == "desk"
    assert "--force" in desk.run("init", "work", code=1).stderr
    again = desk.json("init", "work", "--force")
    assert again["mesh"]["name"] == "work"
    assert again["mesh"]["id"] != made["mesh"]["id"]


def test_serve_makes_a_mesh_and_ends_on_sigterm(machine: MakeMachine) -> None:
    desk = machine("desk")
    serving = desk.spawn("serve")
    assert serving.stdout is not None
    assert serving.stdout.readline().startswith("READY desk ")
    assert desk.json("status")["mesh"]["name"]
    assert "Error: " in desk.run("serve", code=1).stderr
    serving.send_signal(signal.SIGTERM)
    _, err = serving.communicate(timeout=20)
    assert (serving.returncode, err) == (0, "")


def test_port_taken(machine: MakeMachine) -> None:
    desk, other = machine("desk"), machine("other")
    desk.run("serve", "--detach")
    port = str(desk.json("status")["port"])
    for arguments in (("serve", "--port", port), ("serve", "--port", port, "--detach")):
        failed = other.run(*arguments, code=1)
        assert failed.stderr.startswith(f"Error: port {port} is already in use\nTry: ")


def test_a_killed_node_leaves_the_home_usable(machine: MakeMachine) -> None:
    desk = machine("desk")
    serving = desk.spawn("serve")
    assert serving.stdout is not None
    serving.stdout.readline()
    serving.kill()
    serving.communicate(timeout=20)
    desk.run("peers", code=3)
    assert desk.run("serve", "--detach").stdout.startswith("READY")


def test_no_secret_in_the_arguments(machine: MakeMachine) -> None:
    desk = machine("desk")
    desk.environment["ATMOSPHERE_TURN"] = "turn:ann:hushhush@127.0.0.1:9"
    desk.run("serve", "--detach")
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert "atmosphere.cli.daemon" in listed
    assert "hushhush" not in listed
    assert "hushhush" not in desk.run("config").stdout + desk.run("status").stdout + desk.log()


def test_relay(machine: MakeMachine) -> None:
    box = machine("box")
    relay = box.spawn("relay", "--drain", "0.1s")
    assert relay.stdout is not None
    assert relay.stdout.readline().startswith("READY relay on port ")
    assert "--signaling ws://127.0.0.1:" in relay.stdout.readline()
    relay.send_signal(signal.SIGTERM)
    relay.communicate(timeout=20)
    assert relay.returncode == 0
