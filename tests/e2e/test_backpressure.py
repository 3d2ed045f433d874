"""A reader that sleeps stops its writer, and nobody else; neither of the two processes grows meanwhile."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from atmosphere.channels.credit import WINDOW_MOST
from tests.e2e.flow import content

MIB = 1024 * 1024
FLOW = 256 * MIB
MAX_GROWTH = 64 * MIB
MAX_HELD = 6 * MIB
"""What a writer gets rid of before it stops: the stream's window, and what its own side holds."""
MAX_HELD_LATER = WINDOW_MOST + 2 * MIB
"""The same after the reader kept up for a while: windows have grown by then."""
STILL = 1.0
"""Seconds without progress after which a writer counts as stopped."""
ROOT = Path(__file__).parents[2]


class Process:
    """One end of the flow (flow.py)."""

    def __init__(self, home: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.flow", str(home)],
            cwd=ROOT,
            # Recording coverage would take longer than the flow.
            env={name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, command: str) -> dict[str, Any]:
        """Have it done; what came of it."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def memory(self, what: str = "VmRSS") -> int:
        """Bytes in memory now, or at the most so far ("VmHWM")."""
        lines = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(what + ":")) * 1024

    def end(self) -> int:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        try:
            return self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
        finally:
            self._process.stdout.close()


Start = Callable[[str], Process]


@pytest.fixture
def ends(tmp_path: Path) -> Iterator[tuple[Process, Process]]:
    """The reader and the sender, in one mesh and warm."""
    reader, sender = Process(tmp_path / "reader"), Process(tmp_path / "sender")
    try:
        sender(f"join {reader('invite')['code']}")
        for _ in range(4):
            sender("echo")
        yield reader, sender
    finally:
        codes = [process.end() for process in (sender, reader)]
    assert codes == [0, 0]


def until_still(sender: Process) -> int:
    """Wait until the writer has stopped; what it wrote until then."""
    seen, since = -1, time.monotonic()
    while time.monotonic() < since + STILL:
        written = sender("progress")["written"]
        if written != seen:
            seen, since = written, time.monotonic()
        time.sleep(0.05)
    return seen


def digest_of(size: int) -> str:
    digest = hashlib.sha256()
    left = size
    for block in content(FLOW):
        digest.update(block[:left])
        left -= len(block)
        if left <= 0:
            break
    return digest.hexdigest()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory of a process is read from /proc")
@pytest.mark.parametrize(
    "arriving",
    [
        pytest.param(64 * MIB, id="some"),
        pytest.param(FLOW, id="all", marks=pytest.mark.timeout(600)),
    ],
)
def test_256_megabytes_to_a_reader_that_sleeps(
    ends: tuple[Process, Process], arriving: int, record_property: Callable[[str, object], None]
) -> None:
    reader, sender = ends
    before = [process.memory() for process in ends]

    def growth() -> list[int]:
        return [process.memory("VmHWM") - rss for process, rss in zip(ends, before, strict=True)]

    sender(f"write {FLOW}")
    stopped_at = until_still(sender)
    assert 0 < stopped_at <= MAX_HELD
    echoes = [sender("echo")["seconds"] for _ in range(8)]
    assert sender("progress")["written"] == stopped_at
    assert max(growth()) < MAX_GROWTH
    asleep = growth()

    got = reader(f"read {arriving}")
    assert (got["bytes"], got["sha256"]) == (arriving, digest_of(arriving))
    if arriving == FLOW:
        assert reader("end") == {"left": 0}
    else:
        assert until_still(sender) <= arriving + MAX_HELD_LATER
        sender("echo")
    assert max(growth()) < MAX_GROWTH
    record_property("stopped_at", stopped_at)
    print(
        f"stopped at {stopped_at / MIB:.2f} MiB; growth asleep {[n // 1024 for n in asleep]} KiB, in the end "
        f"{[n // 1024 for n in growth()]} KiB; {arriving / MIB / got['seconds']:.1f} MiB/s; echo of 256 KiB while "
        f"stopped {min(echoes) * 1000:.0f}-{max(echoes) * 1000:.0f} ms"
    )
