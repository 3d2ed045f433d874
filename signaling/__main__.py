"""`python -m signaling`: the signaling server alone, for those who run their own coturn.

Prints a line that starts with READY once it listens. SIGTERM or Ctrl-C: clients are asked to go, then it ends with 0;
a second signal ends it at once. Exit codes: 0 done, 1 failed, 2 usage. An error is one line that starts with `Error:`.
Every option can also come from the environment as SIGNALING_<OPTION>, several values separated by spaces.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import ssl
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from signaling import logs
from signaling.certificates import Certificates
from signaling.cluster.instance import ClusterSettings
from signaling.cluster.nats_link import ClusterError, servers_of
from signaling.errors import CertificateError
from signaling.proxies import TrustedProxies
from signaling.server import SignalingServer
from signaling.settings import Settings
from signaling.turn_credentials import TurnCredentialSource, is_turn_uri


class UsageError(Exception):
    """An option that cannot be used; the message is one line."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage."""
        raise UsageError(message)


def parse(arguments: Sequence[str] | None, environment: Mapping[str, str]) -> argparse.Namespace:
    """The options: command line before environment before default. Raises UsageError."""

    def default(option: str, otherwise: str | None = None) -> str | None:
        return environment.get(f"SIGNALING_{option}", otherwise)

    parser = _Parser(prog="python -m signaling", description="A WebSocket signaling server.")
    add = parser.add_argument
    add("--host", action="append", metavar="ADDR", help="address to listen on (repeatable; default: all)")
    add("--port", type=_port, default=default("PORT", "8080"), help="TCP port; 0 chooses one (default: 8080)")
    add("--public-host", action="append", metavar="NAME", help="name it is dialed by; others are refused (repeatable)")
    add("--path-prefix", default=default("PATH_PREFIX", ""), metavar="/PATH", help="the path a reverse proxy has it at")
    add("--trust-proxy", action="append", metavar="CIDR", help="believe this proxy's X-Forwarded-For (repeatable)")
    add("--allow-origin", action="append", metavar="ORIGIN", help="let this website's pages connect (repeatable)")
    add("--turn-secret", default=default("TURN_SECRET"), help="coturn's static-auth-secret: value, @FILE or - (stdin)")
    add("--turn-uri", action="append", metavar="URI", help="turn: or turns: URI to hand out (repeatable)")
    add("--turn-ttl", type=_seconds, default=default("TURN_TTL", "3600"), help="seconds that credentials last")
    add("--tls-cert", default=default("TLS_CERT"), metavar="FILE", help="certificate chain (PEM): serve wss://")
    add("--tls-key", default=default("TLS_KEY"), metavar="FILE", help="its private key (PEM)")
    add(
        "--cluster",
        default=default("CLUSTER"),
        metavar="URL[,URL]",
        help="NATS that joins instances: value, @FILE or -",
    )
    add("--cluster-name", default=default("CLUSTER_NAME", "atmosphere"), help="the same for all instances of a cluster")
    add("--cluster-creds", default=default("CLUSTER_CREDS"), metavar="FILE", help="NATS credentials (.creds)")
    add("--limit", action="append", metavar="NAME=VALUE", help="change a limit (repeatable; their names: /stats)")
    add("--drain", type=_seconds, default=default("DRAIN", "5"), help="seconds that clients get to leave at the end")
    add("--log-level", default=default("LOG_LEVEL", "info"), choices=["debug", "info", "warning", "error"])
    add("--log-json", action="store_true", default=bool(default("LOG_JSON")), help="log as JSON, one object a line")
    options = parser.parse_args(arguments)
    for name in ("host", "public_host", "trust_proxy", "allow_origin", "turn_uri", "limit"):
        if getattr(options, name) is None:
            setattr(options, name, (default(name.upper()) or "").split())
    return options


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port (0–65535)")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 10 * 86400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return seconds


def secret_of(text: str, what: str = "TURN secret") -> str:
    """The secret that an option names: itself, `@FILE`'s content or, for `-`, the first line of stdin."""
    if text == "-":
        secret = sys.stdin.readline().strip()
    elif text.startswith("@"):
        try:
            secret = Path(text[1:]).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"the {what} cannot be read from {text[1:]}: {_reason(error)}") from None
    else:
        secret = text
    if not secret:
        raise UsageError(f"the {what} is empty")
    return secret


def turn_of(options: argparse.Namespace) -> TurnCredentialSource | None:
    """Where TURN credentials come from, if anywhere."""
    uris: list[str] = options.turn_uri
    if not uris and options.turn_secret is None:
        return None
    if not uris or options.turn_secret is None:
        raise UsageError("--turn-secret and --turn-uri are given together")
    for uri in uris:
        if not is_turn_uri(uri):
            raise UsageError(f"{uri!r} is no TURN URI; write turn:HOST[:PORT][?transport=udp|tcp]")
    return TurnCredentialSource(tuple(uris), secret_of(options.turn_secret), options.turn_ttl)


def cluster_of(options: argparse.Namespace) -> ClusterSettings | None:
    """The cluster that it is to join, if any."""
    if options.cluster is None:
        return None
    try:
        servers = servers_of(secret_of(options.cluster, "cluster's URL"))
        credentials = Path(options.cluster_creds) if options.cluster_creds else None
        return ClusterSettings(servers, options.cluster_name, credentials)
    except ClusterError as error:
        raise UsageError(str(error)) from None


def settings_of(options: argparse.Namespace) -> Settings:
    """The server's settings."""
    try:
        TrustedProxies(options.trust_proxy)
        return Settings(
            hosts=tuple(options.public_host),
            path_prefix=options.path_prefix,
            allow_origins=tuple(options.allow_origin),
            trusted_proxies=tuple(options.trust_proxy),
        ).override(options.limit)
    except ValueError as error:
        raise UsageError(str(error)) from None


def tls_of(options: argparse.Namespace) -> ssl.SSLContext | None:
    """The TLS context of --tls-cert and --tls-key, if given; it takes new files up by itself."""
    if options.tls_cert is None:
        return None
    try:
        return Certificates(options.tls_cert, options.tls_key).listening_context()
    except CertificateError as error:
        raise UsageError(str(error)) from None


async def run(options: argparse.Namespace) -> None:
    """Serve until a signal comes."""
    turn, tls = turn_of(options), tls_of(options)
    server = SignalingServer(settings_of(options), turn=turn, cluster=cluster_of(options))
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        # Not `loop.add_signal_handler`: Windows has none.
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(_end, ending))
    await server.start(options.host or None, options.port, ssl_context=tls)
    scheme = "wss" if tls else "ws"
    places = (f"[{address}]" if ":" in address else address for address, _ in server.addresses)
    sys.stdout.write(f"READY {' '.join(f'{scheme}://{place}:{server.port}' for place in places)}\n")
    sys.stdout.flush()
    await ending.wait()
    await server.stop(options.drain)


def _end(ending: asyncio.Event) -> None:
    if ending.is_set():
        os._exit(1)  # the second signal: its sender does not want to wait
    ending.set()


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or " ".join(str(error).split())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; its exit code."""
    try:
        options = parse(arguments, os.environ)
        logs.configure(options.log_level, as_json=options.log_json)
        asyncio.run(run(options))
    except UsageError as error:
        sys.stderr.write(f"Error: {error}\n")
        return 2
    except (OSError, ClusterError) as error:
        sys.stderr.write(f"Error: {_reason(error)}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
