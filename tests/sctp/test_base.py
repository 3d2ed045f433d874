from __future__ import annotations

import asyncio

import pytest

from atmosphere.sctp.base import run
from tests.sctp.wire import Side


async def test_a_coroutine_that_waits_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="waited"):
        run(asyncio.sleep(0))


async def test_an_association_ends_once() -> None:
    side = Side(client=True)
    side.association.start()
    side.association.abort("first")
    side.association.abort("second")
    side.association.start()
    assert side.log.reason == "first"
    assert side.transport.over
    assert len(side.take()) == 2
