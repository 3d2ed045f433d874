"""Kinds of values that options take: times, secrets, choices of the node."""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from atmosphere.cli import units
from atmosphere.cli.base import Option

F = TypeVar("F", bound=Callable[..., Any])

MAX_SECRET_FILE = 64 * 1024
MAX_PEER = 256
"""Characters of a PEER; a name has 64 at most, an id 52."""


class DurationType(click.ParamType[float]):
    """Seconds, typed as 45s, 30m, 1h or 2d."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds as a number."""
        try:
            return float(value) if isinstance(value, int | float) else units.parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class SecretType(click.ParamType[str]):
    """A secret: as it stands, `-` for stdin, or `@FILE`."""

    name = "secret"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The secret's text, without surrounding white space."""
        try:
            return read_secret(str(value))
        except (OSError, UnicodeDecodeError) as error:
            self.fail(f"cannot be read: {error}", param, ctx)


def read_secret(text: str) -> str:
    """What `-` (stdin), `@FILE` or the text itself holds; raises OSError or UnicodeDecodeError."""
    if text == "-":
        return sys.stdin.read(MAX_SECRET_FILE).strip()
    if text.startswith("@") and len(text) > 1:
        with Path(text[1:]).expanduser().open(encoding="utf-8") as file:
            return file.read(MAX_SECRET_FILE).strip()
    return text


class PeerType(click.ParamType[str]):
    """A member's name or the beginning of its id."""

    name = "peer"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text as it stands; nothing at all, as of an unset variable, is no member, nor is a whole page."""
        text = str(value)
        if not text.strip():
            self.fail("it is empty; name a member, or the beginning of its id", param, ctx)
        if len(text) > MAX_PEER:
            self.fail("it is far too long for a name or an id", param, ctx)
        if any("\ud800" <= character <= "\udfff" for character in text):
            self.fail("it is not UTF-8 text", param, ctx)
        return text


class SecondsType(click.FloatRange):
    """A number of seconds in a range; click's own range lets `nan` through."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number."""
        seconds = float(super().convert(value, param, ctx))
        if math.isnan(seconds):
            self.fail(f"{value!r} is not a number of seconds", param, ctx)
        return seconds


DURATION, SECRET, PEER = DurationType(), SecretType(), PeerType()

option = functools.partial(click.option, cls=Option)
"""click.option, with the environment variable that CLI.md promises."""


def server_options(command: F) -> F:
    """The options that make a node: the same for `serve` and `join CODE`."""
    for decorate in reversed(_SERVER_OPTIONS):
        command = decorate(command)
    return command


_SERVER_OPTIONS = [
    option("--port", type=click.IntRange(0, 65535), default=7777, show_default=True, help="UDP and TCP port."),
    option("--host", metavar="ADDR", help="Listen on this local address only."),
    option(
        "--signaling",
        multiple=True,
        type=SECRET,
        metavar="URL",
        help="A signaling server (ws://, wss://) or any MQTT broker (mqtt://, mqtts://, wss+mqtt://); may be repeated.",
    ),
    option(
        "--stun",
        multiple=True,
        metavar="URI",
        help="A STUN server instead of the defaults, or `none`; may be repeated.",
    ),
    option(
        "--turn",
        multiple=True,
        type=SECRET,
        metavar="URI",
        help="A TURN server, turn:USER:PASSWORD@HOST:PORT; may be repeated.",
    ),
    option(
        "--path-policy",
        type=click.Choice(["any", "direct", "relay"]),
        default="any",
        show_default=True,
        help="Which paths to peers may be used.",
    ),
    option("--no-relay", is_flag=True, help="Do not relay for other members."),
    option("--no-port-mapping", is_flag=True, help="Do not ask the router to map a port."),
    option("--no-hard-nat", is_flag=True, help="Do not guess ports of routers that change them."),
    option(
        "--inbox",
        type=click.Path(file_okay=False),
        metavar="DIR",
        help="Where files arrive [default: inbox in the home].",
    ),
    option("--name", metavar="NODE", help="This node's name [default: the host's name]."),
    option(
        "--log-level",
        type=click.Choice(["debug", "info", "warning", "error"], case_sensitive=False),
        default="warning",
        show_default=True,
        help="What the log holds.",
    ),
]
