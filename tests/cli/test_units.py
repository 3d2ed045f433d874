"""Units for people, and times as people type them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.cli import units


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (12_400_000, "12.4 MB"), (999_960, "1.0 MB"), (2.5e14, "250 TB")],
)
def test_size(count: float, text: str) -> None:
    assert units.size(count) == text


def test_other_units() -> None:
    assert units.rate(12_400_000) == "12.4 MB/s"
    assert [units.milliseconds(value) for value in (38.2, 3.42, 1200)] == ["38 ms", "3.4 ms", "1.2 s"]
    assert [units.duration(value) for value in (0, 45, 3600, 5400, 90061)] == [
        "0 s",
        "45 s",
        "1 h",
        "1 h 30 min",
        "1 d 1 h",
    ]
    assert [units.percent(value) for value in (0, 0.015, 1)] == ["0 %", "1.5 %", "100 %"]
    assert units.endpoint("192.0.2.1", 1) == "192.0.2.1:1"
    assert units.endpoint("2001:db8::1", 1) == "[2001:db8::1]:1"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("45s", 45), ("30m", 1800), ("1h", 3600), ("1h30m", 5400), ("2d", 172800), ("1 H", 3600)],
)
def test_parse_duration(text: str, seconds: float) -> None:
    assert units.parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "1x", "-1h", "0", "1h-", "nan", "1e5"])
def test_parse_duration_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time"):
        units.parse_duration(text)


@given(st.text(max_size=20))
def test_parse_duration_is_total(text: str) -> None:
    try:
        assert units.parse_duration(text) > 0
    except ValueError:
        return


@given(st.floats(0, 1e18))
def test_size_is_total(count: float) -> None:
    assert units.size(count).split()[1] in {"B", "kB", "MB", "GB", "TB"}


@pytest.mark.parametrize("text", ["9999999d", "9" * 400])
def test_too_long_a_time_is_called_so(text: str) -> None:
    with pytest.raises(ValueError, match="too long a time"):
        units.parse_duration(text)
