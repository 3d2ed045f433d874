"""`atmosphere relay`: the public helper."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from atmosphere.cli.base import Command
from atmosphere.cli.params import DURATION, SECRET, option
from atmosphere.cli.state import State, pass_state

if TYPE_CHECKING:
    from atmosphere.cli.daemon.relay import RelaySettings

_FILE = click.Path(exists=True, dir_okay=False)


@click.command(cls=Command)
@option("--port", type=click.IntRange(0, 65535), default=3478, show_default=True, help="TCP and UDP port.")
@option("--host", metavar="ADDR", help="Listen on this local address only.")
@option(
    "--public-host", metavar="ADDR", help="The name or address that nodes shall use [default: the first local one]."
)
@option("--turn", multiple=True, metavar="URI", help="A TURN server (coturn) to hand to nodes; may be repeated.")
@option("--secret", type=SECRET, metavar="S", help="The secret shared with it (use-auth-secret); `-` or `@FILE` too.")
@option("--tls-cert", type=_FILE, metavar="F", help="Serve wss:// with this certificate chain (PEM).")
@option("--tls-key", type=_FILE, metavar="F", help="The certificate's key (PEM).")
@option(
    "--drain", type=DURATION, default="5s", show_default=True, help="How long nodes get to go elsewhere at the end."
)
@option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"], case_sensitive=False),
    default="warning",
    show_default=True,
    help="What is logged to stderr.",
)
@pass_state
def relay(state: State, /, *, log_level: str, **params: Any) -> None:
    """Run the public helper: signaling over WebSocket and STUN over UDP on one port, with /health, /stats and /metrics.

    Prints READY and the options to give to nodes. TURN is coturn's for now: --turn names it, --secret lets every node
    get time-limited credentials with its welcome.
    """
    _check(**params)
    from atmosphere.cli.daemon import logs
    from atmosphere.cli.daemon.relay import RelaySettings

    logs.to_stderr(log_level)
    _run(state, RelaySettings(**params))


def _check(turn: tuple[str, ...], secret: str | None, tls_cert: str | None, tls_key: str | None, **_: Any) -> None:
    """Refuse options that do not belong together."""
    from atmosphere.cli.gather import check_servers

    if bool(turn) != bool(secret):
        raise click.UsageError("--turn and --secret belong together")
    if bool(tls_cert) != bool(tls_key):
        raise click.UsageError("--tls-cert and --tls-key belong together")
    check_servers((), turn, ())
    if any("@" in uri for uri in turn):
        raise click.UsageError("the TURN server's credentials are made from --secret; leave out what is before the @")


def _run(state: State, settings: RelaySettings) -> None:
    import asyncio

    from atmosphere.cli.daemon.relay import Relay
    from atmosphere.cli.daemon.run import signals

    async def main() -> None:
        ended, started = asyncio.Event(), Relay(settings)
        with signals(ended.set):
            await started.start()
            try:
                _announce(state, started.describe())
                await ended.wait()
            finally:
                await started.stop()

    asyncio.run(main())


def _announce(state: State, described: dict[str, Any]) -> None:
    options = [f"--signaling {url}" for url in described["signaling"]] + [f"--stun {uri}" for uri in described["stun"]]
    state.out.document(described)
    state.out.data(f"READY relay on port {described['port']}, {' '.join(described['addresses'])}")
    state.out.data(f"Give to nodes: {' '.join(options)}")
    if described["turn"]:
        state.out.data(f"They get credentials for {' '.join(described['turn'])} by themselves.")
