from __future__ import annotations

import asyncio

import pytest

from atmosphere.errors import DecodeError
from atmosphere.ice.portmapping.ask import Asker
from atmosphere.ice.portmapping.model import NoMapping
from atmosphere.udp.socket import UdpSocket

Address = tuple[str, int]


def whole(data: bytes) -> bytes | None:
    """An answer to us begins with "a"; anything else is another's, or nonsense."""
    if data == b"nonsense":
        raise DecodeError("nonsense")
    return data if data.startswith(b"a") else None


async def test_the_answer_among_others() -> None:
    router, stranger = UdpSocket.bind("127.0.0.1"), UdpSocket.bind("127.0.0.1")
    heard: list[bytes] = []

    def received(data: bytes, source: Address) -> None:
        heard.append(data)
        stranger.send(b"a stranger's", source)
        for answer in (b"nonsense", b"for another", b"answer", b"answer again"):
            router.send(answer, source)

    router.on_datagram = received
    asker = Asker("127.0.0.1", ("127.0.0.1", router.port))
    assert await asyncio.gather(*(asker.ask(b"question", whole) for _ in range(3))) == [b"answer"] * 3
    assert heard == [b"question"] * 3
    for sock in (asker, router, stranger):
        sock.close()


async def test_a_question_is_asked_again_and_then_given_up() -> None:
    router = UdpSocket.bind("127.0.0.1")
    heard: list[bytes] = []
    router.on_datagram = lambda data, source: heard.append(data)
    asker = Asker("127.0.0.1", ("127.0.0.1", router.port))
    with pytest.raises(NoMapping, match="no answer") as caught:
        await asker.ask(b"question", whole, (0.02, 0.02, 0.02))
    assert not caught.value.spoke
    assert heard == [b"question"] * 3
    asker.close()
    router.close()


async def test_an_answer_to_the_second_try() -> None:
    router = UdpSocket.bind("127.0.0.1")
    heard: list[bytes] = []

    def received(data: bytes, source: Address) -> None:
        heard.append(data)
        if len(heard) == 2:
            router.send(b"answer", source)

    router.on_datagram = received
    asker = Asker("127.0.0.1", ("127.0.0.1", router.port))
    assert await asker.ask(b"question", whole, (0.02, 5.0)) == b"answer"
    asker.close()
    router.close()


async def test_an_address_that_is_gone() -> None:
    with pytest.raises(NoMapping, match=r"203\.0\.113\.250"):
        Asker("203.0.113.250", ("203.0.113.1", 5351))
