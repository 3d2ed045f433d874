"""Joining with a code: the node it needs, the route as it happens, and nothing left half-made."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import msgspec

from atmosphere.cli.control import messages
from atmosphere.cli.control.client import ControlClient
from atmosphere.cli.output import printable
from atmosphere.errors import AtmosphereError, NotRunning

if TYPE_CHECKING:
    from atmosphere.cli.daemon.options import NodeOptions, Ready
    from atmosphere.cli.state import State

ACCEPT_TIMEOUT = 60.0
SLACK = 15.0
"""Seconds beyond the join's own time-out before the node counts as hung."""


def in_background(state: State, request: messages.Join, options: NodeOptions) -> None:
    """Join with the running node of the home, or start one that stays; it is stopped again when joining fails."""
    control, started = _node(state, options)
    request.or_stop = started
    try:
        with control:
            show(state, _ask(state, control, request))
    except BaseException:
        if started:
            _stop(state)
        raise


def _node(state: State, options: NodeOptions) -> tuple[ControlClient, bool]:
    """A connection to the home's node, and whether it had to be started."""
    with contextlib.suppress(NotRunning):
        control = state.control()
        if "command line" in options.origins.values():
            state.out.advise("the node of this home runs already, with the settings that it was started with")
        return control, False
    from atmosphere.cli.daemon import background

    ready = background.start(state.home, options)
    if ready.port != options.port and options.port:
        state.out.advise(f"port {options.port} is in use; this node listens on {ready.port}")
    return state.control(), True


def _stop(state: State) -> None:
    """Wait until the node that was started in vain has ended."""
    with contextlib.suppress(AtmosphereError, OSError), state.control() as control:
        control.call(messages.Stop())


def _ask(state: State, control: ControlClient, request: messages.Join) -> Any:
    line = RouteLine(state)
    timeout = None if request.manual else request.timeout + SLACK
    try:
        return control.call(request, line.step, timeout=timeout)
    finally:
        line.end()


class RouteLine:
    """The route as it happens: `signalling … → relayed via … → direct …`, one growing line on a terminal."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._steps = 0

    def step(self, data: Any) -> None:
        """Show one more step; a reply code goes to stdout, for it is what the user has to carry."""
        if isinstance(data, dict) and "reply" in data:
            self._state.out.advise("Carry this reply to the other side, and there: atmosphere accept REPLY")
            if self._state.json:
                self._state.out.advise(data["reply"])
            self._state.out.data(data["reply"])
            return
        import sys

        text = printable(str(data))
        if not self._state.out.lively:
            self._state.out.advise(text if not self._steps else f"→ {text}")
        else:
            sys.stderr.write(text if not self._steps else f" → {text}")
            sys.stderr.flush()
        self._steps += 1

    def end(self) -> None:
        """Finish the line."""
        if self._steps and self._state.out.lively:
            self._state.out.advise("")


def show(state: State, result: Any) -> None:
    """What a join gave: the mesh and the peer."""
    state.out.document(result)
    peer, mesh = result["peer"], result["mesh"]
    state.out.data(f"joined {printable(mesh['name'])}; connected to {printable(peer['name'])} ({peer['id'][:8]})")


def in_foreground(state: State, request: messages.Join, options: NodeOptions) -> None:
    """Join with a node in this process, and stay until a signal or `stop`."""
    from atmosphere.cli.daemon import logs, run

    logs.to_stderr(options.log_level)
    line = RouteLine(state)

    async def first(handle: Any) -> None:
        try:
            result = await handle(request, _LocalReport(line))
        finally:
            line.end()
        show(state, msgspec.to_builtins(result))

    def announce(ready: Ready) -> None:
        state.out.data(ready.line())

    run.serve(state.home, options, announce, first=first)


class _LocalReport:
    """Progress without a control socket between."""

    def __init__(self, line: RouteLine) -> None:
        self._line = line

    async def __call__(self, data: Any) -> None:
        self._line.step(data)

    def soon(self, data: Any) -> None:
        self._line.step(data)
