"""What a home router does to UDP, as nftables rules; the kinds carry their everyday names (RFC 4787 terms beside them).

A router that let stray packets reach itself would remember them as flows of its own, and the household's next packet to
that same address would then have to take another port: the mapping would change under the hole punch. Home routers drop
strays before that, and so do these: the input chain drops whatever nobody inside asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from tests.lab.translation import Dependence, NatKind

if TYPE_CHECKING:
    from typing_extensions import TypeIs

Kind = Literal[
    "port-restricted", "restricted-cone", "full-cone", "symmetric", "udp-blocked", "only-https", "only-proxy"
]
"""What nftables does."""

UserKind = Literal["sequential", "address-symmetric", "open-symmetric"]
"""What `tests.lab.usernat` does."""

PROXY_PORT = 3128
"""The one port that "only-proxy" lets out; "only-https" lets out TLS to port 443, and nothing else."""

KINDS: dict[Kind, tuple[Dependence, Dependence]] = {
    "port-restricted": ("endpoint-independent", "address-and-port-dependent"),
    "restricted-cone": ("endpoint-independent", "address-dependent"),
    "full-cone": ("endpoint-independent", "endpoint-independent"),
    "symmetric": ("address-and-port-dependent", "address-and-port-dependent"),
}
"""Kind → its mapping and filtering behaviour, of those that nftables does (all but the last preserve the port)."""

IN_USER_SPACE: dict[UserKind, NatKind] = {
    "sequential": NatKind.parse("APD-APD-sequential"),
    "address-symmetric": NatKind.parse("AD-APD-random"),
    "open-symmetric": NatKind.parse("APD-EI-random"),
}
"""Name → behaviour of those in user space, which does any other `NatKind` too; those need no name."""


def in_user_space(kind: Kind | UserKind) -> TypeIs[UserKind]:
    """Whether it is one of `IN_USER_SPACE`."""
    return kind in IN_USER_SPACE


_BASE = """
table ip home {{
    {state}
    chain before {{
        type nat hook prerouting priority dstnat; policy accept;
        {inward}
    }}
    chain after {{
        type nat hook postrouting priority srcnat; policy accept;
        oifname "wan" {masquerade}
    }}
    chain through {{
        type filter hook forward priority filter; policy drop;
        {remember}
        {refuse}
        iifname "lan" accept
        ct state established,related accept
        ct status dnat accept
    }}
    chain itself {{
        type filter hook input priority filter; policy drop;
        iifname != "wan" accept
        ct state established,related accept
        icmp type echo-request accept
    }}
}}
"""

_DIVERT = """
table ip home
flush table ip home
table ip home {{
    chain before {{
        type filter hook prerouting priority mangle; policy accept;
        iifname "lan" ip daddr != {inside}.0/24 ip daddr < 224.0.0.0 meta mark set 1
        iifname "wan" ip daddr {outside} icmp type echo-request accept
        iifname "wan" ip daddr {outside} meta mark set 2
    }}
    chain through {{
        type filter hook forward priority filter; policy drop;
        iifname "lan" oifname "inside" accept
        iifname "wan" oifname "outside" accept
        iifname "inside" oifname "lan" accept
        iifname "outside" oifname "wan" accept
    }}
    chain itself {{
        type filter hook input priority filter; policy drop;
        iifname != "wan" accept
        icmp type echo-request accept
    }}
}}
"""

_FULL_CONE = {
    "state": "map open { type inet_service : ipv4_addr; flags timeout; timeout 120s; size 65535; }",
    "remember": 'iifname "lan" oifname "wan" ip protocol udp update @open { udp sport : ip saddr }',
    "inward": 'iifname "wan" ip protocol udp dnat to udp dport map @open',
}
_RESTRICTED_CONE = {
    "state": "map open { type ipv4_addr . inet_service : ipv4_addr; flags timeout; timeout 120s; size 65535; }",
    "remember": 'iifname "lan" oifname "wan" ip protocol udp update @open { ip daddr . udp sport : ip saddr }',
    "inward": 'iifname "wan" ip protocol udp dnat to ip saddr . udp dport map @open',
}
# The third packet of a connection is the first with something in it, and that is a TLS handshake or nothing.
_REFUSED: dict[Kind, str] = {
    "udp-blocked": "ip protocol udp drop",
    "only-https": """
        iifname "lan" ip protocol != tcp drop
        iifname "lan" tcp dport != 443 drop
        iifname "lan" ct original packets 3 @ih,0,8 != 0x16 ct mark set 1
        ct mark 1 drop
    """,
    "only-proxy": f'iifname "lan" ip protocol != tcp drop; iifname "lan" tcp dport != {PROXY_PORT} drop',
}


def rules(kind: Kind, timeout: int = 120) -> str:
    """The ruleset of a router whose inside is the interface `lan` and whose outside is `wan`.

    `timeout`: seconds until an unused UDP mapping is gone, for what the rules themselves remember.
    """
    parts = {"state": "", "inward": "", "remember": "", "refuse": "", "masquerade": "masquerade"}
    if kind == "symmetric":
        parts["masquerade"] = "masquerade fully-random"
    elif kind == "full-cone":
        parts |= _FULL_CONE
    elif kind == "restricted-cone":
        parts |= _RESTRICTED_CONE
    else:
        parts["refuse"] = _REFUSED.get(kind, "")
    parts["state"] = parts["state"].replace("120s", f"{timeout}s")
    return _BASE.format(**parts)


def divert(outside: str, inside: str) -> str:
    """The ruleset of a router whose NAT is a program between the TUN devices `inside` and `outside`.

    `outside` is its public address and `inside` its private /24 (like "192.168.1"). Marked packets are routed to the
    program; who asks for the router itself (its address inside, an echo from outside) gets the kernel.
    """
    return _DIVERT.format(outside=outside, inside=inside)
