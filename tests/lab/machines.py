"""A machine of the laboratory: one namespace, and the programs that run in it."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from tests.lab.processes import Program, command_in, environment

if TYPE_CHECKING:
    from tests.lab.homes import Home
    from tests.lab.link import Link
    from tests.lab.topology import Lab

PUBLIC = "198.51.100"
"""The internet of the laboratory: one segment of RFC 5737's documentation addresses."""

BEYOND = f"{PUBLIC}.1"
"""The way to everywhere else: it forwards nothing, so what has no place in the laboratory is lost without a word."""


def ip(*arguments: str) -> None:
    """Run `ip …`; RuntimeError with what it said when it fails."""
    _do("ip", *arguments)


def ip_batch(lines: Iterable[str]) -> None:
    """Run many `ip` commands in one process; what fails is passed over."""
    subprocess.run(["ip", "-force", "-batch", "-"], input="\n".join(lines), capture_output=True, text=True, check=False)


def run_in(namespace: str, *command: str, feed: str | None = None) -> None:
    """Run `command` inside a namespace; RuntimeError with what it said when it fails."""
    _do(*command_in(namespace, command), feed=feed)


def _do(*command: str, feed: str | None = None) -> None:
    done = subprocess.run(command, input=feed, capture_output=True, text=True, check=False, timeout=30)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")


class Machine:
    """One namespace with one network card, its `address` (or `addresses`), and the programs that run in it."""

    def __init__(self, lab: Lab, name: str, address: str = "") -> None:
        self.lab = lab
        self.name = name
        self.address = address
        self.addresses = [address] if address else []
        self.gateway = ""
        self.namespace = lab.make_namespace(name)
        self.folder = lab.folder / name
        self.folder.mkdir(exist_ok=True)
        self.programs: list[Program] = []
        self.link: Link | None = None
        self.home: Home | None = None
        self._card = "eth0"
        self._cards = itertools.count(1)

    def has(self, *addresses: str, gateway: str) -> None:
        """Take note of its addresses and of the way to everywhere else."""
        self.address, self.addresses, self.gateway = addresses[0], list(addresses), gateway

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
        ip("-n", self.namespace, "link", "set", self._card, "down")

    def plug(self) -> None:
        """Put the network cable in: the link is up and the default route set."""
        ip("-n", self.namespace, "link", "set", self._card, "up")
        ip("-n", self.namespace, "route", "replace", "default", "via", self.gateway)

    def readdress(self) -> None:
        """What the household's router does now and then: the same network, another address."""
        assert self.home is not None
        ip("-n", self.namespace, "address", "delete", f"{self.address}/24", "dev", self._card)
        self.has(self.home.free_address(), gateway=self.gateway)
        ip("-n", self.namespace, "address", "add", f"{self.address}/24", "dev", self._card)
        self.plug()

    def move_to(self, home: Home) -> None:
        """Leave the one network and be in another, by another card: from Wi-Fi to a hotspot."""
        self.unplug()
        ip("-n", self.namespace, "address", "flush", "dev", self._card)
        self._card = f"eth{next(self._cards)}"
        address, self.link = home.attach(self.namespace, self._card)
        self.home = home
        self.has(address, gateway=home.gateway)
        self.plug()

    def _home(self) -> dict[str, str]:
        return {"HOME": str(self.folder)}
