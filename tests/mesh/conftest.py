from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.mesh.nodes import Mesh
from tests.mesh.nodes import mesh as make_mesh


@pytest.fixture
async def mesh(tmp_path: Path) -> AsyncIterator[Mesh]:
    """Real nodes on loopback."""
    async with make_mesh(tmp_path) as made:
        yield made
