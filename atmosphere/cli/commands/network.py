"""`atmosphere network`: what this machine's network is like. Needs no node and no mesh."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from atmosphere.cli import units
from atmosphere.cli.base import Command
from atmosphere.cli.params import DURATION, SECRET, option
from atmosphere.cli.state import State, pass_state

if TYPE_CHECKING:
    from atmosphere.network.info import NetworkInfo, PublicAddress, ServerInfo


@click.command(cls=Command)
@option(
    "--stun", multiple=True, metavar="URI", help="A STUN server instead of the defaults, or `none`; may be repeated."
)
@option("--turn", multiple=True, type=SECRET, metavar="URI", help="A TURN server to try as well; may be repeated.")
@option(
    "--signaling",
    multiple=True,
    type=SECRET,
    metavar="URL",
    help="A signaling server to ask as well: tells whether a captive portal is in the way; may be repeated.",
)
@option("--no-port-mapping", is_flag=True, help="Do not ask the router whether it maps ports.")
@option("--timeout", type=DURATION, default="3s", show_default=True, help="How long to wait for answers.")
@option("--lifetime", type=DURATION, metavar="TIME", help="Try how long the router remembers, up to so long (5m).")
@pass_state
def network(
    state: State,
    *,
    stun: tuple[str, ...],
    turn: tuple[str, ...],
    signaling: tuple[str, ...],
    no_port_mapping: bool,
    timeout: float,
    lifetime: float | None,
) -> None:
    """Local addresses, the public address of each family, the NAT, port mapping, servers, and what to expect."""
    import asyncio

    from atmosphere.cli.gather import check_servers
    from atmosphere.network.gather import gather_network_info
    from atmosphere.stun.defaults import DEFAULT_STUN_SERVERS

    check_servers(stun, turn, signaling)
    servers = [uri for uri in stun if uri != "none"] if stun else DEFAULT_STUN_SERVERS
    info = asyncio.run(
        gather_network_info(
            servers,
            turn,
            signaling,
            timeout=timeout,
            port_mapping=not no_port_mapping,
            lifetime=lifetime or 0.0,
        )
    )
    state.out.document(info)
    for line in lines(info):
        state.out.data(line)


def lines(info: NetworkInfo) -> list[str]:
    """Everything for people, the sentence on what to expect last."""
    mapping, nat = info.port_mapping, info.nat
    answers = {"UPnP": mapping.upnp, "NAT-PMP": mapping.nat_pmp, "PCP": mapping.pcp}
    rows = [
        *(("interface", f"{item.name} {item.address}") for item in info.interfaces),
        ("public IPv4", _public(info.public.ipv4)),
        ("public IPv6", _public_ipv6(info)),
        (
            "NAT",
            f"{nat.type}: mapping {nat.mapping}, filtering {nat.filtering}, hairpinning {_yes_no(nat.hairpinning)}",
        ),
        ("remembers", _lifetime(nat.mapping_lifetime_s)),
        ("port mapping", ", ".join(f"{name} {_yes_no(answer)}" for name, answer in answers.items())),
        *(("server", _server(item)) for item in info.servers),
        ("internet", _yes_no(info.internet) + (", behind a captive portal" if info.captive_portal else "")),
    ]
    return [*(f"{name + ':':<14}{text}" for name, text in rows), "", info.summary]


def _public(address: PublicAddress | None) -> str:
    return units.endpoint(address.ip, address.port) if address else "none seen"


def _public_ipv6(info: NetworkInfo) -> str:
    """IPv6 has no NAT as a rule, so a global address without an answer is worth a word."""
    from atmosphere.udp.address_class import address_class

    everywhere = [one for one in info.interfaces if one.family == 6 and address_class(one.address) != "private"]
    if info.public.ipv6 is None and everywhere:
        return "none seen: no server answers over it"
    return _public(info.public.ipv6)


def _lifetime(seconds: float | None) -> str:
    if seconds is None:
        return "unknown how long (--lifetime 5m tries it)"
    if not seconds:
        return "a silent mapping hardly at all"
    return f"a silent mapping for {units.duration(seconds)} at the least"


def _yes_no(answer: bool | None) -> str:
    return "unknown" if answer is None else "yes" if answer else "no"


def _server(server: ServerInfo) -> str:
    if not server.ok:
        return f"{server.uri} failed: {server.error or 'no answer'}"
    return f"{server.uri} ok" + ("" if server.rtt_ms is None else f", {units.milliseconds(server.rtt_ms)}")
