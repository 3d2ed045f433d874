"""atmosphere.light: asyncio's Event and Queue, as far as they are used, and small while nobody waits."""

from __future__ import annotations

import asyncio
import sys

import pytest

from atmosphere.light import Event, Queue


async def test_an_event_wakes_all_who_wait_even_if_it_is_cleared_at_once() -> None:
    event = Event()
    waiting = [asyncio.ensure_future(event.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    event.set()
    event.set()
    event.clear()
    assert not event.is_set()
    await asyncio.gather(*waiting[1:])
    with pytest.raises(asyncio.CancelledError):
        await waiting[0]
    event.set()
    await event.wait()
    assert event.is_set()
    assert not event._waiters


async def test_a_queue_keeps_the_order_and_its_bound() -> None:
    queue: Queue[int] = Queue(3)
    for number in range(3):
        queue.put_nowait(number)
    assert queue.full()
    with pytest.raises(asyncio.QueueFull):
        queue.put_nowait(3)
    assert [await queue.get(), queue.get_nowait()] == [0, 1]
    assert queue.qsize() == 1
    assert await queue.get() == 2
    with pytest.raises(asyncio.QueueEmpty):
        queue.get_nowait()


async def test_readers_of_an_empty_queue_wait_and_each_gets_one() -> None:
    queue: Queue[int] = Queue(3)
    readers = [asyncio.ensure_future(queue.get()) for _ in range(3)]
    await asyncio.sleep(0)
    readers[1].cancel()
    queue.put_nowait(1)
    await asyncio.sleep(0)
    queue.put_nowait(2)
    assert sorted(await asyncio.gather(readers[0], readers[2])) == [1, 2]


async def test_join_waits_until_all_that_was_taken_is_dealt_with() -> None:
    queue: Queue[int] = Queue(3)
    await queue.join()
    queue.put_nowait(1)
    queue.put_nowait(2)
    joined = asyncio.ensure_future(queue.join())
    for number in (1, 2):
        assert await queue.get() == number
        await asyncio.sleep(0)
        assert not joined.done()
        queue.task_done()
    await joined


async def test_they_are_small() -> None:
    event = Event()
    assert sys.getsizeof(event) + sys.getsizeof(event._waiters) < 200
