from __future__ import annotations

import asyncio

from signaling.pause import Pause


async def test_it_lasts_as_long_as_it_was_told() -> None:
    pause = Pause()
    pause.end()
    began = asyncio.get_running_loop().time()
    await pause.sleep(0.02)
    assert asyncio.get_running_loop().time() - began >= 0.019


async def test_news_ends_it() -> None:
    pause = Pause()
    waiting = asyncio.ensure_future(pause.sleep(3600))
    await asyncio.sleep(0)
    pause.end()
    await asyncio.wait_for(waiting, 5)
