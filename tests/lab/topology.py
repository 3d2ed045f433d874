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
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from tests.lab.homes import Home
from tests.lab.link import SIDES, Link
from tests.lab.machines import BEYOND, PUBLIC, Machine, ip, ip_batch, run_in
from tests.lab.pipe import Conditions
from tests.lab.processes import Program, command_in, end_processes_in
from tests.lab.routers import Kind, UserKind
from tests.lab.translation import NatKind

HERE = Path(__file__).parent
__all__ = ["BEYOND", "PUBLIC", "Home", "Lab", "Machine", "run_in"]


class Lab:
    """The public segment and everything attached to it; leaving it ends every program and removes every namespace."""

    _numbers = itertools.count()

    def __init__(self) -> None:
        self._prefix = f"atm{os.getpid()}n{next(self._numbers)}"
        self._scratch = tempfile.TemporaryDirectory(prefix="atmosphere-lab-", ignore_cleanup_errors=True)
        self.folder = Path(self._scratch.name)
        self.machines: list[Machine] = []
        self.equipment: list[Program] = []
        self.links: list[Link] = []
        self._namespaces: list[str] = []
        self._notes: list[str] = []
        self._public = itertools.count(10)
        self._ports = itertools.count()
        self._homes = itertools.count(1)
        self.segment = ""

    def __enter__(self) -> Self:
        try:
            self.segment = self.make_namespace("internet")
            ip("-n", self.segment, "link", "add", "br0", "type", "bridge")
            ip("-n", self.segment, "address", "add", f"{BEYOND}/24", "dev", "br0")
            ip("-n", self.segment, "link", "set", "br0", "up")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def public(self, name: str, *, addresses: int = 1, link: Conditions | None = None) -> Machine:
        """A machine with one or more public addresses, at the end of a link where there are conditions."""
        own = [self.public_address() for _ in range(addresses)]
        machine = Machine(self, name)
        machine.has(*own, gateway=BEYOND)
        machine.link = self.plug_into_public(machine.namespace, "eth0", *own, conditions=link)
        self.machines.append(machine)
        return machine

    def home(
        self,
        name: str,
        kind: Kind | UserKind | NatKind,
        *,
        inside: str | None = None,
        behind: Home | None = None,
        hairpin: bool = False,
        timeout: int | None = None,
        link: Conditions | None = None,
    ) -> Home:
        """A household behind a router of `kind`; `inside` is its private /24, its own by default (like "192.168.1")."""
        number = next(self._homes)
        inside = inside or f"192.168.{number}"
        return Home(self, name, kind, inside, behind=behind, hairpin=hairpin, timeout=timeout, link=link)

    def public_address(self) -> str:
        """An address of the public segment that nobody has yet."""
        return f"{PUBLIC}.{next(self._public)}"

    def machine(self, name: str, kind: Kind | UserKind | NatKind | Literal["none"]) -> Machine:
        """A machine alone behind a router of `kind`, or, for "none", with a public address of its own."""
        return self.public(name) if kind == "none" else self.home(f"{name}-home", kind).machine(name)

    def note(self, text: str) -> None:
        """Keep `text` for the report of a failing test."""
        self._notes.append(text)

    def report(self) -> str:
        """What every command and every program said, for a failing test."""
        running = [*self.equipment, *(program for machine in self.machines for program in machine.programs)]
        programs = [f"{program.name}\n{program.output}" for program in running]
        logs = [f"{path}\n{path.read_text(errors='replace')[-20_000:]}" for path in sorted(self.folder.rglob("*.log"))]
        return "\n\n".join([*self._notes, *programs, *logs])

    def make_namespace(self, name: str) -> str:
        """A new namespace with only loopback up and no IPv6; its full name."""
        namespace = f"{self._prefix}-{name}"
        ip("netns", "add", namespace)
        self._namespaces.append(namespace)
        settings = [f"net.ipv6.conf.{scope}.disable_ipv6=1" for scope in ("all", "default")]
        run_in(namespace, "sysctl", "-qw", *settings)
        ip("-n", namespace, "link", "set", "lo", "up")
        return namespace

    def cable(self, one: str, card: str, other: str, other_card: str) -> None:
        """A virtual cable between two namespaces."""
        ip("-n", one, "link", "add", card, "type", "veth", "peer", "name", other_card, "netns", other)

    def connect(self, one: str, card: str, other: str, other_card: str, conditions: Conditions | None) -> Link | None:
        """A link where there are conditions, a plain cable where there are none."""
        if conditions is not None:
            return self.link(one, card, other, other_card, conditions)
        self.cable(one, card, other, other_card)
        return None

    def link(self, one: str, card: str, other: str, other_card: str, conditions: Conditions) -> Link:
        """A cable with weather between two namespaces; its `left` is `one`."""
        name = f"link{len(self.links)}"
        namespace = self.make_namespace(name)
        self.cable(one, card, namespace, "left")
        self.cable(other, other_card, namespace, "right")
        for owner, outer in ((one, card), (other, other_card)):
            run_in(owner, sys.executable, str(HERE / "offload.py"), outer)
        for side in SIDES:
            ip("-n", namespace, "link", "set", side, "up")
        control = self.folder / f"{name}.control"
        command = [sys.executable, "-m", "tests.lab.link", str(control), name]
        program = Program(f"[{name}] {one} to {other}", command_in(namespace, command), {})
        self.equipment.append(program)
        program.wait_for("READY")
        self.links.append(Link(control, conditions))
        return self.links[-1]

    def plug_into_public(
        self, namespace: str, card: str, *addresses: str, conditions: Conditions | None = None
    ) -> Link | None:
        """Attach a namespace to the public segment under `addresses`, by a link where there are conditions."""
        port = f"port{next(self._ports)}"
        link = self.connect(namespace, card, self.segment, port, conditions)
        ip("-n", self.segment, "link", "set", port, "master", "br0", "up")
        for address in addresses:
            ip("-n", namespace, "address", "add", f"{address}/24", "dev", card)
        ip("-n", namespace, "link", "set", card, "up")
        ip("-n", namespace, "route", "add", "default", "via", BEYOND)
        return link

    def close(self) -> None:
        """End every program and remove every namespace; safe to call twice."""
        programs = [*self.equipment, *(program for machine in self.machines for program in machine.programs)]
        end_processes_in(self._namespaces)
        for program in programs:
            program.kill()
        ip_batch(f"netns delete {namespace}" for namespace in self._namespaces)
        self._namespaces.clear()
        self._scratch.cleanup()
