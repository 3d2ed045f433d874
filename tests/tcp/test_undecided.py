"""The races between a connection's first byte, its deadline and its end."""

from __future__ import annotations

import asyncio
import socket
import struct
from pathlib import Path
from unittest import mock

import pytest

from atmosphere.tasks import Tasks
from atmosphere.tcp.hangup import HangUp
from atmosphere.tcp.undecided import Accepted, Maker, Undecided
from signaling.certificates import Certificates
from signaling.proxies import TrustedProxies
from tests.certificates import self_signed
from tests.until import until


class OnePort:
    """A port for one connection, on a socket pair."""

    def __init__(self, certificates: Certificates | None = None) -> None:
        self.certificates = certificates
        self.deadline = 10.0
        self.tasks = Tasks("test")
        self.told: list[bool] = []
        self.proxies = TrustedProxies(())
        self.framed: Maker | None = None

    def maker(self, first: int) -> Maker | None:
        return lambda accepted: asyncio.Protocol()

    def named(self, one: Undecided, key: str) -> bool:
        return True

    def settled(self, one: Undecided, *, silent: bool) -> None:
        self.told.append(silent)


def connected() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    far.setblocking(False)
    return near, far


async def test_who_has_said_too_little_is_looked_at_ever_more_seldom() -> None:
    port = OnePort()
    port.framed = lambda accepted: asyncio.Protocol()
    near, far = connected()
    one = Undecided(port, far, ("127.0.0.1", 1), "key")
    one._loop = loop = mock.Mock(wraps=one._loop)
    near.send(b"\0")
    for _ in range(7):
        one._look()
    assert [call.args[0] for call in loop.call_later.call_args_list] == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    one.cut()
    near.close()


async def test_it_settles_once() -> None:
    port = OnePort()
    near, far = connected()
    one = Undecided(port, far, ("127.0.0.1", 1), "key")
    one.cut(silent=True)
    one.cut()
    assert port.told == [True]
    assert far.fileno() == -1
    near.close()


@pytest.mark.parametrize("first", [b"GET", b"\x16\x03\x01"])
async def test_the_port_ends_while_a_connection_is_handed_over(first: bytes, tmp_path: Path) -> None:
    port = OnePort(Certificates(*self_signed(tmp_path)))
    near, far = connected()
    one = Undecided(port, far, ("127.0.0.1", 1), "key")
    near.send(first)
    one._look()
    await port.tasks.close()
    one.cut()
    assert far.fileno() == -1
    assert port.told == [False]
    near.close()


async def test_a_port_that_has_ended_starts_nothing() -> None:
    port = OnePort()
    await port.tasks.close()
    near, far = connected()
    one = Undecided(port, far, ("127.0.0.1", 1), "key")
    near.send(b"GET")
    one._look()
    assert far.fileno() == -1
    near.close()


async def test_a_handshake_that_ends_too_late() -> None:
    near, far = connected()
    one = Undecided(OnePort(), far, ("127.0.0.1", 1), "key")
    one.cut()
    transport = mock.Mock()
    one.secured(transport)
    transport.abort.assert_called_once_with()
    one.first_data(transport, b"GET")
    transport.set_protocol.assert_not_called()
    near.close()


async def test_a_client_that_went_before_it_was_served() -> None:
    near, far = connected()
    port = OnePort()
    one = Undecided(port, far, ("127.0.0.1", 1), "key")
    near.send(b"GET")
    one._look()
    far.close()
    await until(lambda: not len(port.tasks))
    near.close()


async def test_a_connection_that_broke_before_it_said_anything() -> None:
    near, far = connected()
    port = OnePort()
    one = Undecided(port, far, ("127.0.0.1", 1), "key")
    one._look()  # nothing is there yet, as after a false alarm
    assert port.told == []
    near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    near.close()  # with a reset
    await until(lambda: port.told)
    assert far.fileno() == -1


FRAMED = bytes.fromhex("0014 0001 0000 2112a442".replace(" ", "")) + bytes(12)


@pytest.mark.parametrize(("first", "kind"), [(FRAMED, "framed"), (FRAMED[2:], "turn")], ids=["framed", "bare"])
async def test_checks_of_ice_are_told_from_turn_however_slowly_they_come(first: bytes, kind: str) -> None:
    port, made = OnePort(), list[str]()
    near, far = connected()

    def maker(name: str) -> Maker:
        def make(accepted: Accepted) -> asyncio.Protocol:
            made.append(name)
            return HangUp()

        return make

    port.framed = maker("framed")
    with mock.patch.object(port, "maker", lambda first: maker("turn")):
        one = Undecided(port, far, ("127.0.0.1", 1), "key")
        for byte in first[:9]:
            near.send(bytes((byte,)))
            if not port.told:
                one._look()
        near.send(first[9:])
        await until(lambda: far.fileno() == -1)
    assert made == [kind]
    await port.tasks.close()
    near.close()
