"""`atmosphere network` in every kind of network that the laboratory has: what it says is what was built."""

from __future__ import annotations

import time
from typing import Any, get_args

import pytest

from tests.lab.coturn import PORT, start_coturn
from tests.lab.household import Member, Relay
from tests.lab.ipv6 import BACKBONE, give_ipv6
from tests.lab.routers import KINDS, Kind, rules
from tests.lab.topology import Home, Lab, Machine, run_in

pytestmark = [pytest.mark.needs("netns", "coturn"), pytest.mark.lab, pytest.mark.xdist_group("lab")]

QUICK, PATIENT = 10.0, 15.0
"""Seconds it may take where servers answer, and where none does: 2 and 4 by themselves, thrice that on a machine that
does much besides."""

EVERYDAY = {
    ("endpoint-independent", "endpoint-independent"): "full-cone",
    ("endpoint-independent", "address-dependent"): "restricted-cone",
    ("endpoint-independent", "address-and-port-dependent"): "port-restricted-cone",
}
"""What people call a mapping and a filtering; any other mapping is called symmetric."""


class Box:
    """A public machine that answers STUN from two addresses."""

    def __init__(self, lab: Lab) -> None:
        self.machine = lab.public("box", addresses=2)
        start_coturn(self.machine, *self.machine.addresses)
        self.stun = f"stun:{self.machine.address}:{PORT}"


def look(machine: Machine, *options: str, within: float) -> dict[str, Any]:
    """What `atmosphere network` prints there, and in time."""
    started = time.monotonic()
    found: dict[str, Any] = Member(machine).json("network", *options)
    assert time.monotonic() - started < within
    return found


def check(found: dict[str, Any], kind: Kind) -> None:
    """Whether `found` says what a router of `kind` does."""
    nat = found["nat"]
    if kind not in KINDS:
        assert (nat["type"], found["public"]["ipv4"]) == ("udp-blocked", None)
        return
    mapping, filtering = KINDS[kind]
    expected = EVERYDAY.get((mapping, filtering), "symmetric")
    assert (nat["mapping"], nat["filtering"], nat["type"]) == (mapping, filtering, expected)
    assert found["internet"] is True


@pytest.mark.parametrize("kind", get_args(Kind))
def test_every_kind_of_router(lab: Lab, kind: Kind) -> None:
    box, home = Box(lab), lab.home("home", kind)
    found = look(home.machine("host"), "--stun", box.stun, within=QUICK if kind in KINDS else PATIENT)
    check(found, kind)
    if kind in KINDS:
        assert found["public"]["ipv4"]["ip"] == home.outside
        assert found["nat"]["hairpinning"] is False
        (server,) = found["servers"]
        assert server["ok"]
        assert server["rtt_ms"] < 500


@pytest.mark.parametrize("kind", KINDS)
def test_by_comparing_servers_of_one_address_each(lab: Lab, kind: Kind) -> None:
    """What public STUN servers are: the mapping is told all the same."""
    servers = [Relay(lab.public(name)) for name in ("box1", "box2")]
    options = [option for server in servers for option in ("--stun", server.stun)]
    nat = look(lab.machine("host", kind), *options, within=QUICK)["nat"]
    assert (nat["mapping"], nat["filtering"]) == (KINDS[kind][0], "unknown")
    assert nat["type"] in {"port-restricted-cone", "symmetric"}


def test_a_public_machine(lab: Lab) -> None:
    box, host = Box(lab), lab.public("host")
    found = look(host, "--stun", box.stun, within=QUICK)
    nat = found["nat"]
    assert (nat["mapping"], nat["filtering"], nat["hairpinning"], nat["type"]) == ("none", "none", None, "open")
    assert found["public"]["ipv4"]["ip"] == host.address
    assert "public address" in found["summary"]


def household_within(home: Home, kind: Kind) -> Machine:
    """A machine behind a router of `kind` that is itself a machine of `home`: NAT twice."""
    lab = home.lab
    router = home.machine("inner-router")
    for command in (
        ("ip", "link", "set", "eth0", "down"),
        ("ip", "link", "set", "eth0", "name", "wan"),
        ("ip", "link", "set", "wan", "up"),
        ("ip", "route", "replace", "default", "via", router.gateway),
        ("sysctl", "-qw", "net.ipv4.ip_forward=1"),
    ):
        run_in(router.namespace, *command)
    host = Machine(lab, "inner-host", "192.168.77.10")
    lab.cable(router.namespace, "lan", host.namespace, "eth0")
    run_in(router.namespace, "ip", "address", "add", "192.168.77.1/24", "dev", "lan")
    run_in(router.namespace, "ip", "link", "set", "lan", "up")
    run_in(router.namespace, "nft", "-f", "-", feed=rules(kind))
    run_in(host.namespace, "ip", "address", "add", f"{host.address}/24", "dev", "eth0")
    host.gateway = "192.168.77.1"
    host.plug()
    lab.machines.append(host)
    return host


@pytest.mark.parametrize(
    ("outer", "inner", "acts_as"),
    [
        ("full-cone", "port-restricted", "port-restricted"),
        ("port-restricted", "full-cone", "port-restricted"),
        ("port-restricted", "symmetric", "symmetric"),
        ("symmetric", "full-cone", "symmetric"),
    ],
)
def test_two_routers_act_as_the_harder_of_the_two(lab: Lab, outer: Kind, inner: Kind, acts_as: Kind) -> None:
    box, home = Box(lab), lab.home("home", outer)
    found = look(household_within(home, inner), "--stun", box.stun, within=QUICK)
    check(found, acts_as)
    assert found["public"]["ipv4"]["ip"] == home.outside


def test_a_router_that_leads_its_own_address_back_in(lab: Lab) -> None:
    box, home = Box(lab), lab.home("home", "full-cone")
    back = f'iifname "lan" ip daddr {home.outside} ip protocol udp'
    run_in(home.namespace, "nft", "add", "rule", "ip", "home", "before", f"{back} dnat to udp dport map @open")
    run_in(home.namespace, "nft", "add", "rule", "ip", "home", "after", 'oifname "lan" ct status dnat masquerade')
    host = home.machine("host")
    # Where the kernel filters bridges, what is translated back to the port it came from is the bridge's to forward.
    run_in(home.namespace, "bridge", "link", "set", "dev", "port10", "hairpin", "on")
    nat = look(host, "--stun", box.stun, within=QUICK)["nat"]
    assert (nat["hairpinning"], nat["type"]) == (True, "full-cone")


def test_ipv6_alone(lab: Lab) -> None:
    box, home = lab.public("box"), lab.home("home", "port-restricted")
    host = home.machine("host")
    (address,) = give_ipv6(lab, home, host)
    run_in(host.namespace, "ip", "-4", "address", "flush", "dev", "eth0")
    servers = [f"{BACKBONE}{number}" for number in (8, 9)]
    for setting in ("all.disable_ipv6=0", "default.disable_ipv6=0", "all.accept_ra=0"):
        run_in(box.namespace, "sysctl", "-qw", f"net.ipv6.conf.{setting}")
    for server in servers:
        run_in(box.namespace, "ip", "-6", "address", "add", f"{server}/64", "dev", "eth0", "nodad")
    run_in(box.namespace, "ip", "-6", "route", "add", "default", "via", f"{BACKBONE}1")
    start_coturn(box, *servers)
    found = look(host, "--stun", f"stun:[{servers[0]}]:{PORT}", within=QUICK)
    nat = found["nat"]
    assert (found["public"]["ipv4"], found["public"]["ipv6"]["ip"]) == (None, address)
    assert (nat["mapping"], nat["filtering"], nat["type"]) == ("none", "address-and-port-dependent", "open")
    assert "firewall" in found["summary"]


def test_a_captive_portal(lab: Lab) -> None:
    """Everything web-like is answered by the router itself, and nothing else passes, until somebody has logged in."""
    relay = Relay(lab.public("box"))
    home = lab.home("home", "udp-blocked")
    host = home.machine("host")
    page = "HTTP/1.1 302 Found\r\nLocation: http://login.hotel.example/\r\nContent-Length: 0\r\n\r\n"
    serve = f"""
import socket
server = socket.create_server(("", 8080))
print("READY", flush=True)
while True:
    sock, _ = server.accept()
    sock.recv(4096)
    sock.sendall({page!r}.encode())
    sock.close()
"""
    portal = home.machine("portal")
    portal.start(*portal.python("-c", serve)).wait_for("READY")
    options = ("--stun", relay.stun, "--signaling", relay.signaling)
    free = look(host, *options, within=PATIENT)
    assert (free["captive_portal"], free["internet"], free["nat"]["type"]) == (False, True, "udp-blocked")
    to_portal = f'iifname "lan" ip saddr {host.address} ip protocol tcp dnat to {portal.address}:8080'
    run_in(home.namespace, "nft", "add", "rule", "ip", "home", "before", to_portal)
    run_in(home.namespace, "nft", "add", "rule", "ip", "home", "after", 'oifname "lan" masquerade')
    found = look(host, *options, within=PATIENT)
    assert found["captive_portal"] is True
    assert "log in" in found["summary"]


def test_how_long_a_router_remembers(lab: Lab) -> None:
    box, home = Box(lab), lab.home("home", "port-restricted")
    for name in ("udp_timeout", "udp_timeout_stream"):
        run_in(home.namespace, "sysctl", "-qw", f"net.netfilter.nf_conntrack_{name}=8")
    found = Member(home.machine("host")).json("network", "--stun", box.stun, "--lifetime", "10s")
    assert found["nat"]["mapping_lifetime_s"] == 5.0
