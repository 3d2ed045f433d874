from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.mesh.nodes import Mesh
from tests.mesh.nodes import mesh as make_mesh


@pytest.fixture
async def mesh(tmp_path: Path) -> AsyncIterator[Mesh]:
    """Real nodes on loopback."""
    async with make_mesh(tmp_path) as made:
        yield made


@pytest.fixture(autouse=True)
async def _nothing_reaches_the_loop(caplog: pytest.LogCaptureFixture) -> AsyncIterator[None]:
    """No exception in the loop's handler, none in the log, whatever anybody sends."""
    failures: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    yield
    assert not failures
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
