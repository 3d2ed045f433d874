"""How long the program itself takes, from typing to the prompt."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.plan import Plan
from tests.bench.samples import HELP, JOIN, OURS, PYTHON, Samples
from tests.e2e.machine import PROGRAM, Machine


def measure(plan: Plan, samples: Samples) -> None:
    """`--help` beside an interpreter that does nothing; `join CODE` of a new home each time."""
    for _ in range(plan.helps):
        samples.add(PYTHON, OURS, _run([sys.executable, "-c", "pass"]))
        samples.add(HELP, OURS, _run([*PROGRAM, "--help"]))
    with tempfile.TemporaryDirectory(prefix="atmosphere-bench-", ignore_cleanup_errors=True) as folder:
        for number in range(plan.joins):
            samples.add(JOIN, OURS, _join(Path(folder, str(number))))


def _run(program: list[str]) -> float:
    began = time.monotonic()
    subprocess.run(program, capture_output=True, check=True)
    return (time.monotonic() - began) * 1000


def _join(folder: Path) -> float:
    """Milliseconds of one `join CODE` into a mesh of its own."""
    desk, laptop = Machine(folder / "desk", "desk"), Machine(folder / "laptop", "laptop")
    try:
        desk.run("init", "home")
        desk.run("serve", "--detach")
        code = desk.run("join").stdout.strip()
        began = time.monotonic()
        laptop.run("join", code)
        return (time.monotonic() - began) * 1000
    finally:
        laptop.close()
        desk.close()
