"""The server that is watched during a search."""

from __future__ import annotations

import asyncio

import pytest

from atmosphere.ice.hardnat import control as module
from atmosphere.ice.hardnat.control import Control
from tests.ice.hardnat.stun import FakeStun
from tests.until import until


async def test_answers_and_silence_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "INTERVAL", 0.05)
    server = FakeStun()
    server.spoils = True
    heard: list[str] = []
    control = Control("127.0.0.1", server.address, lambda: heard.append("yes"), lambda: heard.append("no"))
    try:
        await until(lambda: heard.count("yes") >= 2)
        assert "no" not in heard
        server.drops = lambda number: True
        await until(lambda: heard.count("no") >= 2)
        assert len(server._given) >= 4  # a new socket for each question
    finally:
        control.close()
        control.close()
        server.close()
    told = len(heard)
    await asyncio.sleep(0)
    assert len(heard) == told


async def test_it_is_closed_after_an_answer_too() -> None:
    server = FakeStun()
    answered = asyncio.Event()
    control = Control("127.0.0.1", server.address, answered.set, lambda: None)
    await asyncio.wait_for(answered.wait(), 5)
    control.close()
    server.close()
