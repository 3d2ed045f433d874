"""Machines, homes and the public segment between them.

with Lab() as lab:
    box = lab.public("box")                      # 198.51.100.10
    anna = lab.home("anna", "symmetric")         # a router at 198.51.100.11, 192.168.1.0/24 behind it
    laptop = anna.machine("laptop")              # 192.168.1.10
    laptop.run("ping", "-c1", box.address)
"""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from tests.lab.processes import Program, command_in, environment
from tests.lab.routers import Kind, rules

PUBLIC = "198.51.100"
"""The internet of the laboratory: one segment of RFC 5737's documentation addresses."""

BEYOND = f"{PUBLIC}.1"
"""The way to everywhere else: it forwards nothing, so what has no place in the laboratory is lost without a word."""


def _ip(*arguments: str) -> None:
    _do("ip", *arguments)


def run_in(namespace: str, *command: str, feed: str | None = None) -> None:
    """Run `command` inside a namespace; RuntimeError with what it said when it fails."""
    _do(*command_in(namespace, command), feed=feed)


def _do(*command: str, feed: str | None = None) -> None:
    done = subprocess.run(command, input=feed, capture_output=True, text=True, check=False, timeout=30)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")


class Machine:
    """One namespace with one network card, its `address` (or `addresses`), and the programs that run in it."""

    def __init__(self, lab: Lab, name: str, address: str) -> None:
        self.lab = lab
        self.name = name
        self.address = address
        self.addresses = [address]
        self.gateway = BEYOND
        self.namespace = lab.make_namespace(name)
        self.folder = lab.folder / name
        self.folder.mkdir(exist_ok=True)
        self.programs: list[Program] = []

    def run(
        self, *command: str, timeout: float = 30.0, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run `command` to its end inside the machine; both streams as text, whatever the exit code."""
        done = subprocess.run(
            command_in(self.namespace, command),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=timeout,
            cwd=self.folder,
            env=environment(self._home() | dict(env or {})),
        )
        self.lab.note(f"[{self.name}] $ {' '.join(command)}\n{done.stdout}{done.stderr}(exit {done.returncode})")
        return done

    def start(self, *command: str, env: Mapping[str, str] | None = None) -> Program:
        """Start `command` inside the machine and return at once."""
        label = f"[{self.name}] $ {' '.join(command)}"
        program = Program(label, command_in(self.namespace, command), self._home() | dict(env or {}))
        self.programs.append(program)
        return program

    def python(self, *arguments: str) -> tuple[str, ...]:
        """The command that runs our Python with `arguments`."""
        return (sys.executable, *arguments)

    def unplug(self) -> None:
        """Pull the network cable."""
        _ip("-n", self.namespace, "link", "set", "eth0", "down")

    def plug(self) -> None:
        """Put the network cable in: the link is up and the default route set."""
        _ip("-n", self.namespace, "link", "set", "eth0", "up")
        _ip("-n", self.namespace, "route", "replace", "default", "via", self.gateway)

    def _home(self) -> dict[str, str]:
        return {"HOME": str(self.folder)}


class Home:
    """A router of some kind, and the machines behind it."""

    def __init__(self, lab: Lab, name: str, kind: Kind, outside: str, inside: str) -> None:
        self.name = name
        self.kind = kind
        self.outside = outside
        self.lab = lab
        self.inside = inside
        self._hosts = itertools.count(10)
        self.namespace = lab.make_namespace(f"{name}-router")
        lab.plug_into_public(self.namespace, "wan", outside)
        _ip("-n", self.namespace, "link", "add", "lan", "type", "bridge")
        _ip("-n", self.namespace, "address", "add", f"{inside}.1/24", "dev", "lan")
        _ip("-n", self.namespace, "link", "set", "lan", "up")
        run_in(self.namespace, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        run_in(self.namespace, "sysctl", "-qw", "net.netfilter.nf_conntrack_acct=1")
        run_in(self.namespace, "nft", "-f", "-", feed=rules(kind))

    def machine(self, name: str) -> Machine:
        """One more machine of this household."""
        number = next(self._hosts)
        machine = Machine(self.lab, name, f"{self.inside}.{number}")
        self.lab.cable(self.namespace, f"port{number}", machine.namespace, "eth0")
        _ip("-n", self.namespace, "link", "set", f"port{number}", "master", "lan", "up")
        _ip("-n", machine.namespace, "address", "add", f"{machine.address}/24", "dev", "eth0")
        machine.gateway = f"{self.inside}.1"
        machine.plug()
        self.lab.machines.append(machine)
        return machine

    def forget_flows(self) -> None:
        """What a restarted router does: every mapping is gone."""
        run_in(self.namespace, "conntrack", "-F")

    def block_udp(self) -> None:
        """From now on no UDP passes, in either direction, whatever passed before."""
        run_in(self.namespace, "nft", "insert", "rule", "ip", "home", "through", "ip", "protocol", "udp", "drop")

    def flows(self) -> str:
        """The router's connection table, for a person to read."""
        command = command_in(self.namespace, ["conntrack", "-L"])
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=10).stdout


class Lab:
    """The public segment and everything attached to it; leaving it ends every program and removes every namespace."""

    _numbers = itertools.count()

    def __init__(self) -> None:
        self._prefix = f"atm{os.getpid()}n{next(self._numbers)}"
        self._scratch = tempfile.TemporaryDirectory(prefix="atmosphere-lab-", ignore_cleanup_errors=True)
        self.folder = Path(self._scratch.name)
        self.machines: list[Machine] = []
        self._namespaces: list[str] = []
        self._notes: list[str] = []
        self._public = itertools.count(10)
        self._ports = itertools.count()
        self._homes = itertools.count(1)
        self.segment = ""

    def __enter__(self) -> Self:
        try:
            self.segment = self.make_namespace("internet")
            _ip("-n", self.segment, "link", "add", "br0", "type", "bridge")
            _ip("-n", self.segment, "address", "add", f"{BEYOND}/24", "dev", "br0")
            _ip("-n", self.segment, "link", "set", "br0", "up")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def public(self, name: str, *, addresses: int = 1) -> Machine:
        """A machine with one or more public addresses."""
        own = [f"{PUBLIC}.{next(self._public)}" for _ in range(addresses)]
        machine = Machine(self, name, own[0])
        machine.addresses = own
        self.plug_into_public(machine.namespace, "eth0", *own)
        self.machines.append(machine)
        return machine

    def home(self, name: str, kind: Kind, *, inside: str | None = None) -> Home:
        """A household behind a router of `kind`; `inside` is its private /24, its own by default (like "192.168.1")."""
        number = next(self._homes)
        return Home(self, name, kind, f"{PUBLIC}.{next(self._public)}", inside or f"192.168.{number}")

    def machine(self, name: str, kind: Kind | Literal["none"]) -> Machine:
        """A machine alone behind a router of `kind`, or, for "none", with a public address of its own."""
        return self.public(name) if kind == "none" else self.home(f"{name}-home", kind).machine(name)

    def note(self, text: str) -> None:
        """Keep `text` for the report of a failing test."""
        self._notes.append(text)

    def report(self) -> str:
        """What every command and every program said, for a failing test."""
        programs = [f"{program.name}\n{program.output}" for machine in self.machines for program in machine.programs]
        logs = [f"{path}\n{path.read_text(errors='replace')[-20_000:]}" for path in sorted(self.folder.rglob("*.log"))]
        return "\n\n".join([*self._notes, *programs, *logs])

    def make_namespace(self, name: str) -> str:
        """A new namespace with only loopback up and no IPv6; its full name."""
        namespace = f"{self._prefix}-{name}"
        _ip("netns", "add", namespace)
        self._namespaces.append(namespace)
        run_in(namespace, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")
        run_in(namespace, "sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1")
        _ip("-n", namespace, "link", "set", "lo", "up")
        return namespace

    def cable(self, one: str, card: str, other: str, other_card: str) -> None:
        """A virtual cable between two namespaces."""
        _ip("-n", one, "link", "add", card, "type", "veth", "peer", "name", other_card, "netns", other)

    def plug_into_public(self, namespace: str, card: str, *addresses: str) -> None:
        """Attach a namespace to the public segment under `addresses`."""
        port = f"port{next(self._ports)}"
        self.cable(self.segment, port, namespace, card)
        _ip("-n", self.segment, "link", "set", port, "master", "br0", "up")
        for address in addresses:
            _ip("-n", namespace, "address", "add", f"{address}/24", "dev", card)
        _ip("-n", namespace, "link", "set", card, "up")
        _ip("-n", namespace, "route", "add", "default", "via", BEYOND)

    def close(self) -> None:
        """End every program and remove every namespace; safe to call twice."""
        for machine in self.machines:
            for program in machine.programs:
                program.terminate(timeout=3)
        for namespace in self._namespaces:
            _end_processes_in(namespace)
            subprocess.run(["ip", "netns", "delete", namespace], capture_output=True, check=False, timeout=30)
        self._namespaces.clear()
        self._scratch.cleanup()


def _end_processes_in(namespace: str) -> None:
    """Kill what was started in the background inside one of our namespaces."""
    for _ in range(20):
        listed = subprocess.run(
            ["ip", "netns", "pids", namespace], capture_output=True, text=True, check=False, timeout=10
        )
        pids = [int(pid) for pid in listed.stdout.split()]
        if not pids:
            return
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
