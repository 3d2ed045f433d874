from __future__ import annotations

import re

from atmosphere.turn.server.metrics import COUNTERS, DERIVED, GAUGES, Metrics


def test_names_are_prometheus_and_have_help() -> None:
    names = [*COUNTERS, *DERIVED, *GAUGES]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch("turn_[a-z_]+", name) for name in names)
    assert all(name.endswith("_total") == (name not in GAUGES) for name in names)
    assert all({**COUNTERS, **DERIVED, **GAUGES}.values())


def test_counting() -> None:
    metrics = Metrics()
    metrics.count("turn_requests_total")
    metrics.count("turn_requests_total", 2)
    assert metrics.values["turn_requests_total"] == 3
