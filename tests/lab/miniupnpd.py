"""miniupnpd on a household's router: the real PCP, NAT-PMP and UPnP that many home routers run.

It refuses to work behind an outer address of the documentation ranges, which the rest of the laboratory has, so such a
household gets another one. Nothing of it ever leaves the namespaces.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.lab.processes import Program, command_in
from tests.lab.topology import PUBLIC, Home, Lab, run_in

ELSEWHERE = "11.0.0"
"""A /24 that counts as public everywhere; the households with a miniupnpd are in it."""

_TABLES = """
table inet filter {
    chain forward {
        type filter hook forward priority filter; policy accept;
        meta nfproto ipv4 accept
        iifname "lan" accept
        ct state established,related accept
        meta l4proto ipv6-icmp accept
        jump miniupnpd
        drop
    }
    chain miniupnpd { }
    chain before {
        type nat hook prerouting priority dstnat - 1; policy accept;
        jump prerouting_miniupnpd
    }
    chain prerouting_miniupnpd { }
    chain after {
        type nat hook postrouting priority srcnat + 1; policy accept;
        jump postrouting_miniupnpd
    }
    chain postrouting_miniupnpd { }
}
"""

_FIRST_BYTE = {"pcp": "2", "nat-pmp": "0"}
"""Of their requests, which share a port."""


@dataclass
class Router:
    """A household's miniupnpd: `only` the given protocols are answered; `outside` is the household's outer address."""

    lab: Lab
    home: Home
    outside: str
    only: frozenset[str]
    settings: tuple[str, ...] = ()
    program: Program | None = field(default=None, repr=False)

    def start(self) -> None:
        """Run it, also again after `restart`."""
        folder = self.lab.folder / f"{self.home.name}-miniupnpd"
        folder.mkdir(exist_ok=True)
        lines = [
            "ext_ifname=wan",
            "ext_ifname6=wan",
            "listening_ip=lan",
            f"enable_upnp={'yes' if 'upnp' in self.only else 'no'}",
            f"enable_natpmp={'yes' if self.only & {'pcp', 'nat-pmp'} else 'no'}",
            "uuid=00000000-0000-4000-8000-000000000001",
            "secure_mode=yes",
            "notify_interval=60",
            *self.settings,
            "allow 1024-65535 0.0.0.0/0 1024-65535",
        ]
        (folder / "miniupnpd.conf").write_text("\n".join(lines) + "\n")
        command = ["miniupnpd", "-d", "-f", f"{folder}/miniupnpd.conf", "-P", f"{folder}/pid"]
        self.program = Program(f"[{self.home.name}] miniupnpd", command_in(self.home.namespace, command), {})
        self.lab.machines[0].programs.append(self.program)  # so it is reported, and ends with the laboratory
        self.program.wait_for("HTTP listening" if "upnp" in self.only else "Listening for NAT-PMP")

    def restart(self) -> None:
        """A power cut of the router: its mappings and flows are gone when it is back."""
        assert self.program is not None
        self.program.kill()
        for chain in ("miniupnpd", "prerouting_miniupnpd", "postrouting_miniupnpd"):
            run_in(self.home.namespace, "nft", "flush", "chain", "inet", "filter", chain)
        self.home.forget_flows()
        self.start()

    def mappings(self) -> str:
        """The rules that it has made, for a person and for `in`."""
        done = subprocess.run(
            command_in(self.home.namespace, ["nft", "list", "table", "inet", "filter"]),
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
        return "\n".join(line for line in done.stdout.splitlines() if "dnat" in line or "th dport" in line)


def give_miniupnpd(lab: Lab, home: Home, *settings: str, only: Iterable[str] = ("pcp", "nat-pmp", "upnp")) -> Router:
    """Run miniupnpd on a household's router, with a new outer address.

    Other households and machines need `reach_elsewhere`; one machine at least has to be there already.
    """
    outside = f"{ELSEWHERE}.{home.outside.rpartition('.')[2]}"
    namespace = home.namespace
    run_in(namespace, "ip", "address", "add", f"{outside}/24", "dev", "wan")
    run_in(namespace, "ip", "address", "del", f"{home.outside}/24", "dev", "wan")
    run_in(namespace, "ip", "route", "replace", f"{PUBLIC}.0/24", "dev", "wan", "src", outside)
    run_in(lab.segment, "ip", "route", "replace", f"{ELSEWHERE}.0/24", "dev", "br0")
    run_in(namespace, "nft", "-f", "-", feed=_TABLES)
    router = Router(lab, home, outside, frozenset(only), settings)
    for other in {"pcp", "nat-pmp"} - router.only:
        rule = ["udp", "dport", "5351", "@th,64,8", _FIRST_BYTE[other], "drop"]
        run_in(namespace, "nft", "insert", "rule", "ip", "home", "itself", *rule)
    router.start()
    return router


def reach_elsewhere(namespace: str, card: str = "wan") -> None:
    """Let a router (or, with card "eth0", a public machine) reach the households that have a miniupnpd."""
    run_in(namespace, "ip", "route", "replace", f"{ELSEWHERE}.0/24", "dev", card)
