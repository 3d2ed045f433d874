"""`atmosphere serve`: the node, in the foreground or in the background."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from atmosphere.cli.base import Command
from atmosphere.cli.gather import node_options
from atmosphere.cli.params import option, server_options
from atmosphere.cli.state import State

if TYPE_CHECKING:
    from atmosphere.cli.daemon.options import NodeOptions, Ready


@click.command(cls=Command)
@server_options
@option("--detach", is_flag=True, help="Run in the background; the log is node.log in the home.")
@click.pass_context
def serve(ctx: click.Context, /, *, detach: bool, **_: Any) -> None:
    """Run the node until Ctrl-C or `atmosphere stop`.

    A home that is not initialised yet gets an identity and a mesh called after this machine. One port carries
    everything: UDP for ICE, STUN and TURN, TCP for HTTP and WebSockets. Prints a line that starts with READY once it
    listens.
    """
    from atmosphere.cli import homes

    state: State = ctx.obj
    options = node_options(ctx)
    homes.ensure_mesh(state.home, options.name)
    if detach:
        from atmosphere.cli.daemon import background

        announce(state, background.start(state.home, options))
    else:
        run_in_foreground(state, options)


def run_in_foreground(state: State, options: NodeOptions) -> None:
    """Run the node in this process until a signal or `stop`."""
    from atmosphere.cli.daemon import logs, run

    logs.to_stderr(options.log_level)
    run.serve(state.home, options, lambda ready: announce(state, ready))


def announce(state: State, ready: Ready) -> None:
    """The READY line, or its JSON."""
    state.out.data(ready.line())
    state.out.document(ready.document())
