"""Routers that open ports: the real miniupnpd, each of its protocols, and what Atmosphere makes of them."""

from __future__ import annotations

import ipaddress
import json

import pytest

from tests.lab.household import Member, Relay, all_connected, joined, until
from tests.lab.ipv6 import give_ipv6
from tests.lab.miniupnpd import Router, give_miniupnpd, reach_elsewhere
from tests.lab.topology import Home, Lab, Machine, run_in

pytestmark = [pytest.mark.needs("netns", "miniupnpd"), pytest.mark.lab]
LONG = pytest.mark.matrix

PROTOCOLS = ["pcp", "nat-pmp", "upnp"]
ROUTER = "fe80::1"
NOBODY = ("--stun", "none")


def asking(machine: Machine, *options: str) -> Member:
    """A member that asks its router for a port, as members do unless they are told not to."""
    member = Member(machine, *options)
    member.options = options
    return member


def told(member: Member) -> list[str]:
    """The candidates that `status` shows."""
    found: list[str] = member.json("status")["candidates"]
    return found


def open_for(router: Router, machine: Machine, port: int = 7777) -> bool:
    """Whether the router lets UDP and TCP in to `machine`."""
    return router.mappings().count(f"dnat ip to {machine.address}:{port}") == 2


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_each_protocol_alone_opens_and_closes_the_port(lab: Lab, protocol: str) -> None:
    home = lab.home("anna-home", "symmetric")
    anna = asking(home.machine("anna"), *NOBODY)
    router = give_miniupnpd(lab, home, only=[protocol])
    node = anna.found()
    until("the port is open", lambda: open_for(router, anna.machine))
    until("the candidate is told", lambda: f"srflx {router.outside}:7777" in told(anna))
    anna.code()
    assert node.terminate() == 0
    assert router.mappings() == ""


def test_a_node_that_shall_not_ask_does_not(lab: Lab) -> None:
    home = lab.home("anna-home", "symmetric")
    anna = Member(home.machine("anna"), *NOBODY)
    router = give_miniupnpd(lab, home)
    anna.found()
    anna.code()
    assert router.mappings() == ""
    assert not any(candidate.startswith("srflx") for candidate in told(anna))


def test_two_symmetric_homes_connect_by_the_code_alone(lab: Lab) -> None:
    """No TURN, no STUN, no signaling: anna's router opened her port, and the code says where."""
    anna_home, ben_home = lab.home("anna-home", "symmetric"), lab.home("ben-home", "symmetric")
    anna = asking(anna_home.machine("anna"), *NOBODY)
    ben = Member(ben_home.machine("ben"), *NOBODY)
    router = give_miniupnpd(lab, anna_home)
    reach_elsewhere(ben_home.namespace)
    anna.found()
    joined(ben, anna.code())
    all_connected([anna, ben], "direct")
    remote = ben.peers()["anna"]["path"]["remote"]
    assert (remote["address"], remote["port"]) == (router.outside, 7777)


@pytest.mark.matrix
def test_two_symmetric_homes_that_met_at_a_server_need_no_relay(lab: Lab) -> None:
    """Ben dials by signaling; what anna's router opened trickles to him, and servers see her elsewhere."""
    box = lab.public("box")
    anna_home, ben_home = lab.home("anna-home", "symmetric"), lab.home("ben-home", "symmetric")
    router = give_miniupnpd(lab, anna_home)
    reach_elsewhere(ben_home.namespace)
    reach_elsewhere(box.namespace, "eth0")
    relay = Relay(box, "--no-turn")
    anna = asking(anna_home.machine("anna"), *relay.options)
    ben = asking(ben_home.machine("ben"), *relay.options)
    anna.found()
    joined(ben, anna.code())
    all_connected([anna, ben], "direct")
    assert ben.peers()["anna"]["path"]["remote"]["address"] == router.outside
    assert f"srflx {router.outside}:7777" in told(anna)


def test_a_home_without_udp_comes_in_by_tcp(lab: Lab) -> None:
    """The node's TCP port is open too, so its own relay can be reached where UDP cannot."""
    anna_home, ben_home = lab.home("anna-home", "symmetric"), lab.home("ben-home", "udp-blocked")
    anna = asking(anna_home.machine("anna"), *NOBODY)
    ben = Member(ben_home.machine("ben"), *NOBODY)
    router = give_miniupnpd(lab, anna_home)
    reach_elsewhere(ben_home.namespace)
    anna.found()
    until("the port is open", lambda: open_for(router, anna.machine))
    joined(ben, anna.code())
    all_connected([anna, ben])


@pytest.mark.parametrize("protocol", [PROTOCOLS[0], *(pytest.param(one, marks=LONG) for one in PROTOCOLS[1:])])
def test_a_router_that_restarts_is_asked_again(lab: Lab, protocol: str) -> None:
    home = lab.home("anna-home", "symmetric")
    anna = asking(home.machine("anna"), *NOBODY)
    router = give_miniupnpd(lab, home, only=[protocol])
    anna.found()
    until("the port is open", lambda: open_for(router, anna.machine))
    router.restart()
    until("the port is open again", lambda: open_for(router, anna.machine), 30.0)
    until("the candidate is told", lambda: f"srflx {router.outside}:7777" in told(anna))


@pytest.mark.parametrize(
    "settings", [(), pytest.param(("force_igd_desc_v1=yes",), marks=LONG)], ids=["version 2", "version 1"]
)
def test_the_second_node_of_a_home_gets_another_port(lab: Lab, settings: tuple[str, ...]) -> None:
    """UPnP says 718, ConflictInMappingEntry: both nodes are on port 7777."""
    home, ben_home = lab.home("home", "symmetric"), lab.home("ben-home", "symmetric")
    first, second = (asking(home.machine(name), *NOBODY) for name in ("anna", "carol"))
    router = give_miniupnpd(lab, home, *settings, only=["upnp"])
    reach_elsewhere(ben_home.namespace)
    ben = Member(ben_home.machine("ben"), *NOBODY)
    first.found()
    until("the first port is open", lambda: open_for(router, first.machine))
    second.found("other")
    until("the second port is open", lambda: open_for(router, second.machine))
    assert open_for(router, first.machine)
    joined(ben, second.code())
    all_connected([ben, second], "direct")
    assert ben.peers()["carol"]["path"]["remote"]["port"] != 7777


@pytest.mark.matrix
def test_a_killed_node_gets_its_own_port_back(lab: Lab) -> None:
    """PCP refuses whoever does not know the nonce of the mapping that is still there."""
    home = lab.home("anna-home", "symmetric")
    anna = asking(home.machine("anna"), *NOBODY)
    router = give_miniupnpd(lab, home, only=["pcp"])
    node = anna.found()
    until("the port is open", lambda: open_for(router, anna.machine))
    node.kill()
    assert open_for(router, anna.machine)
    node = anna.serve()
    until("the candidate is told", lambda: f"srflx {router.outside}:7777" in told(anna))
    assert node.terminate() == 0
    assert router.mappings() == ""


def firewalled(lab: Lab, home: Home, machine: Machine) -> str:
    """Give a home IPv6 whose firewall is miniupnpd's; the machine's address."""
    (address,) = give_ipv6(lab, home, machine)
    run_in(home.namespace, "nft", "flush", "chain", "ip6", "home", "through")
    run_in(home.namespace, "nft", "add", "rule", "ip6", "home", "through", "accept")
    # As router advertisements have it: the default router is known by its link-local address.
    run_in(home.namespace, "ip", "-6", "address", "add", f"{ROUTER}/64", "dev", "lan", "nodad")
    run_in(machine.namespace, "ip", "-6", "address", "add", "fe80::abc/64", "dev", "eth0", "nodad")
    run_in(machine.namespace, "ip", "-6", "route", "flush", "default")
    run_in(machine.namespace, "ip", "-6", "route", "add", "default", "via", ROUTER, "dev", "eth0")
    return address


@pytest.mark.parametrize("protocol", ["pcp", pytest.param("upnp", marks=LONG)])
def test_a_pinhole_in_the_firewall_of_ipv6(lab: Lab, protocol: str) -> None:
    """Two homes with IPv6 and a firewall, no server at all: ben gets in where anna's router made a hole."""
    anna_home, ben_home = lab.home("anna-home", "udp-blocked"), lab.home("ben-home", "udp-blocked")
    anna = asking(anna_home.machine("anna"), *NOBODY)
    ben = Member(ben_home.machine("ben"), *NOBODY)
    address = firewalled(lab, anna_home, anna.machine)
    give_ipv6(lab, ben_home, ben.machine)
    router = give_miniupnpd(lab, anna_home, only=[protocol])
    if protocol == "upnp":
        run_in(anna_home.namespace, "nft", "insert", "rule", "ip6", "home", "itself", "udp", "dport", "5351", "drop")
    node = anna.found()
    hole = f"0x{ipaddress.IPv6Address(address).packed.hex()}"
    until("the firewall is open", lambda: router.mappings().count(hole) == 2)
    joined(ben, anna.code())
    all_connected([anna, ben], "direct")
    assert ben.peers()["anna"]["path"]["remote"]["address"] == address
    assert node.terminate() == 0
    assert hole not in router.mappings()


def test_the_network_command_names_what_the_router_offers(lab: Lab) -> None:
    home = lab.home("anna-home", "symmetric")
    machine = home.machine("anna")
    give_miniupnpd(lab, home)
    done = machine.run(*machine.python("-m", "atmosphere", "--json", "network", "--stun", "none"))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["port_mapping"] == {"upnp": True, "nat_pmp": True, "pcp": True}
