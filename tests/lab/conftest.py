"""A laboratory a test, and the story of what happened in it when the test fails."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest

from tests.lab.topology import Lab
from tests.support import require


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A laboratory with only the public segment in it."""
    require("netns")
    with Lab() as lab:
        yield lab
        outcome = getattr(request.node, "outcome_of_call", None)
        if outcome is not None and outcome.failed:
            outcome.sections.append(("what happened in the laboratory", lab.report()))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let the fixture see how the test went."""
    report = yield
    if report.when == "call":
        item.outcome_of_call = report  # type: ignore[attr-defined]
    return report
