"""What every test gets."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

import hypothesis
import pytest

from tests.support import require

# A busy machine makes an example slow without making it wrong; `make soak` looks further.
hypothesis.settings.register_profile("default", deadline=None, max_examples=100)
hypothesis.settings.register_profile(
    "soak", deadline=None, max_examples=5000, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(autouse=True)
def _needs(request: pytest.FixtureRequest) -> None:
    """Skip (or, under CI=true, fail) a test marked `needs(…)` where the machine lacks it."""
    for mark in request.node.iter_markers("needs"):
        require(*mark.args)


@pytest.fixture(autouse=True)
def _root_logger() -> Iterator[None]:
    """Take away what a program that ran in this process logs to: its stream is the test's, and ends with it."""
    root = logging.getLogger()
    before = set(root.handlers)
    yield
    for handler in set(root.handlers) - before:
        if type(handler) is logging.StreamHandler:
            root.removeHandler(handler)
