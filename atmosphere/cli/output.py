"""Data to stdout, everything else to stderr; JSON for machines, tables for people."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from atmosphere.cli.base import terminal

if TYPE_CHECKING:
    from rich.console import Console


class Output:
    """How one command speaks: `data` and `document` on stdout, `advise` on stderr."""

    def __init__(self, json: bool) -> None:
        self.json = json

    @property
    def fancy(self) -> bool:
        """Whether stdout takes colours and live tables."""
        return terminal(sys.stdout) and not self.json

    @property
    def lively(self) -> bool:
        """Whether stderr takes progress that redraws itself."""
        return terminal(sys.stderr)

    def data(self, text: str) -> None:
        """One line of data for people, on stdout; nothing with --json."""
        if not self.json:
            self._write(text)

    def document(self, value: Any) -> None:
        """`value` as one line of JSON, with --json only."""
        if self.json:
            import msgspec

            self._write(msgspec.json.encode(value, enc_hook=str).decode())

    def _write(self, text: str) -> None:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    def advise(self, text: str) -> None:
        """One line of advice or progress, on stderr."""
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    def console(self, *, stderr: bool = False) -> Console:
        """A rich console on stdout or stderr that respects NO_COLOR and CI."""
        from rich.console import Console

        stream = sys.stderr if stderr else sys.stdout
        return Console(stderr=stderr, no_color=not terminal(stream), highlight=False)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table for people: drawn by rich on a terminal, aligned columns elsewhere; nothing with --json."""
        if self.json:
            return
        if self.fancy:
            self.console().print(rich_table(columns, rows))
        else:
            for line in plain_table(columns, rows):
                self._write(line)


def plain_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Aligned columns, two spaces apart, the heading first."""
    lines = [[column.upper() for column in columns], *[[printable(cell) for cell in row] for row in rows]]
    widths = [max(len(line[index]) for line in lines) for index in range(len(columns))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def rich_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Any:
    """The same as a rich table."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(printable(cell), style=_STYLES.get(cell, "")) for cell in row))
    return table


_STYLES = {"connected": "green", "connecting": "yellow", "offline": "dim"}


def printable(text: str) -> str:
    """`text` without control characters: names come from other machines and must not steer a terminal."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "�" for c in text)
