from __future__ import annotations

import pytest

from tests.bench import relayed
from tests.bench.samples import OURS, RELAY_CONTROL


@pytest.mark.needs("coturn")
async def test_both_relays_carry_what_the_nodes_send() -> None:
    found = await relayed.measure(rounds=1, seconds=0.05)
    names = [relayed.DIRECT, OURS, RELAY_CONTROL]
    assert all(found["MB/s", name][0] > 0 for name in names)
    lines = relayed.table(found).splitlines()
    assert lines[0] == f"| | {' | '.join(names)} |" and len(lines) == 2 + len(relayed.TITLES)
