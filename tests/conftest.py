"""What every test gets."""

from __future__ import annotations

import pytest

from tests.support import require


@pytest.fixture(autouse=True)
def _needs(request: pytest.FixtureRequest) -> None:
    """Skip (or, under CI=true, fail) a test marked `needs(…)` where the machine lacks it."""
    for mark in request.node.iter_markers("needs"):
        require(*mark.args)
