"""The options of a command as a node's settings, each with where its value came from."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

if TYPE_CHECKING:
    from atmosphere.cli.daemon.options import NodeOptions

_WORDS = {
    ParameterSource.COMMANDLINE: "command line",
    ParameterSource.ENVIRONMENT: "environment",
    ParameterSource.DEFAULT_MAP: "config.toml",
}


def node_options(ctx: click.Context) -> NodeOptions:
    """The settings of a node out of the parameters of `ctx`'s command; the working directory goes into paths."""
    import msgspec

    from atmosphere.cli.daemon.options import NodeOptions

    names = [name for name in NodeOptions.__struct_fields__ if name in ctx.params]
    values: dict[str, Any] = {name: _plain(ctx.params[name]) for name in names}
    check_servers(values["stun"], values["turn"], values["signaling"])
    if values.get("inbox"):
        values["inbox"] = os.path.abspath(os.path.expanduser(values["inbox"]))
    if ctx.obj.debug:
        values["log_level"] = "debug"
    return msgspec.convert(values | {"origins": {name: origin(ctx, name) for name in names}}, NodeOptions)


def check_servers(stun: Iterable[str], turn: Iterable[str], signaling: Iterable[str]) -> None:
    """Refuse, as wrong usage, an address that names no server, before anything is started."""
    from atmosphere.errors import DecodeError
    from atmosphere.turn.uri import parse_stun, parse_turn

    try:
        for uri in stun:
            if uri != "none":
                parse_stun(uri)
        for uri in turn:
            parse_turn(uri)
        for url in signaling:
            _check_signaling(url)
    except DecodeError as error:
        hint = f" ({error.hint})" if error.hint else ""
        raise click.UsageError(f"{error}{hint}") from error


def _check_signaling(url: str) -> None:
    from importlib.util import find_spec

    from signaling.errors import InvalidURL
    from signaling.mqtt.client import MISSING
    from signaling.mqtt.url import is_mqtt
    from signaling.url import normalize

    try:
        place = normalize(url)
    except InvalidURL as error:
        raise click.UsageError(str(error)) from error
    if is_mqtt(url) and find_spec("aiomqtt") is None:
        raise click.UsageError(f"{place}: {MISSING}")


def origin(ctx: click.Context, name: str) -> str:
    """Where the value of the parameter `name` came from, in words."""
    source = ctx.get_parameter_source(name)
    return _WORDS.get(source, "default") if source is not None else "default"


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
