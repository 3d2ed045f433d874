"""Starting a node in the background: a process of its own session that reads its settings from stdin."""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
from pathlib import Path
from typing import IO

import msgspec

from atmosphere.cli import failures
from atmosphere.cli.control import messages
from atmosphere.cli.daemon.logs import LOG
from atmosphere.cli.daemon.options import NodeOptions, Ready, Start
from atmosphere.errors import AtmosphereError, DecodeError, Unreachable

START_TIMEOUT = 30.0

_children: list[subprocess.Popen[bytes]] = []  # kept: a Popen complains when it is forgotten before its process ends


def start(home: Path, options: NodeOptions) -> Ready:
    """Start the node of `home`; returns once it listens. Raises what kept it from starting."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    command = [sys.executable, "-P", "-m", "atmosphere.cli.daemon"]
    log = os.open(home / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        child = subprocess.Popen(  # noqa: S603 - our own program
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=home,
            env=_environment(),
            start_new_session=True,
        )
    finally:
        os.close(log)
    _children.append(child)
    try:
        return _await_ready(child, Start(os.fsencode(home), options), home)
    except BaseException:
        child.terminate()
        raise


def _environment() -> dict[str, str]:
    """Ours, with the folder that this very package comes from: it may not be installed, and the node runs elsewhere."""
    import atmosphere

    package = str(Path(atmosphere.__file__).parent.parent)
    others = os.environ.get("PYTHONPATH")
    return os.environ | {"PYTHONPATH": f"{package}{os.pathsep}{others}" if others else package}


def _await_ready(child: subprocess.Popen[bytes], start: Start, home: Path) -> Ready:
    assert child.stdin is not None  # noqa: S101 - asked for above
    assert child.stdout is not None  # noqa: S101
    with child.stdout as stdout:
        try:
            with child.stdin as stdin:
                stdin.write(msgspec.json.encode(start))
        except BrokenPipeError:
            pass  # it has ended; what it still said, or its log, tells why
        line = _line(stdout, START_TIMEOUT)
    return _ready(line, home)


def _ready(line: bytes, home: Path) -> Ready:
    try:
        reply = messages.decode_reply(line)
        if isinstance(reply, messages.Failed):
            raise failures.error_of(reply.kind, reply.message, hint=reply.hint, reason=reply.reason)
        return msgspec.convert(reply.data, Ready)
    except (DecodeError, msgspec.ValidationError) as error:
        raise AtmosphereError("the node ended before it was ready", hint=f"read the end of {home / LOG}") from error


def _line(stream: IO[bytes], timeout: float) -> bytes:
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        if not selector.select(timeout):
            raise Unreachable(f"the node was not ready within {timeout:.0f} s")
    return stream.readline()
