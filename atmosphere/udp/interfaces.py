"""What an interface is, told by its name: kind and quality. Pure.

By name and not by driver: in a container or a network namespace the wired interface is a virtual one named eth0.
"""

from __future__ import annotations

import enum
import re


class Quality(enum.IntEnum):
    """How good a way out an interface is; higher is better."""

    LOOPBACK = 0
    LINK_LOCAL = 1
    TUNNEL = 2
    CELLULAR = 3
    WIFI = 4
    WIRED = 5


_LEFT_OUT = re.compile(
    r"docker|br-[0-9a-f]{12}$|veth[0-9a-f]{6,8}(@|$)|virbr|vmnet|vboxnet|vnet\d|cni|flannel|cali[0-9a-f]|lxc|lxdbr|incusbr"
    r"|podman|cilium|kube-|nerdctl|weave|ifb\d|awdl|llw|anpi|bridge1\d\d$|vethernet \((default switch|wsl)|virtualbox",
    re.IGNORECASE,
)
"""Bridges and cables that lead to containers and virtual machines of this very host (docker's own bridges are
br-<12 hex digits>; a router's br-lan and a host's br0 are real), and Apple's internal links."""

_KINDS: tuple[tuple[re.Pattern[str], Quality], ...] = (
    (re.compile(r"lo\d*$|.*loopback", re.IGNORECASE), Quality.LOOPBACK),
    (
        re.compile(
            r"tun|tap|utun|wg|tailscale|ts\d|zt|ipsec|vpn|ppp|nebula|gre|sit\d|ip6tnl|ipip|teredo|isatap|6to4|gif\d|stf\d"
            r"|nordlynx|proton|.*wireguard|.*openvpn|.*tap-windows|.*wintun|.*vpn",
            re.IGNORECASE,
        ),
        Quality.TUNNEL,
    ),
    (re.compile(r"ww|rmnet|ccmni|pdp_ip|.*cellular|.*mobile", re.IGNORECASE), Quality.CELLULAR),
    (re.compile(r"wl|wifi|ath\d|.*wi-?fi|.*wireless|.*wlan", re.IGNORECASE), Quality.WIFI),
)


def is_left_out(name: str) -> bool:
    """Whether the interface leads only to containers or virtual machines on this host."""
    return _LEFT_OUT.match(name) is not None


def quality_of(name: str) -> Quality:
    """The interface's quality by its name; a name that says nothing counts as wired."""
    return next((quality for pattern, quality in _KINDS if pattern.match(name)), Quality.WIRED)
