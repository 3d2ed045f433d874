"""What is kept of one link."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from atmosphere.mesh import hardnat_told as module
from atmosphere.mesh import wire
from atmosphere.mesh.hardnat_rules import UNTOLD
from atmosphere.mesh.hardnat_told import Told, proven
from tests.mesh.fakes import FakeSession
from tests.mesh.hardnat_fakes import DIRECT, RELAYED, Endpoint, Link, pairs

THERE = "203.0.113.2"
ENDPOINT = Endpoint("endpoint-independent", None)
STOP, READY = wire.Punch("stop", 1, "u"), wire.Punch("ready", 1, "u")


async def test_a_word_ends_the_wait_for_news() -> None:
    told = Told()
    await told.wait_for_news(0.01)
    told.hear(UNTOLD)
    await asyncio.wait_for(told.wait_for_news(1000), 5)
    waiting = asyncio.ensure_future(told.wait_for_news(1000))
    await asyncio.sleep(0)
    assert not waiting.done()
    told.hear(UNTOLD)
    told.hear(UNTOLD)
    await asyncio.wait_for(waiting, 5)
    assert not told.has_news


async def test_the_first_word_is_the_answer_and_a_later_stop_ends_the_search() -> None:
    told, stopped = Told(), list[bool]()
    told.answered(READY)
    told.answered(STOP)
    told.answer = asyncio.get_running_loop().create_future()
    told.answered(READY)
    assert told.answer.result() is READY
    told.run = cast("Any", SimpleNamespace(stop=lambda: stopped.append(True)))
    told.answered(READY)
    assert not stopped
    told.answered(STOP)
    assert stopped == [True]


@pytest.mark.parametrize(("path", "waits"), [(RELAYED, True), (DIRECT, False)], ids=["relayed", "direct"])
async def test_a_proof_is_waited_for_on_a_relayed_path(
    monkeypatch: pytest.MonkeyPatch, path: object, waits: bool
) -> None:
    monkeypatch.setattr(module, "LOOK", 0.01)
    link = Link("b", FakeSession())
    link.session.path, link.session.pairs = path, pairs(THERE, proven=False)
    waiting = asyncio.ensure_future(proven(ENDPOINT.real, link.real, THERE, 1000))
    await asyncio.sleep(0)
    assert waiting.done() is not waits
    link.session.pairs = pairs(THERE)
    await asyncio.wait_for(waiting, 5)
    link.session.pairs = []
    await asyncio.wait_for(proven(ENDPOINT.real, link.real, THERE, 0.02), 5)


async def test_the_peers_own_relay_brings_no_proof() -> None:
    endpoint, link = Endpoint("endpoint-independent", None), Link("b", FakeSession())
    link.session.path, link.session.pairs, endpoint.lent = RELAYED, pairs(THERE), {"b": {1}}
    waiting = asyncio.ensure_future(proven(endpoint.real, link.real, THERE, 1000))
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()
