"""`atmosphere send`: files and folders into a peer's inbox."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from atmosphere.cli import units
from atmosphere.cli.base import Command
from atmosphere.cli.params import option
from atmosphere.cli.state import State, pass_state

STDIN = "-"


@click.command(cls=Command)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.argument("peer")
@option("--as", "as_name", metavar="NAME", help="What a single file, or stdin, is called over there.")
@pass_state
def send(state: State, *, paths: tuple[str, ...], peer: str, as_name: str | None) -> None:
    """Send files and folders into PEER's inbox; `-` sends stdin.

    What was interrupted resumes where it stopped; everything is verified by its hash. Nothing over there is ever
    overwritten, and nothing leaves the inbox.
    """
    if as_name is not None and len(paths) != 1:
        raise click.UsageError("--as names a single file")
    if STDIN in paths and len(paths) != 1:
        raise click.UsageError("stdin cannot be sent together with files")
    with _spooled(state.home) if STDIN in paths else contextlib.nullcontext(paths) as ready:
        absolute = [str(Path(path).absolute()) for path in ready]
        for path in absolute:
            os.stat(path)  # named here, before a peer is asked for anything
        _send(state, peer, absolute, as_name or ("stdin" if STDIN in paths else None))


@contextlib.contextmanager
def _spooled(home: Path) -> Iterator[tuple[str, ...]]:
    """stdin in a file of its own: the node reads it from there, as often as resuming needs."""
    from atmosphere.cli.control.client import ControlClient

    ControlClient.connect(home).close()  # before stdin is read: is there a node at all?
    with tempfile.NamedTemporaryFile(dir=home, prefix=".send-") as file:
        shutil.copyfileobj(sys.stdin.buffer, file, 1 << 20)
        file.flush()
        yield (file.name,)


def _send(state: State, peer: str, paths: list[str], as_name: str | None) -> None:
    from atmosphere.cli.control import client, messages
    from atmosphere.cli.live import Bar

    with Bar(state.out) as bar:
        result = client.call(
            state.home,
            messages.Send(peer, paths, as_name),
            progress=lambda data: bar.update(data["name"], data["done"], data["total"]),
            timeout=None,
        )
    state.out.document(result)
    for line in lines(result):
        state.out.data(line)


def lines(result: Any) -> list[str]:
    """A line a file or folder, and the sum."""
    from atmosphere.cli.output import printable

    saved = [f"{printable(entry['name'])} → {printable(entry['saved_as'])}" for entry in result["saved"]]
    count = result["files"]
    what = "1 file" if count == 1 else f"{count} files"
    speed = f", {units.rate(result['bytes'] / result['seconds'])}" if result["seconds"] > 0 else ""
    return [*saved, f"sent {what} ({units.size(result['bytes'])}) to {printable(result['peer'])}{speed}"]
