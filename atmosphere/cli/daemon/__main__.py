"""`python -m atmosphere.cli.daemon`: the background node. Settings come on stdin, readiness or an error goes to stdout.

Nothing of it is in the argument list, where other users of the machine could read it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from atmosphere.cli import failures
from atmosphere.cli.control import messages
from atmosphere.cli.control.server import failed
from atmosphere.cli.daemon import logs, run
from atmosphere.cli.daemon.options import Ready, decode_start

MAX_START = 1 << 20


def main() -> int:
    """Run the node until a signal or `stop`; the exit code."""
    try:
        start = decode_start(sys.stdin.buffer.read(MAX_START))
        home = Path(os.fsdecode(start.home))
        logs.to_file(home / logs.LOG, start.options.log_level)
        run.serve(home, start.options, _announce)
    except Exception as error:  # noqa: BLE001 - whatever it is, the command that started us shall say it
        ours = failures.as_atmosphere_error(error)
        logs.logger.error("the node ended: %s", ours, exc_info=None if ours is error else error)
        _say(failed(ours))
        return failures.exit_code(ours)
    return failures.DONE


def _announce(ready: Ready) -> None:
    """Tell the command that started us, then let go of its pipe."""
    _say(messages.Done(ready))
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def _say(reply: messages.Reply) -> None:
    try:
        sys.stdout.buffer.write(messages.encode(reply))
        sys.stdout.buffer.flush()
    except OSError as error:
        logs.logger.debug("nobody waits for us: %s", error)


if __name__ == "__main__":
    sys.exit(main())
