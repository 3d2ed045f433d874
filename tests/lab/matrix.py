"""Every network against every other: who connects, how, and how soon.

    python -m tests.lab.matrix [--runs 10] [--only A,B] [--workers 2] [--output build/lab]

Writes grid.json and grid.html, also after each pair for those who cannot wait; ends with 1 where a demand of
`tests.lab.grid` is not met. A and B are names of `tests.lab.places`, or any NAT as "APD-AD-sequential"; `--only A`
alone pairs A with every other. Needs root, nftables and coturn.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import combinations_with_replacement
from pathlib import Path

from tests.lab import grid
from tests.lab.coturn import start_coturn
from tests.lab.couriers import Courier
from tests.lab.grid import Cell, Run
from tests.lab.household import Relay
from tests.lab.places import PLACES, place
from tests.lab.theory import Outcome, expected
from tests.lab.topology import Lab

PATIENCE: dict[Outcome, float] = {"direct": 20.0, "tcp": 20.0, "hard": 30.0, "predicted": 30.0, "relay": 5.0}
"""Seconds to wait for a direct path; where there can be none, long enough for a surprise."""

Pair = tuple[str, str]


def meet(lab: Lab, one: str, other: str) -> Run:
    """Let a machine in one place join by a code of a machine in the other."""
    box = lab.public("box")
    relay = Relay(box)
    turn = start_coturn(box)
    options = (*relay.options, "--turn", turn, "--turn", f"{turn}?transport=tcp")
    host = Courier(place(one).build(lab, "host"), *options)
    joiner = Courier(place(other).build(lab, "joiner"), *options)
    patience = PATIENCE[expected(place(one).network, place(other).network)]
    joiner.join(host.found(), until_direct=patience)
    told = joiner.told("joined", timeout=60 + patience)
    return Run(" ".join(told["path"] or ["lost"]), told["first_byte"], told["direct"])


def measured(pair: Pair, runs: int) -> Cell:
    """The whole cell; what goes wrong is kept as a failed run."""
    results = []
    for _ in range(runs):
        with Lab() as lab:
            try:
                results.append(meet(lab, *pair))
            except (AssertionError, OSError, RuntimeError) as error:
                results.append(Run(None, error=str(error)[-2000:]))
    one, other = pair
    return Cell(one, other, expected(place(one).network, place(other).network), results)


def chosen(only: str | None) -> list[Pair]:
    """The pairs to measure: all, those of one place, or one."""
    if only is None:
        return list(combinations_with_replacement(PLACES, 2))
    names = only.split(",")
    return [(names[0], other) for other in PLACES] if len(names) == 1 else [(names[0], names[1])]


def write(folder: Path, cells: list[Cell], about: str) -> None:
    """Both files, of what there is so far."""
    folder.mkdir(parents=True, exist_ok=True)
    names = list(dict.fromkeys([*PLACES, *(name for cell in cells for name in (cell.one, cell.other))]))
    shown = [name for name in names if any(name in (cell.one, cell.other) for cell in cells)]
    (folder / "grid.json").write_text(json.dumps({"about": about} | grid.as_json(cells), indent=1))
    (folder / "grid.html").write_text(grid.as_html(cells, shown, about))


def main() -> int:
    """Measure, write, and say it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--only")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--output", type=Path, default=Path("build/lab"))
    given = parser.parse_args()
    pairs = chosen(given.only)
    about = f"{given.runs} runs a pair, {time.strftime('%Y-%m-%d')}, {platform.release()}, {os.cpu_count()} processors"
    cells: list[Cell] = []
    with ThreadPoolExecutor(given.workers) as pool:
        for done in as_completed([pool.submit(measured, pair, given.runs) for pair in pairs]):
            cells.append(done.result())
            print(grid.as_text(cells[-1:]), flush=True)
            write(given.output, sorted(cells, key=lambda cell: pairs.index((cell.one, cell.other))), about)
    judged = grid.demands(cells)
    print(*judged, f"See {given.output}/grid.html", sep="\n")
    return int(not all(one.met for one in judged))


if __name__ == "__main__":
    sys.exit(main())
