"""What is measured here runs without coverage: it starts slower with it, and other tests run the same lines."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def _no_coverage(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("COVERAGE_")]:
        monkeypatch.delenv(name)
