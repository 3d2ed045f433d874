"""`ping`, `explain`, `bench`: how a peer is reached, why, and how fast."""

from __future__ import annotations

from typing import Any

import click

from atmosphere.cli import units
from atmosphere.cli.base import Command
from atmosphere.cli.params import DURATION, PEER, SecondsType, option
from atmosphere.cli.state import State, pass_state
from atmosphere.errors import Unreachable

PONG_TIMEOUT = 5.0
UNTIL_DIRECT = 60.0
"""Seconds that `ping --until-direct` goes on unless it is told otherwise."""


@click.command(cls=Command)
@click.argument("peer", type=PEER)
@option("-c", "--count", type=click.IntRange(0), default=None, help="How many times; 0: until Ctrl-C [default: 4].")
@option("--until-direct", is_flag=True, help="Go on until a pong came over a direct path.")
@option(
    "--timeout",
    type=DURATION,
    default=None,
    help="How long to wait for each pong [default: 5s]; with --until-direct, for all [default: 60s].",
)
@option("--interval", type=DURATION, default="1s", show_default=True, help="The time between two pings.")
@pass_state
def ping(
    state: State, *, peer: str, count: int | None, until_direct: bool, timeout: float | None, interval: float
) -> None:
    """Reach PEER: one line a pong, with its route and time."""
    from atmosphere.cli.control import messages

    if until_direct:
        limit = None if count is not None and timeout is None else timeout or UNTIL_DIRECT
        request = messages.Ping(peer, count or 0, PONG_TIMEOUT, interval, True, limit)
    else:
        request = messages.Ping(peer, 4 if count is None else count, timeout or PONG_TIMEOUT, interval)
    with state.control() as control:
        silence = request.timeout + interval + 10
        result = control.call(request, lambda pong: _show_pong(state, pong), timeout=silence)
    state.out.document(result)
    _show_spread(state, result)
    _judge(state, request, result)


def _judge(state: State, request: Any, result: Any) -> None:
    """Fail where nobody answered, or nobody directly: with why, and what would help."""
    from atmosphere.cli.control import client, messages

    direct = result["received"] and (result["path"] or {}).get("kind") == "direct"
    if direct or (result["received"] and not request.until_direct):
        return
    name, hint = result["peer"], f"atmosphere explain {request.peer}"
    if not request.until_direct:
        raise Unreachable(f"{name} did not answer", hint=hint)
    found = client.call(state.home, messages.Explain(request.peer))
    how = "answers, but not directly" if result["received"] else "did not answer"
    raise Unreachable(f"{name} {how}: {found['why']}", hint=found["advice"] or hint)


def _show_pong(state: State, pong: Any) -> None:
    from atmosphere.cli.output import printable

    peer = printable(pong["peer"])
    if pong["rtt_ms"] is None:
        state.out.data(f"no pong from {peer} ({pong['number']})")
    else:
        state.out.data(f"pong from {peer} {pong['route']} in {units.milliseconds(pong['rtt_ms'])}")


def _show_spread(state: State, result: Any) -> None:
    if state.json:
        return
    text = f"{result['sent']} sent, {result['received']} received"
    if spread := result["rtt_ms"]:
        text += ", " + ", ".join(f"{name} {units.milliseconds(spread[name])}" for name in ("min", "avg", "max"))
    state.out.advise(text)


@click.command(cls=Command)
@click.argument("peer", type=PEER)
@pass_state
def explain(state: State, *, peer: str) -> None:
    """Why this path to PEER and not a better one."""
    from atmosphere.cli import explanation
    from atmosphere.cli.control import client, messages

    data = client.call(state.home, messages.Explain(peer))
    state.out.document(data)
    for line in explanation.lines(data):
        state.out.data(line)


@click.command(cls=Command)
@click.argument("peer", type=PEER)
@option("--seconds", type=SecondsType(0.1, 600), default=5.0, show_default=True, help="How long to send.")
@option("--reverse", is_flag=True, help="Let the peer send.")
@option("--streams", type=click.IntRange(1, 64), default=1, show_default=True, help="Streams at once.")
@pass_state
def bench(state: State, *, peer: str, seconds: float, reverse: bool, streams: int) -> None:
    """Measure the throughput to PEER over the mesh."""
    import msgspec

    from atmosphere.cli import render
    from atmosphere.cli.control import client, messages
    from atmosphere.cli.live import Meter
    from atmosphere.mesh.info import PathInfo

    with Meter(state.out, f"{'from' if reverse else 'to'} {peer}") as meter:
        result = client.call(
            state.home,
            messages.Bench(peer, seconds, reverse, streams),
            progress=lambda data: meter.update(data["bytes"], data["seconds"]),
            timeout=seconds + 60,
        )
    path = msgspec.convert(result["path"], PathInfo | None)
    moved = f"{units.size(result['bytes'])} in {result['seconds']:.1f} s"
    state.out.document(result)
    state.out.data(f"{units.rate(result['mb_per_s'] * 1e6)} ({moved}), {render.route(path)}")
