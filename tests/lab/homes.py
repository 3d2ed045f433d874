"""A router of some kind and the machines behind it."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tests.lab.control import ask
from tests.lab.link import Link
from tests.lab.machines import BEYOND, Machine, ip, run_in
from tests.lab.pipe import Conditions
from tests.lab.processes import Program, command_in
from tests.lab.routers import IN_USER_SPACE, KINDS, Kind, UserKind, divert, in_user_space, rules
from tests.lab.translation import NatKind

if TYPE_CHECKING:
    from tests.lab.topology import Lab


class Home:
    """A household: what is `outside` of its router (an address) and what is `inside` (a /24, like "192.168.1").

    `kind` is a name or any NatKind. `timeout`: seconds until an unused UDP mapping is gone, 120 unless the kind says
    otherwise. `behind`: the household whose router is this one's provider (a carrier's NAT). `hairpin`: whether its
    machines reach each other by their outside addresses; what nftables cannot do is done in user space. `link`: the
    weather between the router and its provider.
    """

    def __init__(
        self,
        lab: Lab,
        name: str,
        kind: Kind | UserKind | NatKind,
        inside: str,
        *,
        behind: Home | None = None,
        hairpin: bool = False,
        timeout: int | None = None,
        link: Conditions | None = None,
    ) -> None:
        self.name = name
        self.kind = kind
        self.router: Program | None = None
        self.lab = lab
        self.inside = inside
        self._hosts = itertools.count(10)
        self._behind = behind
        self.namespace = lab.make_namespace(f"{name}-router")
        self.link: Link | None = None
        self.outside = self._plug_in(link)
        ip("-n", self.namespace, "link", "add", "lan", "type", "bridge")
        ip("-n", self.namespace, "address", "add", f"{inside}.1/24", "dev", "lan")
        ip("-n", self.namespace, "link", "set", "lan", "up")
        run_in(self.namespace, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        how = _done_by(kind, hairpin)
        if isinstance(how, NatKind):
            self._translate_in_user_space(replace(how, timeout=timeout or how.timeout))
        else:
            self._translate_in_the_kernel(how, timeout or 120)

    def attach(self, namespace: str, card: str, conditions: Conditions | None = None) -> tuple[str, Link | None]:
        """Plug a card of another namespace into this household's network; its address, and the link if it is one."""
        address = self.free_address()
        port = f"port{address.rpartition('.')[2]}"
        link = self.lab.connect(namespace, card, self.namespace, port, conditions)
        ip("-n", self.namespace, "link", "set", port, "master", "lan", "up")
        ip("-n", namespace, "address", "add", f"{address}/24", "dev", card)
        ip("-n", namespace, "link", "set", card, "up")
        return address, link

    def free_address(self) -> str:
        """An address of the household that nobody has yet."""
        return f"{self.inside}.{next(self._hosts)}"

    @property
    def gateway(self) -> str:
        """The router's address inside."""
        return f"{self.inside}.1"

    def machine(self, name: str, *, link: Conditions | None = None) -> Machine:
        """One more machine of this household, at the end of a link where there are conditions."""
        machine = Machine(self.lab, name)
        address, machine.link = self.attach(machine.namespace, "eth0", link)
        machine.has(address, gateway=self.gateway)
        machine.home = self
        machine.plug()
        self.lab.machines.append(machine)
        return machine

    def forget_flows(self) -> None:
        """What a restarted router does: every mapping is gone."""
        if self.router is None:
            run_in(self.namespace, "conntrack", "-F")
        else:
            ask(self._control, {"do": "forget"})

    def move(self) -> None:
        """What a provider does at night: another public address, and no mapping is left."""
        assert self._behind is None
        new = self.lab.public_address()
        ip("-n", self.namespace, "address", "delete", f"{self.outside}/24", "dev", "wan")
        ip("-n", self.namespace, "address", "add", f"{new}/24", "dev", "wan")
        ip("-n", self.namespace, "route", "replace", "default", "via", BEYOND)
        self.outside = new
        if self.router is not None:
            run_in(self.namespace, "nft", "-f", "-", feed=divert(new, self.inside))
            ask(self._control, {"do": "move", "address": new})
        else:
            self.forget_flows()

    def shun(self, address: str) -> None:
        """Lose every packet to and from a public address, without a word."""
        for direction in ("saddr", "daddr"):
            run_in(self.namespace, "nft", "insert", "rule", "ip", "home", "through", "ip", direction, address, "drop")

    def readmit(self, address: str) -> None:
        """No longer shun it."""
        listed = command_in(self.namespace, ["nft", "-a", "list", "chain", "ip", "home", "through"])
        rules = subprocess.run(listed, capture_output=True, text=True, check=True, timeout=10).stdout
        for handle in re.findall(rf"addr {re.escape(address)} drop # handle (\d+)", rules):
            run_in(self.namespace, "nft", "delete", "rule", "ip", "home", "through", "handle", handle)

    def flows(self) -> str:
        """The router's connection table, for a person to read."""
        command = command_in(self.namespace, ["conntrack", "-L"])
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=10).stdout

    def block_udp(self) -> None:
        """From now on no UDP passes, in either direction, whatever passed before."""
        run_in(self.namespace, "nft", "insert", "rule", "ip", "home", "through", "ip", "protocol", "udp", "drop")

    def _plug_in(self, conditions: Conditions | None) -> str:
        if self._behind is None:
            address = self.lab.public_address()
            self.link = self.lab.plug_into_public(self.namespace, "wan", address, conditions=conditions)
            return address
        address, self.link = self._behind.attach(self.namespace, "wan", conditions)
        ip("-n", self.namespace, "route", "add", "default", "via", self._behind.gateway)
        return address

    def _translate_in_the_kernel(self, kind: Kind, timeout: int) -> None:
        settings = ("acct=1", f"udp_timeout={timeout}", f"udp_timeout_stream={timeout}")
        run_in(self.namespace, "sysctl", "-qw", *(f"net.netfilter.nf_conntrack_{setting}" for setting in settings))
        run_in(self.namespace, "nft", "-f", "-", feed=rules(kind, timeout))

    @property
    def _control(self) -> Path:
        return self.lab.folder / f"{self.name}-router.control"

    def _translate_in_user_space(self, nat: NatKind) -> None:
        """Two devices that lead to the program, and routes that prefer them to the router's own addresses."""
        for number, device in enumerate(("inside", "outside"), 1):
            ip("-n", self.namespace, "tuntap", "add", device, "mode", "tun")
            settings = (f"{device}.accept_local=1", f"{device}.rp_filter=0", "all.rp_filter=0")
            run_in(self.namespace, "sysctl", "-qw", *(f"net.ipv4.conf.{setting}" for setting in settings))
            ip("-n", self.namespace, "link", "set", device, "txqueuelen", "2000", "up")
            ip("-n", self.namespace, "route", "add", "default", "dev", device, "table", str(100 + number))
            ip(
                "-n",
                self.namespace,
                "rule",
                "add",
                "pref",
                str(number),
                "fwmark",
                str(number),
                "lookup",
                str(100 + number),
            )
        ip("-n", self.namespace, "rule", "add", "pref", "3", "lookup", "local")
        ip("-n", self.namespace, "rule", "delete", "pref", "0")
        run_in(self.namespace, "nft", "-f", "-", feed=divert(self.outside, self.inside))
        command = [sys.executable, "-m", "tests.lab.usernat", self.outside, str(nat), str(self._control)]
        options = ["--timeout", str(nat.timeout), "--step", str(nat.step), *(["--hairpin"] if nat.hairpin else [])]
        self.router = Program(f"[{self.name}-router] {nat}", command_in(self.namespace, [*command, *options]), {})
        self.lab.equipment.append(self.router)
        self.router.wait_for("READY")


def _done_by(kind: Kind | UserKind | NatKind, hairpin: bool) -> Kind | NatKind:
    """The behaviour that a program has to have, or what nftables can do."""
    if isinstance(kind, NatKind):
        return replace(kind, hairpin=hairpin or kind.hairpin)
    if in_user_space(kind):
        return replace(IN_USER_SPACE[kind], hairpin=hairpin)
    if not hairpin:
        return kind
    mapping, filtering = KINDS[kind]
    return NatKind(mapping, filtering, "random" if kind == "symmetric" else "preserved", hairpin=True)
