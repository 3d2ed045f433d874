"""Progress that redraws itself on a terminal, and stays silent where nobody would see it move."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

from atmosphere.cli import units
from atmosphere.cli.output import Output, printable

_CLEAR = "\r\x1b[K"


class Meter:
    """One line on stderr: what, how much, how fast."""

    def __init__(self, out: Output, title: str) -> None:
        self._title = printable(title)
        self._shown = out.lively

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown:
            sys.stderr.write(_CLEAR)
            sys.stderr.flush()

    def update(self, done: int, seconds: float) -> None:
        """Show that `done` bytes took `seconds`."""
        if self._shown and seconds > 0:
            sys.stderr.write(f"{_CLEAR}{self._title}: {units.size(done)}, {units.rate(done / seconds)}")
            sys.stderr.flush()


class Bar:
    """A progress bar with rate and time left on a terminal; elsewhere a line every few seconds."""

    def __init__(self, out: Output) -> None:
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        self._out = out
        self._told = time.monotonic()
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=out.console(stderr=True),
            disable=not out.lively,
            transient=True,
        )
        self._task = self._progress.add_task("", total=None)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def say(self, text: str) -> None:
        """A line of its own, above the bar where there is one."""
        if self._out.lively:
            self._progress.console.print(printable(text), markup=False)
        else:
            self._out.advise(printable(text))

    def update(self, name: str, done: int, total: int | None) -> None:
        """`done` of `total` bytes are there, `name` is under way."""
        self._progress.update(self._task, description=printable(name), completed=done, total=total)
        now = time.monotonic()
        if not self._out.lively and now - self._told > 5:
            self._told = now
            of = f" of {units.size(total)}" if total else ""
            self._out.advise(f"{printable(name)}: {units.size(done)}{of}")
