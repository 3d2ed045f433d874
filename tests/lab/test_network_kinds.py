"""`atmosphere network` in every kind of network that the laboratory has: what it says is what was built."""

from __future__ import annotations

import re
import time
from typing import Any, get_args

import pytest

from tests.lab.coturn import PORT, start_coturn
from tests.lab.household import Member, Relay, joined
from tests.lab.ipv6 import BACKBONE, give_ipv6
from tests.lab.routers import IN_USER_SPACE, KINDS, Kind, UserKind, in_user_space
from tests.lab.topology import Lab, Machine, run_in

pytestmark = [pytest.mark.needs("netns", "coturn"), pytest.mark.lab]

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


def behaviour(kind: Kind | UserKind) -> tuple[str, str] | None:
    """Its mapping and filtering; None where it lets no UDP through."""
    if in_user_space(kind):
        return IN_USER_SPACE[kind].mapping, IN_USER_SPACE[kind].filtering
    return KINDS.get(kind)


def check(found: dict[str, Any], kind: Kind | UserKind) -> None:
    """Whether `found` says what a router of `kind` does."""
    nat, expected = found["nat"], behaviour(kind)
    if expected is None:
        assert (nat["type"], found["public"]["ipv4"]) == ("udp-blocked", None)
        return
    assert (nat["mapping"], nat["filtering"], nat["type"]) == (*expected, EVERYDAY.get(expected, "symmetric"))
    assert found["internet"] is True


@pytest.mark.parametrize(
    "kind",
    [
        *("udp-blocked", "sequential"),
        *(
            pytest.param(kind, marks=pytest.mark.matrix)
            for kind in (*get_args(Kind), *get_args(UserKind))
            if kind not in ("udp-blocked", "sequential")
        ),
    ],
)
def test_every_kind_of_router(lab: Lab, kind: Kind | UserKind) -> None:
    box, home = Box(lab), lab.home("home", kind)
    found = look(home.machine("host"), "--stun", box.stun, within=QUICK if behaviour(kind) else PATIENT)
    check(found, kind)
    if behaviour(kind):
        assert found["public"]["ipv4"]["ip"] == home.outside
        assert found["nat"]["hairpinning"] is False
        (server,) = found["servers"]
        assert server["ok"]
        assert server["rtt_ms"] < 500


@pytest.mark.matrix
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


@pytest.mark.matrix
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
    host = lab.home("inner-home", inner, behind=home).machine("host")
    found = look(host, "--stun", box.stun, within=QUICK)
    check(found, acts_as)
    assert found["public"]["ipv4"]["ip"] == home.outside


def test_a_router_that_leads_its_own_address_back_in(lab: Lab) -> None:
    box, home = Box(lab), lab.home("home", "full-cone", hairpin=True)
    nat = look(home.machine("host"), "--stun", box.stun, within=QUICK)["nat"]
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


@pytest.mark.matrix
def test_how_long_a_router_remembers(lab: Lab) -> None:
    box, home = Box(lab), lab.home("home", "port-restricted", timeout=8)
    found = Member(home.machine("host")).json("network", "--stun", box.stun, "--lifetime", "10s")
    assert found["nat"]["mapping_lifetime_s"] == 5.0


@pytest.mark.matrix
def test_an_idle_path_stays_open_through_a_router_that_forgets_soon(lab: Lab) -> None:
    """Its mappings live for 8 s, and an idle path is asked every 12 to 15 s until that is known: some are lost until
    then, and none after."""
    box, home = Box(lab), lab.home("home", "port-restricted", timeout=8)
    anna = Member(home.machine("anna"), "--stun", box.stun)
    ben = Member(lab.public("ben"), "--stun", box.stun)
    ben.found()
    joined(anna, ben.code())
    path = anna.peers()["ben"]["path"]["remote"]
    to_ben = re.compile(rf"udp .*dst={re.escape(path['address'])} sport=7777 dport={path['port']} ")
    open_since, gaps, deadline = time.monotonic(), 0, time.monotonic() + 90
    while time.monotonic() < open_since + 40:
        assert time.monotonic() < deadline, f"{gaps} times without a mapping"
        if not to_ben.search(home.flows()):
            open_since, gaps = time.monotonic(), gaps + 1
        time.sleep(0.5)
