"""`init`, `status`, `config`, `stop`, `leave`: the node of this machine."""

from __future__ import annotations

import sys
from typing import Any

import click

from atmosphere.cli import failures
from atmosphere.cli.base import Command
from atmosphere.cli.params import option, server_options
from atmosphere.cli.state import State, pass_state
from atmosphere.errors import AtmosphereError


@click.command(cls=Command)
@click.argument("mesh", required=False)
@option("--name", metavar="NODE", help="This node's name [default: the host's name].")
@option("--force", is_flag=True, help="Forget the mesh that this home has, for good, and make a new one.")
@pass_state
def init(state: State, *, mesh: str | None, name: str | None, force: bool) -> None:
    """Make this machine's identity and a new mesh called MESH."""
    from atmosphere.cli import homes

    made = homes.create(state.home, mesh, name, force=force)
    state.out.document(made)
    state.out.data(f"mesh {made['mesh']['name']} ({made['mesh']['id'][:8]})")
    state.out.data(f"node {made['node']['name']} ({made['node']['id'][:8]})")
    state.out.advise("Next: atmosphere serve")


@click.command(cls=Command)
@option("--check", type=click.Choice(["live", "ready"]), help="Print nothing; only set the exit code.")
@pass_state
def status(state: State, *, check: str | None) -> int:
    """This node, its mesh, where it listens, and the servers it uses."""
    from atmosphere.cli.control import client, messages

    if check:
        return _check(state, check)
    data = client.call(state.home, messages.Status())
    state.out.document(data)
    if not state.json:
        _show_status(state, data)
    return failures.DONE


def _check(state: State, what: str) -> int:
    from atmosphere.cli.control import client, messages

    try:
        data = client.call(state.home, messages.Status(), timeout=5.0)
    except AtmosphereError as error:
        return failures.exit_code(error)
    return failures.DONE if what == "live" or data["ready"] else failures.FAILED


def _show_status(state: State, data: Any) -> None:
    from atmosphere.cli import units
    from atmosphere.cli.output import printable

    mesh, counts = data["mesh"], data["peers"]
    lines = [
        ("node", f"{data['node']['name']} ({data['node']['id'][:8]}), version {data['version']}"),
        ("mesh", _mesh(mesh, data["role"]) if mesh else "none: join one with a code"),
        ("listening", ", ".join(data["addresses"]) or f"port {data['port']}"),
        ("candidates", ", ".join(data["candidates"]) or "none"),
        *_network(data.get("network")),
        ("peers", ", ".join(f"{count} {what}" for what, count in counts.items()) or "none"),
        ("relay", _relay(data["relay"])),
        ("up for", units.duration(data["uptime"])),
    ]
    for name, text in lines:
        state.out.data(f"{name + ':':<12}{printable(text)}")
    for server in data["servers"]:
        state.out.data(f"{'server:':<12}{printable(server_line(server))}")
    if data.get("advice"):
        state.out.advise(printable(data["advice"]))


_ROUTER = {
    "open": "opened a port for this node",
    "beyond": "opened a port for this node, but one more NAT stands before it",
    "none": "opens no port when asked (UPnP, NAT-PMP, PCP)",
    "off": "is not asked for a port (--no-port-mapping)",
}


_POLICY = {
    "direct": "only direct ones (--path-policy direct): no relay is ever used",
    "relay": "only relayed ones (--path-policy relay): peers do not learn this machine's address",
}


def _network(network: Any) -> list[tuple[str, str]]:
    """What stands between this node and the others, as far as it is known."""
    if not network:
        return []
    router, policy = _ROUTER.get(network["port_mapping"]), _POLICY.get(network["policy"])
    lines = [("network", network["words"]), ("router", router), ("paths", policy)]
    return [(name, text) for name, text in lines if text]


def _mesh(mesh: Any, role: str | None) -> str:
    named = f"{mesh['name']} ({mesh['id'][:8]})"
    if role in (None, "none"):
        return f"{named}, but this node is no member any more: join with a new code, or `atmosphere leave`"
    return f"{named}, as {role}"


def _relay(relay: Any) -> str:
    """What this node does for others: `for members at turn:198.51.100.7:7777, 2 allocations, 12.4 MB`."""
    from atmosphere.cli import units

    if not relay["offered"]:
        return f"none for members: {relay['reason']}"
    count = relay["allocations"]
    used = f"{count} allocation{'' if count == 1 else 's'}, {units.size(relay['bytes'])}"
    return f"for members at {', '.join(relay['uris'])}, {used}"


def server_line(server: Any) -> str:
    """A server and how it does: `stun:198.51.100.7:3478 ok, 12 ms`."""
    from atmosphere.cli import units

    took = f", {units.milliseconds(server['rtt_ms'])}" if server.get("rtt_ms") is not None else ""
    how = f"ok{took}" if server["ok"] else f"failed: {server.get('error') or 'no answer'}"
    return f"{server['uri']} {how}"


@click.command(cls=Command)
@server_options
@click.pass_context
def config(ctx: click.Context, /, **_: Any) -> None:
    """Every setting of the node and where its value came from.

    Of the running node where there is one, else as `atmosphere serve` with the same options would start it now.
    """
    from atmosphere.cli.gather import node_options

    state: State = ctx.obj
    settings = _running_settings(state) or node_options(ctx).public()
    state.out.document({"home": str(state.home), "settings": settings})
    rows = [[name, _written(entry["value"]), entry["origin"]] for name, entry in settings.items()]
    state.out.table(("Setting", "Value", "From"), [["home", str(state.home), ""], *rows])


def _running_settings(state: State) -> Any:
    from atmosphere.cli.control import client, messages
    from atmosphere.errors import NotRunning

    try:
        return client.call(state.home, messages.Config())
    except NotRunning:
        return None


def _written(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(value) or "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else str(value)


@click.command(cls=Command)
@pass_state
def stop(state: State) -> None:
    """End the background node; returns when it has ended."""
    from atmosphere.cli.control import client, messages

    result = client.call(state.home, messages.Stop())
    state.out.document(result)
    state.out.data(f"stopped {result['stopped']['name']}")


@click.command(cls=Command)
@option("--yes", is_flag=True, help="Do not ask.")
@pass_state
def leave(state: State, *, yes: bool) -> None:
    """Leave the mesh and forget it; the node ends."""
    from atmosphere.cli import homes
    from atmosphere.cli.control import client, messages
    from atmosphere.errors import NotRunning

    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("leaving cannot be undone; say --yes")
        click.confirm("Leave the mesh and forget it? This cannot be undone", abort=True, err=True)
    try:
        result = client.call(state.home, messages.Leave())
    except NotRunning:
        result = homes.leave(state.home)
    state.out.document(result)
    state.out.data(f"left {result['left']['name']}" if result["left"] else "this home is in no mesh")
