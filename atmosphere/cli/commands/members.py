"""`peers`, `invites`, `remove`, `promote`: who belongs to the mesh."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NoReturn

import click

from atmosphere.cli import units
from atmosphere.cli.base import Command
from atmosphere.cli.params import PEER, option
from atmosphere.cli.state import State, pass_state
from atmosphere.errors import NotRunning

if TYPE_CHECKING:
    from atmosphere.cli.control.client import ControlClient


@click.command(cls=Command)
@option("--watch", is_flag=True, help="Keep showing them, until Ctrl-C.")
@pass_state
def peers(state: State, *, watch: bool) -> None:
    """The members of the mesh and how each one is reached."""
    from atmosphere.cli.control import messages

    with state.control() as control:
        if not watch:
            _show(state, control.call(messages.Peers()))
            return
        try:
            _watch(state, control)
        except KeyboardInterrupt:
            return  # it is what ends a watch


def _peers(data: Any) -> list[Any]:
    import msgspec

    from atmosphere.mesh.info import PeerInfo

    return msgspec.convert(data, list[PeerInfo])


def _show(state: State, data: Any) -> None:
    from atmosphere.cli import render

    state.out.document(data)
    state.out.table(render.PEER_COLUMNS, render.peer_rows(_peers(data)))
    if not data and not state.json:
        state.out.advise("nobody else is in this mesh yet: `atmosphere join` makes a code for another machine")


def _watch(state: State, control: ControlClient) -> NoReturn:
    """Show the peers until the node stops, which is an error, or the user has seen enough."""
    from atmosphere.cli import watching
    from atmosphere.cli.control import messages

    # Round-trip times and bytes change without an event; only a table that redraws itself shows them all the time.
    request = messages.Watch() if state.out.fancy else messages.Watch(interval=5.0, figures=False)
    replies = control.replies(request)
    watching.show(state.out, (_peers(reply.data) for reply in replies if isinstance(reply, messages.Progress)))
    raise NotRunning("the node has stopped", hint="atmosphere serve --detach")


@click.group(cls=click.Group, invoke_without_command=True)
@click.option("--json", is_flag=True, hidden=True)
@click.pass_context
def invites(ctx: click.Context, *, json: bool) -> None:
    """Outstanding join codes; `invites revoke ID` makes one worthless."""
    state: State = ctx.obj
    state.json = state.json or json
    if ctx.invoked_subcommand is None:
        from atmosphere.cli.control import client, messages

        _show_invites(state, client.call(state.home, messages.Invites()))


def _show_invites(state: State, data: Any) -> None:
    state.out.document(data)
    now = time.time()
    rows = [
        [entry["id"], f"{entry['used']} of {entry['uses']}", units.duration(entry["expires_at"] - now)]
        for entry in data
    ]
    state.out.table(("Id", "Used", "Ends in"), rows)
    if not rows and not state.json:
        state.out.advise("no join code is outstanding: `atmosphere join` makes one")


@invites.command(cls=Command)
@click.argument("invite_id", metavar="ID")
@pass_state
def revoke(state: State, *, invite_id: str) -> None:
    """Make a join code worthless; ID may be shortened."""
    from atmosphere.cli.control import client, messages

    result = client.call(state.home, messages.Revoke(invite_id))
    state.out.document(result)
    state.out.data(f"revoked {result['revoked']}")


@click.command(cls=Command)
@click.argument("peer", type=PEER)
@pass_state
def remove(state: State, *, peer: str) -> None:
    """Revoke the membership of PEER everywhere: it can reach nobody of the mesh again."""
    from atmosphere.cli.control import client, messages

    result = client.call(state.home, messages.Remove(peer))
    state.out.document(result)
    state.out.data(f"removed {result['removed']['name']} ({result['removed']['id'][:8]})")


@click.command(cls=Command)
@click.argument("peer", type=PEER)
@pass_state
def promote(state: State, *, peer: str) -> None:
    """Let PEER invite and remove others."""
    from atmosphere.cli.control import client, messages

    result = client.call(state.home, messages.Promote(peer))
    state.out.document(result)
    state.out.data(f"{result['promoted']['name']} may now invite and remove others")
