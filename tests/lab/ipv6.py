"""IPv6 for households and public machines: prefixes of their own, no translation, and routers that let nobody in."""

from __future__ import annotations

from tests.lab.topology import Home, Lab, Machine, run_in

BACKBONE = "2001:db8::"
"""RFC 3849's documentation prefix: the public segment has its first /64, household N the prefix 2001:db8:N::/64."""

FIREWALL = """
table ip6 home {
    chain through {
        type filter hook forward priority filter; policy drop;
        iifname "lan" accept
        ct state established,related accept
    }
    chain itself {
        type filter hook input priority filter; policy drop;
        iifname != "wan" accept
        ct state established,related accept
        meta l4proto ipv6-icmp accept
    }
}
"""


def give_ipv6(lab: Lab, home: Home, *machines: Machine) -> list[str]:
    """Give a household and its machines IPv6 besides IPv4; the machines' addresses, in their order."""
    number = home.outside.rpartition(".")[2]
    prefix = f"2001:db8:{number}::"
    _open_backbone(lab)
    _enable(home.namespace, forwarding=True)
    run_in(home.namespace, "ip", "-6", "address", "add", f"{BACKBONE}{number}/64", "dev", "wan", "nodad")
    run_in(home.namespace, "ip", "-6", "address", "add", f"{prefix}1/64", "dev", "lan", "nodad")
    run_in(home.namespace, "ip", "-6", "route", "add", "default", "via", f"{BACKBONE}1")
    run_in(home.namespace, "nft", "-f", "-", feed=FIREWALL)
    run_in(lab.segment, "ip", "-6", "route", "add", f"{prefix}/64", "via", f"{BACKBONE}{number}")
    return [_address(machine, prefix, f"{prefix}1") for machine in machines]


def give_public_ipv6(lab: Lab, machine: Machine) -> str:
    """Give a public machine IPv6 besides IPv4; its address."""
    _open_backbone(lab)
    return _address(machine, BACKBONE, f"{BACKBONE}1")


def take_ipv4(machine: Machine) -> None:
    """Leave a machine with IPv6 alone."""
    run_in(machine.namespace, "ip", "-4", "address", "flush", "dev", "eth0")


def _open_backbone(lab: Lab) -> None:
    _enable(lab.segment, forwarding=True)
    run_in(lab.segment, "ip", "-6", "address", "replace", f"{BACKBONE}1/64", "dev", "br0", "nodad")


def _address(machine: Machine, prefix: str, gateway: str) -> str:
    address = prefix + machine.address.rpartition(".")[2]
    _enable(machine.namespace, forwarding=False)
    run_in(machine.namespace, "ip", "-6", "address", "add", f"{address}/64", "dev", "eth0", "nodad")
    run_in(machine.namespace, "ip", "-6", "route", "add", "default", "via", gateway)
    return address


def _enable(namespace: str, *, forwarding: bool) -> None:
    settings = {"all.disable_ipv6": 0, "default.disable_ipv6": 0, "all.accept_ra": 0, "all.forwarding": int(forwarding)}
    run_in(namespace, "sysctl", "-qw", *(f"net.ipv6.conf.{name}={value}" for name, value in settings.items()))
