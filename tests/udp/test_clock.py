"""atmosphere.udp.clock."""

from __future__ import annotations

import pytest

from atmosphere.udp.clock import Clocks, read_clocks, slept

START = Clocks(monotonic=100.0, wall=1e9, boot=500.0)
BARE = Clocks(monotonic=100.0, wall=1e9)


@pytest.mark.parametrize(
    ("name", "before", "now", "found"),
    [
        ("three seconds as meant", START, Clocks(103, 1e9 + 3, 503), 0),
        ("an hour of sleep", START, Clocks(103, 1e9 + 3603, 4103), 3600),
        ("the wall clock set forward", START, Clocks(103, 1e9 + 3603, 503), 0),
        ("the wall clock set back", START, Clocks(103, 1e9 - 3600, 503), 0),
        ("sleep, and set back at once", START, Clocks(103, 1e9, 4103), 3600),
        ("stopped for a minute", START, Clocks(163, 1e9 + 63, 563), 60),
        ("without that clock: as meant", BARE, Clocks(103, 1e9 + 3), 0),
        ("… sleep, or set forward", BARE, Clocks(103, 1e9 + 3603), 3600),
        ("… set back", BARE, Clocks(103, 1e9 - 3600), 0),
        ("… a monotonic clock that runs in sleep", BARE, Clocks(3703, 1e9 + 3603), 3600),
    ],
)
def test_sleep(name: str, before: Clocks, now: Clocks, found: float) -> None:
    assert slept(before, now, 3.0) == pytest.approx(found)


@pytest.mark.parametrize(("platform", "has_boot"), [("linux", True), ("darwin", True), ("win32", False)])
def test_every_system_has_its_clocks(monkeypatch: pytest.MonkeyPatch, platform: str, has_boot: bool) -> None:
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setattr("time.CLOCK_BOOTTIME", 1, raising=False)
    monkeypatch.setattr("time.clock_gettime", lambda which: 5.0, raising=False)
    found = read_clocks()
    assert (found.boot is not None) is has_boot
    assert found.monotonic > 0 < found.wall
