"""`atmosphere relay`: the public helper."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from atmosphere.cli.base import Command
from atmosphere.cli.params import DURATION, SECRET, option
from atmosphere.cli.state import State, pass_state

if TYPE_CHECKING:
    from atmosphere.network.relay_server import RelayServer

F = TypeVar("F", bound=Callable[..., Any])

_FILE = click.Path(exists=True, dir_okay=False)
_PORT, _COUNT = click.IntRange(1, 65535), click.IntRange(1)
_LEVELS = click.Choice(["debug", "info", "warning", "error"], case_sensitive=False)


def _options(command: F) -> F:
    for decorate in reversed(_OPTIONS):
        command = decorate(command)
    return command


_OPTIONS = [
    option("--port", type=click.IntRange(0, 65535), default=3478, show_default=True, help="TCP and UDP port."),
    option("--host", multiple=True, metavar="ADDR", help="Listen on this local address only; may be repeated."),
    option(
        "--public-host", metavar="ADDR", help="The name or address that nodes shall use [default: the first local one]."
    ),
    option("--public-url", metavar="URL", help="Where a reverse proxy has the WebSockets, https://HOST[:PORT][/PATH]."),
    option("--secret", type=SECRET, metavar="S", help="TURN's REST secret [default: random]; `-` or `@FILE` too."),
    option("--user", multiple=True, type=SECRET, metavar="NAME:PASSWORD", help="A TURN user; `@FILE`, or repeated."),
    option("--turn", multiple=True, metavar="URI", help="A further TURN server (coturn) with that secret to hand out."),
    option("--no-turn", is_flag=True, help="No TURN here: signaling and STUN only."),
    option("--allow-peer", multiple=True, metavar="CIDR", help="Let TURN reach this network, whatever it is."),
    option("--realm", metavar="NAME", help="TURN's realm [default: atmosphere]."),
    option("--min-port", type=_PORT, metavar="PORT", help="First port of relayed addresses [default: 49152]."),
    option("--max-port", type=_PORT, metavar="PORT", help="Last port of relayed addresses [default: 65535]."),
    option("--single-relay-port", type=_PORT, metavar="PORT", help="One port that all relayed addresses share."),
    option("--tls-cert", type=_FILE, metavar="F", help="Serve TLS with this certificate chain (PEM)."),
    option("--tls-key", type=_FILE, metavar="F", help="The certificate's key (PEM)."),
    option("--plain", is_flag=True, help="Serve WebSockets without TLS too, although there is a certificate."),
    option(
        "--allow-origin", multiple=True, metavar="ORIGIN", help="Let pages of this website connect; may be repeated."
    ),
    option("--trust-proxy", multiple=True, metavar="CIDR", help="Believe what these proxies say of their clients."),
    option("--cluster", type=SECRET, metavar="URL[,URL]", help="NATS that joins the signaling of several relays."),
    option("--cluster-name", metavar="NAME", help="The same for all of a cluster [default: atmosphere]."),
    option("--cluster-creds", type=_FILE, metavar="F", help="NATS credentials (.creds)."),
    option("--max-connections", type=_COUNT, metavar="N", help="Clients at once over TCP, TLS and WebSocket."),
    option("--max-connections-per-address", type=_COUNT, metavar="N", help="Of these, from one address."),
    option("--max-allocations", type=_COUNT, metavar="N", help="Relayed addresses at once."),
    option("--max-allocations-per-user", type=_COUNT, metavar="N", help="Of these, one user's."),
    option("--max-allocations-per-address", type=_COUNT, metavar="N", help="Of these, for one client address."),
    option("--max-bytes-per-second", type=_COUNT, metavar="N", help="Relayed for one user, both directions."),
    option("--max-sessions", type=_COUNT, metavar="N", help="Sessions of the WebSocket relay at once."),
    option("--limit", multiple=True, metavar="NAME=VALUE", help="Change a limit of signaling (names: /stats)."),
    option("--drain", type=DURATION, default="5s", show_default=True, help="How long nodes get to leave at the end."),
    option("--log-level", type=_LEVELS, default="warning", show_default=True, help="What is logged to stderr."),
    option("--log-json", is_flag=True, help="Log as JSON, one object a line."),
]


@click.command(cls=Command)
@_options
@pass_state
def relay(
    state: State, /, *, port: int, host: tuple[str, ...], drain: float, log_level: str, log_json: bool, **options: Any
) -> None:
    """Run the public helper on one port: signaling, STUN, TURN over UDP, TCP, TLS and WebSocket.

    Over HTTP: /health, /stats and /metrics. Prints READY and the options to give to nodes, which get their TURN
    credentials with every welcome.
    """
    _check(**options)
    from atmosphere.cli.daemon import logs
    from atmosphere.cli.daemon.relay import settings_of
    from atmosphere.network.relay_server import RelayServer

    try:
        settings = settings_of(options)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    logs.to_stderr(log_level, as_json=log_json)
    _run(state, RelayServer(host or None, port, settings=settings), drain)


def _check(turn: tuple[str, ...], secret: str | None, tls_cert: str | None, tls_key: str | None, **_: Any) -> None:
    """Refuse options that do not belong together."""
    from atmosphere.cli.gather import check_servers

    if turn and not secret:
        raise click.UsageError("--turn needs the --secret that its server has too")
    if bool(tls_cert) != bool(tls_key):
        raise click.UsageError("--tls-cert and --tls-key belong together")
    check_servers((), turn, ())
    if any("@" in uri for uri in turn):
        raise click.UsageError("the TURN server's credentials are made from --secret; leave out what is before the @")


def _run(state: State, server: RelayServer, drain: float) -> None:
    import asyncio

    from atmosphere.cli.daemon.relay import describe, start
    from atmosphere.cli.daemon.run import signals

    async def main() -> None:
        ended = asyncio.Event()
        with signals(ended.set):
            await start(server)
            try:
                _announce(state, describe(server), users=bool(server.settings.users and server.settings.turn))
                await ended.wait()
            finally:
                await server.stop(drain)

    asyncio.run(main())


def _announce(state: State, described: dict[str, Any], *, users: bool = False) -> None:
    options = [f"--signaling {url}" for url in described["signaling"]] + [f"--stun {uri}" for uri in described["stun"]]
    state.out.document(described)
    state.out.data(f"READY relay on port {described['port']}, {' '.join(described['addresses'])}")
    state.out.data(f"Give to nodes: {' '.join(options)}")
    if described["turn"]:
        state.out.data(f"They get credentials for {' '.join(described['turn'])} by themselves.")
    if users:
        place = described["stun"][0].removeprefix("stun:")
        state.out.data(f"Users with a password of their own: --turn turn:NAME:PASSWORD@{place}")
