"""The command line: click commands, one file a family; tables, progress, exit codes."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the `atmosphere` command with the arguments of this process, and exit with its code."""
    _fill_closed_streams()
    from atmosphere.cli.app import atmosphere

    atmosphere(prog_name="atmosphere")


def _fill_closed_streams() -> None:
    """Point a standard stream that came closed (`>&-`) at nothing, before a socket or a file takes its number."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)
    os.close(number)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))
