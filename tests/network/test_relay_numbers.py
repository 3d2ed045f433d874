"""Every number of a relay server has its line of help."""

from __future__ import annotations

import re

from atmosphere.network.relay_numbers import TEXTS
from tests.network.relays import relaying


async def test_every_number_is_explained() -> None:
    async with relaying() as server:
        [numbers] = server._run().signaling._sources
        assert set(numbers.as_dict()) == set(TEXTS)
        text = numbers.as_prometheus()
        assert len(text.splitlines()) == 3 * len(TEXTS)
        for line in text.splitlines():
            assert re.fullmatch(r"# (HELP|TYPE) [a-z_]+ .+|[a-z_]+ [0-9.e+-]+", line)


async def test_without_turn_its_numbers_are_left_out() -> None:
    async with relaying(turn=False) as server:
        [numbers] = server._run().signaling._sources
        assert {"relay_sessions", "tcp_undecided"} <= set(numbers.as_dict()) < set(TEXTS)
