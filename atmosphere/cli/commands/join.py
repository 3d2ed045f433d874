"""`atmosphere join`: a join code for another machine, or joining with one; and `accept`, its end without any server."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from atmosphere.cli.base import Command
from atmosphere.cli.gather import node_options
from atmosphere.cli.params import DURATION, option, read_secret, server_options
from atmosphere.cli.state import State, pass_state

if TYPE_CHECKING:
    from atmosphere.cli.daemon.options import NodeOptions
    from atmosphere.joincode import JoinCode


@click.command(cls=Command)
@click.argument("code", nargs=-1, envvar="ATMOSPHERE_CODE")
@option("--expires", type=DURATION, default="1h", show_default=True, help="How long the new code lives.")
@option("--uses", type=click.IntRange(1, 100_000), default=1, show_default=True, help="How many machines may use it.")
@option("--qr", is_flag=True, help="Draw the new code in the terminal.")
@option("--foreground", is_flag=True, help="With CODE: stay, as `serve` does.")
@option("--manual", is_flag=True, help="With CODE: no server at all; prints a reply code for `atmosphere accept`.")
@option("--timeout", type=DURATION, default="45s", show_default=True, help="With CODE: how long to try.")
@server_options
@click.pass_context
def join(ctx: click.Context, /, *, code: tuple[str, ...], **params: Any) -> None:
    """Without CODE: print a join code for another machine. With CODE: join that machine's mesh, and stay in it.

    CODE may hold spaces, dashes and line breaks; `-` reads it from stdin, `@FILE` from a file. ATMOSPHERE_CODE in the
    environment stands for it too.
    """
    state: State = ctx.obj
    text = " ".join(code)
    if not text:
        _invite(state, **{name: params[name] for name in ("expires", "uses", "qr")})
        return
    from atmosphere.joincode import JoinCode

    try:
        parsed = JoinCode.parse(read_secret(text), time.time())
    except (OSError, UnicodeDecodeError) as error:
        raise click.BadParameter(f"the code cannot be read: {error}", ctx) from error
    _join(state, parsed, node_options(ctx), **{name: params[name] for name in ("foreground", "manual", "timeout")})


def _invite(state: State, *, expires: float, uses: int, qr: bool) -> None:
    """A join code from the running node: the code alone on stdout, advice on stderr."""
    from atmosphere.cli import units
    from atmosphere.cli.control import client, messages

    result = client.call(state.home, messages.Invite(uses, expires))
    state.out.document(result)
    state.out.data(result["code"])
    if qr:
        _draw(state, result["code"])
    machines = "one machine" if uses == 1 else f"{uses} machines"
    state.out.advise(f"On the other side: atmosphere join {result['code']}")
    state.out.advise(f"It works for {units.duration(expires)}, for {machines}.")


def _draw(state: State, code: str) -> None:
    import sys

    import segno

    # Upper case without separators is QR's compact alphanumeric mode; the code forgives case.
    segno.make(code.replace("-", "").upper(), error="l", micro=False).terminal(out=sys.stderr, compact=True)


def _join(
    state: State, code: JoinCode, options: NodeOptions, *, foreground: bool, manual: bool, timeout: float
) -> None:
    """Join the mesh of `code` with the running node, or with one that is started for it and stays."""
    from atmosphere.cli import homes, joining
    from atmosphere.cli.control import messages

    homes.refuse_foreign(state.home, code)
    options.any_port = options.origins.get("port") == "default"
    request = messages.Join(str(code), name=options.name, manual=manual, timeout=timeout)
    if foreground:
        joining.in_foreground(state, request, options)
    else:
        joining.in_background(state, request, options)


@click.command(cls=Command)
@click.argument("reply", nargs=-1, required=True)
@pass_state
def accept(state: State, *, reply: tuple[str, ...]) -> None:
    """Complete a join by hand with the REPLY code that `atmosphere join CODE --manual` printed on the other side."""
    from atmosphere.cli import joining
    from atmosphere.cli.control import client, messages

    try:
        text = read_secret(" ".join(reply))
    except (OSError, UnicodeDecodeError) as error:
        raise click.BadParameter(f"the reply cannot be read: {error}") from error
    result = client.call(state.home, messages.Accept(text), timeout=joining.ACCEPT_TIMEOUT)
    joining.show(state, result)
