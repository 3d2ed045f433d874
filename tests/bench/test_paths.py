"""Paths in virtual time are still measured."""

from __future__ import annotations

import itertools

import pytest

from tests.bench.links import Path
from tests.bench.paths import carried, in_bursts, table


def test_a_clean_path_is_used_and_a_table_says_so() -> None:
    paths = [Path(0.02, loss, 2) for loss in (0.0, 0.05)]
    parts = [carried(path) for path in paths]
    assert 0.9 < parts[0] <= 1.01
    assert parts[1] < parts[0]
    lines = table(paths, parts)
    assert lines[0] == "| round trip, lost | 2 Mbit/s, queue 1 |"
    assert lines[2].startswith("| 20 ms, 0 % | 9")
    assert len(lines) == 4


def test_bursts_are_as_long_and_as_frequent_as_said() -> None:
    loses = in_bursts(0.05, 5)
    lost = [loses(b"") for _ in range(40_000)]
    assert sum(lost) / len(lost) == pytest.approx(0.05, rel=0.2)
    bursts = sum(later and not earlier for earlier, later in itertools.pairwise(lost))
    assert sum(lost) / bursts == pytest.approx(5, rel=0.2)
