"""atmosphere.ice.resolve."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

import pytest

from atmosphere.errors import Unreachable
from atmosphere.ice import resolve as module
from atmosphere.ice.resolve import MOST, resolve
from tests.until import until


def info(address: str) -> tuple[Any, ...]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return (family, socket.SOCK_DGRAM, 17, "", (address, 0))


async def test_a_literal_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", None)
    assert await resolve("192.0.2.1", 1) == [("192.0.2.1", 1)]
    assert await resolve("2001:DB8::1", 1) == [("2001:db8::1", 1)]


async def test_one_address_of_each_family_in_the_systems_order(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [info("2001:db8::1"), info("2001:db8::2"), info("192.0.2.1"), info("192.0.2.2")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: found)
    assert await resolve("example.org", 5) == [("2001:db8::1", 5), ("192.0.2.1", 5)]


@pytest.mark.parametrize("error", [socket.gaierror("no"), UnicodeError("label too long")])
async def test_no_such_name_is_one_line(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(Unreachable, match=r"no address for example\.org in DNS"):
        await resolve("example.org", 5)


async def test_a_silent_dns_server_holds_nobody_up_and_uses_bounded_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    def hang(*args: Any, **kwargs: Any) -> list[Any]:
        release.wait(10)
        return [info("192.0.2.1")]

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    answers = await asyncio.gather(
        *(resolve("example.org", 5, timeout=0.05) for _ in range(MOST + 3)), return_exceptions=True
    )
    reasons = [str(answer) for answer in answers]
    assert reasons.count("too many names are being looked up") == 3
    assert reasons.count("no answer from DNS for example.org") == MOST
    release.set()
    await until(lambda: not any(one.name.startswith("resolve") for one in threading.enumerate()))
    assert await resolve("example.org", 5) == [("192.0.2.1", 5)]


def test_an_answer_after_the_loop_has_ended_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.new_event_loop()
    answer: asyncio.Future[list[str]] = loop.create_future()
    loop.close()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: [info("192.0.2.1")])
    module._slots.acquire()
    module._look_up("example.org", loop, answer)
    assert not answer.done()
