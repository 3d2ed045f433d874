"""How long a person waits for the program: the best of several runs.

The bounds are those of a machine that has nothing else to do. One that runs other tests meanwhile is given as much
more as it takes longer to start an interpreter with one large library.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial

from tests.e2e.conftest import MakeMachine
from tests.e2e.machine import PROGRAM

MAX_HELP = 0.2
MAX_JOIN = 2.0
"""Seconds from typing to the prompt, interpreter included."""

YARDSTICK = (sys.executable, "-c", "import aiortc")
YARD = 0.5
"""Seconds that the yardstick takes at most where nothing else runs."""


def unmeasured(environment: Mapping[str, str]) -> dict[str, str]:
    """Without what makes a process record its coverage, for that takes longer than the bounds allow."""
    return {name: value for name, value in environment.items() if not name.startswith("COVERAGE")}


def busy() -> float:
    """How many times longer than alone everything takes just now, 1 at least."""
    began = time.monotonic()
    subprocess.run(YARDSTICK, check=True, env=unmeasured(os.environ))
    return max(1.0, (time.monotonic() - began) / YARD)


def best(tries: int, bound: float, run: Callable[[int], object]) -> list[float]:
    """The seconds of each run as they would be on an idle machine, until one is within the bound."""
    took: list[float] = []
    while len(took) < tries and (not took or took[-1] >= bound):
        before = busy()
        began = time.monotonic()
        run(len(took))
        seconds = time.monotonic() - began
        took.append(seconds / max(before, busy()))
    return took


def test_help() -> None:
    run = partial(subprocess.run, [*PROGRAM, "--help"], capture_output=True, check=True, env=unmeasured(os.environ))
    took = best(10, MAX_HELP, lambda _: run())
    assert took[-1] < MAX_HELP, took


def test_code_to_exit(machine: MakeMachine) -> None:
    desk = machine("desk")
    desk.run("init", "home")
    desk.run("serve", "--detach")
    codes = [desk.run("join").stdout.strip() for _ in range(4)]

    def join(number: int) -> None:
        laptop = machine(f"laptop{number}")
        laptop.environment = unmeasured(laptop.environment)
        laptop.run("join", codes[number])

    took = best(len(codes), MAX_JOIN, join)
    assert took[-1] < MAX_JOIN, took
