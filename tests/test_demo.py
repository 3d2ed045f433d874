"""`make demo` works: the first thing that anybody tries."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.timeout(180)
def test_the_demo_ends_well() -> None:
    demo = [sys.executable, str(ROOT / "tools" / "demo.py")]
    done = subprocess.run(demo, capture_output=True, text=True, check=False, timeout=170, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the same hash" in done.stdout
    assert "anna$ atmosphere join" in done.stdout
