"""How much this process grows."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STATM = Path("/proc/self/statm")
MIB = 1024 * 1024


def resident() -> int:
    """Bytes in memory; 0 where the machine does not say."""
    gc.collect()
    return int(STATM.read_text(encoding="ascii").split()[1]) * 4096 if STATM.exists() else 0


@contextmanager
def growth_below(bound: int) -> Iterator[None]:
    """Fail when what happens inside leaves more than `bound` bytes behind."""
    before = resident()
    yield
    grown = resident() - before
    print(f"grown by {grown / MIB:.1f} MiB")
    assert grown < bound, f"grown by {grown} bytes"
