"""atmosphere.ice.gathering, with a real gatherer and a server that is a list. On sockets it is in test_endpoint."""

from __future__ import annotations

import asyncio

from atmosphere.ice.events import Transmit
from atmosphere.ice.gather import Gatherer, Mapped, Silent
from atmosphere.ice.gathering import Gathering
from atmosphere.stun.message import binding_response, decode
from tests.until import until

SERVER = ("192.0.2.1", 3478)
MAPPED = ("203.0.113.5", 40000)


class Run:
    """A gatherer that runs with one base and one server."""

    def __init__(self) -> None:
        self.sent: list[Transmit] = []
        self.learned: list[Mapped | Silent] = []
        self.gatherer = Gatherer()
        self.gathering = Gathering(self.gatherer, self.sent.append, self.learned.append)
        now = asyncio.get_running_loop().time()
        self.gatherer.add_base(1, "192.0.2.7", now)
        self.gatherer.set_server("stun:one", [SERVER], now)

    def answer(self) -> None:
        response = binding_response(decode(self.sent[-1].data), MAPPED)
        assert self.gatherer.receive(response, 1, SERVER, asyncio.get_running_loop().time())
        self.gathering.run()


async def test_questions_go_out_are_repeated_by_the_timer_and_their_answers_are_told() -> None:
    run = Run()
    run.gathering.run()
    assert [(transmit.base, transmit.destination) for transmit in run.sent] == [(1, SERVER)]
    await until(lambda: len(run.sent) == 2)
    assert run.learned == []
    run.answer()
    (mapped,) = run.learned
    assert isinstance(mapped, Mapped)
    assert (mapped.base, mapped.uri, mapped.address, mapped.new) == (1, "stun:one", MAPPED, True)
    run.gathering.close()


async def test_without_servers_there_is_nothing_to_wake_it_for() -> None:
    run = Run()
    run.gathering.run()
    assert run.gathering._timer is not None
    run.gatherer.set_server("stun:one", [], 0.0)
    run.gathering.run()
    assert run.gathering._timer is None


async def test_it_is_woken_no_more_once_it_is_closed() -> None:
    run = Run()
    run.gathering.run()
    run.gathering.close()
    run.gathering.close()
    assert run.gathering._timer is None
    run.gathering.run()
    assert run.gathering._timer is None
