"""The matrix's results as a JSON grid and as one HTML page; nothing here measures."""

from __future__ import annotations

import html
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tests.lab.theory import Outcome

HARD_WITHIN = 25.0
"""Seconds for a direct path where theory calls the pair hard, or predicts it."""
HARD_SHARE = 0.9


@dataclass(frozen=True, slots=True)
class Run:
    """One meeting: seconds since the join began; None for what did not happen."""

    route: str | None
    """"direct udp", "relay tcp", …: what data took at last; None when they did not connect."""
    first_byte: float | None = None
    direct: float | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """All meetings of a pair of places."""

    one: str
    other: str
    theory: Outcome
    runs: Sequence[Run]

    @property
    def connected(self) -> int:
        """How many connected at all."""
        return sum(run.route is not None for run in self.runs)

    @property
    def direct(self) -> int:
        """How many ended direct."""
        return sum(run.direct is not None for run in self.runs)

    @property
    def in_time(self) -> int:
        """How many were direct within the time that a hard pair has."""
        return sum(run.direct is not None and run.direct <= HARD_WITHIN for run in self.runs)


@dataclass(frozen=True, slots=True)
class Demand:
    """Something that must be so: `good` of `total` are, and `share` of them have to be."""

    what: str
    good: int
    total: int
    share: float

    @property
    def met(self) -> bool:
        """Whether it is; also where there was nothing to show it with."""
        return self.good >= self.share * self.total

    def __str__(self) -> str:
        percent = f"{100 * self.good / self.total:.1f} %" if self.total else "none measured"
        return f"{self.what}: {self.good} of {self.total} ({percent}; wanted {100 * self.share:.0f} %)"


def demands(cells: Iterable[Cell]) -> list[Demand]:
    """What the whole matrix must show."""
    all_cells = list(cells)
    plain = [cell for cell in all_cells if cell.theory == "direct"]
    tcp = [cell for cell in all_cells if cell.theory == "tcp"]
    searched = [cell for cell in all_cells if cell.theory in ("hard", "predicted")]
    return [
        Demand("connected", _sum(all_cells, lambda cell: cell.connected), _runs(all_cells), 1.0),
        Demand("direct where a hole punch is enough", _sum(plain, lambda cell: cell.direct), _runs(plain), 1.0),
        Demand("direct over TCP where UDP is blocked", _sum(tcp, lambda cell: cell.direct), _runs(tcp), 1.0),
        Demand(
            f"direct within {HARD_WITHIN:.0f} s where ports must be found or predicted",
            _sum(searched, lambda cell: cell.in_time),
            _runs(searched),
            HARD_SHARE,
        ),
    ]


def as_json(cells: Sequence[Cell]) -> dict[str, Any]:
    """The grid: every run of every pair, and the demands."""
    judged = [{"what": one.what, "good": one.good, "total": one.total, "met": one.met} for one in demands(cells)]
    return {"demands": judged, "pairs": [asdict(cell) | {"runs": [asdict(run) for run in cell.runs]} for cell in cells]}


def as_html(cells: Sequence[Cell], places: Sequence[str], about: str) -> str:
    """One page that needs nothing else; `about` says when and where it was measured."""
    judged = "".join(
        f'<li class="{"good" if one.met else "bad"}">{html.escape(str(one))}</li>' for one in demands(cells)
    )
    head = "".join(f"<th>{html.escape(place)}</th>" for place in places)
    found = {frozenset((cell.one, cell.other)): cell for cell in cells}
    rows = "".join(
        f"<tr><th>{html.escape(one)}</th>{''.join(_data(found.get(frozenset((one, other)))) for other in places)}</tr>"
        for one in places
    )
    return _PAGE.format(about=html.escape(about), demands=judged, head=head, rows=rows)


def as_text(cells: Sequence[Cell]) -> str:
    """A line a pair, for a terminal."""
    return "\n".join(f"{cell.one} × {cell.other}: {', '.join(_lines(cell))}" for cell in cells)


def _sum(cells: Iterable[Cell], count: Callable[[Cell], int]) -> int:
    return sum(count(cell) for cell in cells)


def _runs(cells: Iterable[Cell]) -> int:
    return sum(len(cell.runs) for cell in cells)


def _lines(cell: Cell) -> list[str]:
    """What a cell says: theory, routes with how often, and the medians."""
    routes = [run.route or "failed" for run in cell.runs]
    lines = [cell.theory, *(f"{route} {routes.count(route)}/{len(routes)}" for route in sorted(set(routes)))]
    for name, times in (
        ("first byte", [run.first_byte for run in cell.runs if run.first_byte is not None]),
        ("direct", [run.direct for run in cell.runs if run.direct is not None]),
    ):
        if times:
            lines.append(f"{name} {statistics.median(times):.2f} s (at most {max(times):.2f})")
    return lines


def _verdict(cell: Cell) -> str:
    """A cell's colour: "bad" where it breaks a demand, "relay" where a relay is all there is."""
    if cell.connected < len(cell.runs):
        return "bad"
    if cell.theory == "relay":
        return "good" if cell.direct else "relay"
    if cell.theory in ("hard", "predicted"):
        return "good" if cell.in_time >= HARD_SHARE * len(cell.runs) else "bad"
    return "good" if cell.direct == len(cell.runs) else "bad"


def _data(cell: Cell | None) -> str:
    if cell is None:
        return "<td></td>"
    errors = "; ".join(sorted({run.error for run in cell.runs if run.error}))
    lines = "<br>".join(html.escape(line) for line in _lines(cell))
    return f'<td class="{_verdict(cell)}" title="{html.escape(errors, quote=True)}">{lines}</td>'


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Atmosphere: every network against every other</title>
<style>
body {{ font: 14px/1.4 system-ui, sans-serif; margin: 2em; color: #222; background: #fff }}
table {{ border-collapse: collapse }}
th, td {{ border: 1px solid #ccc; padding: 4px 8px; text-align: left; vertical-align: top; font-size: 12px }}
th {{ background: #f4f4f4 }}
.good {{ background: #e3f6e3 }}
.relay {{ background: #eef3fb }}
.bad {{ background: #fbe3e3 }}
li {{ padding: 2px 6px; width: fit-content }}
</style>
</head>
<body>
<h1>Every network against every other</h1>
<p>{about}</p>
<ul>{demands}</ul>
<p>Each cell: what theory allows, the routes taken and how often, seconds from the join to the first answer and to the
direct path (median). Blue: a relay is all that there is. Red: a demand is not met.</p>
<table><tr><th></th>{head}</tr>{rows}</table>
</body>
</html>
"""
