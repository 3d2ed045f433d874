"""`atmosphere send`: files and folders into a peer's inbox."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from atmosphere.cli import units
from atmosphere.cli.base import Command
from atmosphere.cli.params import PEER, option
from atmosphere.cli.state import State, pass_state

if TYPE_CHECKING:
    from atmosphere.cli.live import Bar

STDIN = "-"


@click.command(cls=Command)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.argument("peer", type=PEER)
@option("--as", "as_name", metavar="NAME", help="What a single file, or stdin, is called over there.")
@pass_state
def send(state: State, *, paths: tuple[str, ...], peer: str, as_name: str | None) -> None:
    """Send files and folders into PEER's inbox; `-` sends stdin.

    What was interrupted resumes where it stopped; everything is verified by its hash. Nothing over there is ever
    overwritten, and nothing leaves the inbox.
    """
    _check_name(as_name, paths)
    if STDIN in paths and len(paths) != 1:
        raise click.UsageError("stdin cannot be sent together with files")
    with _spooled(state.home) if STDIN in paths else contextlib.nullcontext(paths) as ready:
        absolute = [str(Path(path).absolute()) for path in ready]
        for path in absolute:
            os.stat(path)  # named here, before a peer is asked for anything
        _send(state, peer, absolute, as_name or ("stdin" if STDIN in paths else None))


def _check_name(as_name: str | None, paths: tuple[str, ...]) -> None:
    """Refuse, as wrong usage, a --as that cannot be the name of the one thing that is sent."""
    if as_name is None:
        return
    if len(paths) != 1:
        raise click.UsageError("--as names a single file")
    if as_name in ("", ".", "..") or "/" in as_name:
        raise click.UsageError(f"--as takes a name, not a path: {as_name!r}")


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
            messages.Send(peer, [os.fsencode(path) for path in paths], as_name),
            progress=lambda data: _show_progress(bar, data),
            timeout=None,
        )
    state.out.document(result)
    for line in lines(result):
        state.out.data(line)
    _complain(state, result)


def _show_progress(bar: Bar, data: Any) -> None:
    if "waiting" in data:
        bar.say(data["waiting"])
    else:
        bar.update(data["name"], data["done"], data["total"])


def lines(result: Any) -> list[str]:
    """A line for each file or folder that arrived, with its name over there, and one for the sum."""
    from atmosphere.cli.output import printable

    arrived = [entry for entry in result["results"] if not entry["error"]]
    tops = {entry["name"].split("/")[0]: entry["saved_as"].split("/")[0] for entry in arrived}
    saved = [printable(name if name == there else f"{name} → {there}") for name, there in tops.items()]
    what = "1 file" if result["files"] == 1 else f"{result['files']} files"
    speed = units.rate(result["mb_per_s"] * 1e6)
    return [*saved, f"sent {what} ({units.size(result['bytes'])}) to {printable(result['peer'])}, {speed}"]


def _complain(state: State, result: Any) -> None:
    """Name what did not arrive, and fail for it."""
    from atmosphere.cli.output import printable
    from atmosphere.errors import AtmosphereError

    missing = [entry for entry in result["results"] if entry["error"]]
    for entry in missing:
        state.out.advise(printable(f"{entry['name']}: {entry['error']}"))
    if missing:
        count = "1 file was" if len(missing) == 1 else f"{len(missing)} files were"
        raise AtmosphereError(f"{count} not sent", hint="see to the reasons above, then send what is missing again")
