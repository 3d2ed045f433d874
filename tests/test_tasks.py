"""Tasks end with their owner, and say when they fail."""

from __future__ import annotations

import asyncio
import logging

import pytest

from atmosphere.tasks import Tasks


async def test_a_task_runs_and_is_forgotten() -> None:
    tasks = Tasks("owner")
    ran = asyncio.Event()

    async def work() -> str:
        ran.set()
        return "done"

    task = tasks.spawn(work(), "work")
    assert task is not None
    assert len(tasks) == 1
    assert await asyncio.wait_for(task, 5) == "done"
    assert ran.is_set()
    await tasks.close()
    assert len(tasks) == 0


async def test_close_cancels_and_waits() -> None:
    tasks = Tasks("owner")
    started, cleaned = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.set()

    tasks.spawn(work(), "work")
    await asyncio.wait_for(started.wait(), 5)
    await tasks.close()
    assert cleaned.is_set()


async def test_nothing_starts_after_close() -> None:
    tasks = Tasks("owner")
    await tasks.close()

    async def work() -> None:
        raise AssertionError("a closed owner started a task")

    assert tasks.spawn(work(), "late") is None


async def test_a_task_may_close_its_own_owner() -> None:
    tasks = Tasks("owner")
    task = tasks.spawn(tasks.close(), "closer")
    assert task is not None
    await asyncio.wait_for(task, 5)


async def test_a_failure_is_logged_with_its_name(caplog: pytest.LogCaptureFixture) -> None:
    tasks = Tasks("owner")

    async def work() -> None:
        raise ValueError("broken")

    with caplog.at_level(logging.ERROR, logger="atmosphere.tasks"):
        task = tasks.spawn(work(), "work")
        assert task is not None
        await asyncio.wait([task])
        await asyncio.sleep(0)
    assert "owner: work failed: ValueError('broken')" in caplog.text
    await tasks.close()
