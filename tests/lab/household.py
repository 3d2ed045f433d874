"""Atmosphere in the laboratory, driven as a user drives it: by its command line, one home a machine."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from atmosphere.cli.control import client, messages
from atmosphere.errors import AtmosphereError
from atmosphere.mesh.store import init_home
from tests.lab.processes import Program
from tests.lab.topology import Machine

RELAY_PORT = 3478


class Relay:
    """`atmosphere relay` on a public machine, started at once."""

    def __init__(self, machine: Machine, *options: str, port: int = RELAY_PORT) -> None:
        self.machine = machine
        self._command = (
            *machine.python("-m", "atmosphere", "relay"),
            *("--port", str(port), "--public-host", machine.address),
            *options,
        )
        self.program = machine.start(*self._command)
        self.stun = f"stun:{machine.address}:{port}"

    @cached_property
    def signaling(self) -> str:
        """The URL that it prints: known once it is ready, which machines that are built meanwhile need not wait for."""
        told = re.search(r"--signaling[ =](\S+)", self.program.wait_for("--signaling"))
        assert told is not None
        return told[1]

    @property
    def options(self) -> tuple[str, ...]:
        """What it tells its nodes to use."""
        return ("--signaling", self.signaling, "--stun", self.stun)

    def start(self) -> None:
        """Run it again after it was ended."""
        self.program = self.machine.start(*self._command)
        self.program.wait_for("READY")


class Member:
    """A node on a machine: its home, the options and environment it runs with, and the commands its owner types."""

    def __init__(self, machine: Machine, *options: str, **environment: str) -> None:
        self.machine = machine
        self.name = machine.name
        self.options = (*options, "--no-port-mapping")
        own = {"ATMOSPHERE_HOME": str(machine.folder / "atmosphere"), "ATMOSPHERE_NAME": machine.name}
        self.environment = own | environment

    def atmosphere(self, *arguments: str, timeout: float = 45.0) -> subprocess.CompletedProcess[str]:
        """Type `atmosphere …` and wait for the prompt."""
        command = self.machine.python("-m", "atmosphere", *arguments)
        return self.machine.run(*command, timeout=timeout, env=self.environment)

    def json(self, *arguments: str, timeout: float = 45.0) -> Any:
        """The document that `atmosphere --json …` prints; AssertionError when the command fails."""
        done = self.atmosphere("--json", *arguments, timeout=timeout)
        assert done.returncode == 0, f"{self.name}: {' '.join(arguments)}: exit {done.returncode}\n{done.stderr}"
        return json.loads(done.stdout)

    def start(self, *arguments: str) -> Program:
        """Type `atmosphere …` in a terminal of its own."""
        return self.machine.start(*self.machine.python("-m", "atmosphere", *arguments), env=self.environment)

    def serve(self) -> Program:
        """`atmosphere serve` in the foreground, ready."""
        program = self.start("serve", *self.options)
        program.wait_for("READY")
        return program

    def found(self, mesh: str = "lab") -> Program:
        """A new mesh, this node its founder, and the node running; what `init` does, without starting a program."""
        init_home(Path(self.environment["ATMOSPHERE_HOME"]), mesh, self.name)
        return self.serve()

    def code(self, *options: str) -> str:
        """A join code from the running node."""
        done = self.atmosphere("join", *options)
        assert done.returncode == 0, done.stderr
        code = done.stdout.strip()
        assert code.startswith("atm1"), done.stdout
        assert "\n" not in code
        return code

    def join(self, code: str, *, timeout: float = 60.0) -> subprocess.CompletedProcess[str]:
        """`atmosphere join CODE`, which leaves a node running in the background."""
        return self.atmosphere("join", code, "--name", self.name, *self.options, timeout=timeout)

    def peers(self) -> dict[str, Any]:
        """Members by name, as `peers --json` shows them; asked at the node's own socket, which starts no program."""
        return {peer["name"]: peer for peer in self._ask(messages.Peers())}

    def status(self) -> Any:
        """What `status --json` shows, asked likewise."""
        return self._ask(messages.Status())

    def _ask(self, request: messages.Request) -> Any:
        return client.call(Path(self.environment["ATMOSPHERE_HOME"]), request)

    def kill(self) -> None:
        """A power cut: everything that runs on this machine is gone at once."""
        listed = subprocess.run(
            ["ip", "netns", "pids", self.machine.namespace], capture_output=True, text=True, check=True, timeout=10
        )
        for pid in listed.stdout.split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)


def joined(member: Member, code: str) -> None:
    """Join and insist that it worked."""
    done = member.join(code)
    assert done.returncode == 0, f"{member.name} could not join (exit {done.returncode}):\n{done.stderr}"


def until(what: str, condition: Callable[[], bool], seconds: float = 20.0) -> float:
    """Ask again and again until `condition` holds; how long that took. AssertionError after `seconds`."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds, f"not within {seconds:g} s: {what}"
        time.sleep(0.1)  # many questions are a process of their own
    return time.monotonic() - started


def connected(member: Member, others: Iterable[Member], kind: str | None = None) -> bool:
    """Whether `member` is connected to all `others` (by paths of `kind`, when one is given)."""
    try:
        peers = member.peers()
    except AtmosphereError:
        return False
    return all(
        (peer := peers.get(other.name)) is not None
        and peer["state"] == "connected"
        and (kind is None or peer["path"]["kind"] == kind)
        for other in others
    )


def all_connected(members: Iterable[Member], kind: str | None = None, seconds: float = 20.0) -> float:
    """Wait until every member is connected to every other; how long that took."""
    everybody = list(members)
    return until(
        f"everybody connected{f' {kind}' if kind else ''}",
        lambda: all(connected(one, [other for other in everybody if other is not one], kind) for one in everybody),
        seconds,
    )
