"""The `atmosphere` command: its table of commands and the flags that all of them share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from atmosphere.cli.base import Entry, LazyGroup, Option
from atmosphere.cli.state import State

_NODE, _PEOPLE, _LOOK, _USE, _SERVE = "The node", "Members", "Looking at the network", "Using it", "Servers"
_HERE = "atmosphere.cli.commands"

ENTRIES = {
    "init": Entry(f"{_HERE}.node", "init", "Make this machine's identity and a new mesh.", _NODE),
    "serve": Entry(f"{_HERE}.serve", "serve", "Run the node.", _NODE),
    "join": Entry(f"{_HERE}.join", "join", "Get a join code for another machine, or join with one.", _NODE),
    "accept": Entry(f"{_HERE}.join", "accept", "Complete a join by hand, without any server.", _NODE),
    "status": Entry(f"{_HERE}.node", "status", "This node, its mesh, listeners and servers.", _NODE),
    "config": Entry(f"{_HERE}.node", "config", "Every setting and where its value came from.", _NODE),
    "stop": Entry(f"{_HERE}.node", "stop", "End the background node.", _NODE),
    "leave": Entry(f"{_HERE}.node", "leave", "Leave the mesh and forget it.", _NODE),
    "peers": Entry(f"{_HERE}.members", "peers", "The members and how each one is reached.", _PEOPLE),
    "invites": Entry(f"{_HERE}.members", "invites", "Outstanding join codes; revoke one.", _PEOPLE),
    "remove": Entry(f"{_HERE}.members", "remove", "Revoke a member's membership everywhere.", _PEOPLE),
    "promote": Entry(f"{_HERE}.members", "promote", "Let a member invite and remove others.", _PEOPLE),
    "network": Entry(f"{_HERE}.network", "network", "Public address, NAT behaviour and what to expect of it.", _LOOK),
    "ping": Entry(f"{_HERE}.look", "ping", "Reach a peer, and by which route.", _LOOK),
    "explain": Entry(f"{_HERE}.look", "explain", "Why this path to a peer and not a better one.", _LOOK),
    "bench": Entry(f"{_HERE}.look", "bench", "Measure the throughput to a peer.", _LOOK),
    "send": Entry(f"{_HERE}.send", "send", "Send files and folders into a peer's inbox.", _USE),
    "relay": Entry(f"{_HERE}.relay", "relay", "Run the public helper: signaling, STUN and TURN on one port.", _SERVE),
}

_EPILOG = """Every option can also be set as ATMOSPHERE_<OPTION> in the environment and in config.toml in the home.

Shell completion: eval "$(_ATMOSPHERE_COMPLETE=bash_source atmosphere)" (or zsh_source, fish_source)."""


def _show_version(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"atmosphere {version('atmosphere-mesh')}")
        ctx.exit()


@click.group(
    cls=LazyGroup,
    entries=ENTRIES,
    epilog=_EPILOG,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.option("--json", is_flag=True, cls=Option, help="Print one JSON document on stdout.")
@click.option(
    "--home", type=click.Path(file_okay=False, path_type=Path), cls=Option, metavar="DIR", help="The state folder."
)
@click.option("--debug", is_flag=True, cls=Option, help="Show debug logs and tracebacks on stderr.")
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Show the version."
)
@click.pass_context
def atmosphere(ctx: click.Context, /, **flags: Any) -> None:
    """Connect your machines across any networks with one join code: encrypted and peer to peer."""
    ctx.obj = State(**flags)
    ctx.default_map = ctx.obj.defaults(ENTRIES)
