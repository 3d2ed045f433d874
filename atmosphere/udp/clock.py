"""Whether this machine slept, told by clocks that do and do not run meanwhile."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

__all__ = ["Clocks", "read_clocks", "slept"]

_RUNS_IN_SLEEP = {"linux": "CLOCK_BOOTTIME", "darwin": "CLOCK_MONOTONIC"}
"""`time.monotonic` stands still in sleep on both: on macOS it is another clock than CLOCK_MONOTONIC."""


@dataclass(frozen=True)
class Clocks:
    """Seconds of three clocks at one moment. `boot` runs while the machine sleeps; None where there is no such clock.

    `wall` is what people see, who may set it at any time.
    """

    monotonic: float
    wall: float
    boot: float | None = None


def read_clocks() -> Clocks:
    """The clocks now."""
    return Clocks(time.monotonic(), time.time(), _boot())


def _boot() -> float | None:
    name = _RUNS_IN_SLEEP.get(sys.platform)
    return None if name is None else time.clock_gettime(getattr(time, name))


def slept(before: Clocks, now: Clocks, expected: float) -> float:
    """About how many seconds of the time between the two this program did not run, where it meant to wait `expected`.

    The wall clock is asked only where nothing better is there: one that was set forward then looks like sleep, which
    costs its believer a look at the network and nothing else. One that was set back never does.
    """
    passed = now.monotonic - before.monotonic
    if now.boot is not None and before.boot is not None:
        asleep = now.boot - before.boot - passed
    else:
        asleep = now.wall - before.wall - passed
    # Where the monotonic clock runs on in sleep (Windows), and for a program that was stopped, it is the wait itself
    # that was too long.
    return max(0.0, asleep, passed - expected)
