from __future__ import annotations

import re

import pytest

from signaling.metrics import COUNTERS, GAUGES, Metrics


def test_counters_count() -> None:
    metrics = Metrics()
    metrics.count("replaced_total")
    metrics.count("replaced_total", 2)
    assert metrics["replaced_total"] == 3
    assert metrics.as_dict({"nodes": 7})["nodes"] == 7
    with pytest.raises(KeyError):
        metrics.count("nothing_of_that_name")


def test_the_prometheus_text_is_well_formed() -> None:
    text = Metrics().as_prometheus(dict.fromkeys(GAUGES, 1.5))
    lines = text.splitlines()
    assert text.endswith("\n")
    assert len(lines) == 3 * (len(COUNTERS) + len(GAUGES))
    for head, kind, value in zip(lines[::3], lines[1::3], lines[2::3], strict=True):
        name = value.split()[0]
        assert re.fullmatch(rf"# HELP {name} .+", head)
        assert re.fullmatch(rf"# TYPE {name} (counter|gauge)", kind)
        assert re.fullmatch(r"signaling_[a-z_]+ [0-9.]+", value)
    assert "signaling_nodes 1.5" in lines


def test_names_say_what_they_are() -> None:
    assert all(name.endswith("_total") for name in COUNTERS)
    assert not any(name.endswith("_total") for name in GAUGES)
