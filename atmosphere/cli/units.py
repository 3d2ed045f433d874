"""Sizes, rates and times with units for people, and durations as people type them."""

from __future__ import annotations

import re

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
MAX_SECONDS = 1e10
"""Some centuries: longer is a slip of the finger."""
_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")


def size(count: float) -> str:
    """`12.4 MB`; MB = 10^6 bytes."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if abs(count) < 999.5 or unit == "TB":
            return f"{count:.0f} {unit}" if unit == "B" or count >= 99.95 else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError


def rate(bytes_per_second: float) -> str:
    """`12.4 MB/s`."""
    return f"{size(bytes_per_second)}/s"


def milliseconds(value: float) -> str:
    """`38 ms`, `3.4 ms`, `1.2 s`."""
    if value >= 1000:
        return f"{value / 1000:.1f} s"
    return f"{value:.0f} ms" if value >= 10 else f"{value:.1f} ms"


def duration(seconds: float) -> str:
    """`45 s`, `1 h`, `1 h 30 min`, `2 d`: the two largest units."""
    left = max(0, round(seconds))
    parts = []
    for name, length in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, length)
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts[:2]) or "0 s"


def percent(fraction: float) -> str:
    """`0 %`, `1.5 %`."""
    value = fraction * 100
    return f"{value:.0f} %" if value == round(value) else f"{value:.1f} %"


def parse_duration(text: str) -> float:
    """Seconds of `90`, `90s`, `30m`, `1h30m` or `2d`; anything else, or zero, is a ValueError."""
    compact = text.strip().lower().replace(" ", "")
    if re.fullmatch(r"\d+(\.\d+)?", compact):
        seconds = float(compact)
    elif re.fullmatch(f"(?:{_DURATION.pattern})+", compact):
        seconds = sum(float(number) * _SECONDS[unit] for number, unit in _DURATION.findall(compact))
    else:
        raise ValueError(f"{text!r} is not a time; write it as 45s, 30m, 1h, 1h30m or 2d")
    if seconds <= 0:
        raise ValueError(f"{text!r} is not a time of at least a moment")
    if seconds >= MAX_SECONDS:
        raise ValueError(f"{text!r} is too long a time")
    return seconds


def endpoint(address: str, port: int) -> str:
    """`203.0.113.9:7777`, `[2001:db8::1]:7777`."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
