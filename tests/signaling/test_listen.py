from __future__ import annotations

import errno
import socket

import pytest

from signaling import listen


async def test_all_addresses_share_one_chosen_port() -> None:
    sockets = await listen.listening_sockets(["127.0.0.1", "127.0.0.2", "127.0.0.1"], 0)
    names = [sock.getsockname() for sock in sockets]
    for sock in sockets:
        sock.close()
    assert [address for address, _ in names] == ["127.0.0.1", "127.0.0.2"]
    assert len({port for _, port in names}) == 1


async def test_a_taken_port_is_an_error_and_leaves_no_socket() -> None:
    with socket.create_server(("127.0.0.2", 0)) as taken:
        with pytest.raises(OSError, match="in use"):
            await listen.listening_sockets(["127.0.0.1", "127.0.0.2"], taken.getsockname()[1])


async def test_an_address_that_is_not_ours_is_an_error() -> None:
    with pytest.raises(OSError, match="assign"):
        await listen.listening_sockets("192.0.2.1", 0)


async def test_a_family_that_the_machine_lacks_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    real = listen._bind

    def only_ipv4(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "no such family")
        return real(family, address, port)

    monkeypatch.setattr(listen, "_bind", only_ipv4)
    [bound] = await listen.listening_sockets(None, 0)
    bound.close()
    with pytest.raises(OSError, match="no such family"):
        await listen.listening_sockets("::1", 0)


async def test_without_any_address_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*_: object) -> socket.socket:
        raise OSError(errno.EADDRNOTAVAIL, "none")

    monkeypatch.setattr(listen, "_bind", nothing)
    with pytest.raises(OSError, match="no address"):
        await listen.listening_sockets(None, 0)


async def test_another_port_is_tried_when_the_chosen_one_is_taken_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    real, tried = listen._bind, []

    def second_is_taken_once(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
        tried.append(port)
        if len(tried) == 2:
            raise OSError(errno.EADDRINUSE, "taken")
        return real(family, address, port)

    monkeypatch.setattr(listen, "_bind", second_is_taken_once)
    sockets = await listen.listening_sockets(["127.0.0.1", "127.0.0.2"], 0)
    assert len(sockets) == 2
    assert tried[2] == 0
    for sock in sockets:
        sock.close()
