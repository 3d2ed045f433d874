"""The command line: click commands, one file a family; tables, progress, exit codes."""

from __future__ import annotations


def main() -> None:
    """Run the `atmosphere` command with the arguments of this process, and exit with its code."""
    from atmosphere.cli.app import atmosphere

    atmosphere(prog_name="atmosphere")
