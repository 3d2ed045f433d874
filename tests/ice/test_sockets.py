"""atmosphere.ice.sockets."""

from __future__ import annotations

import errno
import itertools
from collections.abc import Callable

import pytest

from atmosphere.errors import AtmosphereError
from atmosphere.ice import sockets as module
from atmosphere.ice.settings import IceSettings
from atmosphere.ice.sockets import Sockets, preference
from atmosphere.udp.addresses import LocalAddress, Quality
from atmosphere.udp.socket import UdpSocket


def make(settings: IceSettings, log: list[str] | None = None) -> Sockets:
    numbers = itertools.count(1)
    log = [] if log is None else log
    return Sockets(
        settings,
        lambda: next(numbers),
        lambda base, sock: log.append(f"+{base.candidate.address}"),
        lambda base: log.append(f"-{base.candidate.address}"),
    )


async def test_one_port_on_every_address() -> None:
    log: list[str] = []
    sockets = make(IceSettings(addresses=("127.0.0.1", "127.0.0.2", "192.0.2.77")), log)
    sockets.open()
    assert sockets.addresses == ["127.0.0.1", "127.0.0.2"]  # the third is not this machine's
    assert log == ["+127.0.0.1", "+127.0.0.2"]
    assert {sock.port for _, sock in sockets._open.values()} == {sockets.port}
    assert not sockets.refresh()
    sockets.close()
    assert sockets.addresses == []


async def test_port_0_is_a_port_free_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    bind = UdpSocket.bind
    calls: list[int] = []

    def busy_once(address: str, port: int = 0) -> UdpSocket:
        calls.append(port)
        if len(calls) == 2:
            raise OSError(errno.EADDRINUSE, "in use")
        return bind(address, port)

    monkeypatch.setattr(UdpSocket, "bind", busy_once)
    sockets = make(IceSettings(addresses=("127.0.0.1", "127.0.0.2")))
    sockets.open()
    assert len(calls) == 4
    sockets.close()


@pytest.mark.parametrize(
    ("error", "port", "line"),
    [
        (errno.EADDRINUSE, 7777, "UDP port 7777 is in use"),
        (errno.EACCES, 53, "UDP port 53 is not allowed"),
        (errno.ENOBUFS, 7777, "cannot listen on UDP port 7777"),
        (errno.EADDRINUSE, 0, "no UDP port is free"),
        (errno.EADDRNOTAVAIL, 7777, "no address to listen on"),
    ],
)
async def test_what_cannot_be_bound_is_one_line(
    monkeypatch: pytest.MonkeyPatch, error: int, port: int, line: str
) -> None:
    def fail(address: str, port: int = 0) -> UdpSocket:
        raise OSError(error, "because")

    monkeypatch.setattr(UdpSocket, "bind", fail)
    with pytest.raises(AtmosphereError, match=line):
        make(IceSettings(addresses=("127.0.0.1",), port=port)).open()


async def test_loopback_when_asked_for_or_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    present = [LocalAddress("x", "127.0.0.3", 4, Quality.WIRED)]
    monkeypatch.setattr(module, "local_addresses", lambda: present)
    asked = make(IceSettings(loopback=True))
    asked.open()
    assert asked.addresses[:2] == ["127.0.0.3", "127.0.0.1"]
    asked.close()
    present.clear()
    alone = make(IceSettings())
    alone.open()
    assert alone.addresses[0] == "127.0.0.1"
    alone.close()


async def test_addresses_are_followed_and_loopback_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    present: list[LocalAddress] = []
    monkeypatch.setattr(module, "local_addresses", lambda: present)
    kinds: Callable[[str], str] = lambda address: "loopback" if address in ("127.0.0.1", "::1") else "private"  # noqa: E731
    monkeypatch.setattr(module, "address_class", kinds)
    log: list[str] = []
    sockets = make(IceSettings(), log)
    sockets.open()
    present.append(LocalAddress("x", "127.0.0.3", 4, Quality.WIRED))
    present.append(LocalAddress("x", "192.0.2.77", 4, Quality.WIRED))
    log.clear()
    assert sockets.refresh()
    assert not sockets.refresh()
    present.clear()
    assert sockets.refresh()
    assert log == ["+127.0.0.3", "-127.0.0.3"]
    assert "127.0.0.1" in sockets.addresses
    sockets.close()


def test_preferences_are_unique_and_ordered_by_interface_then_place() -> None:
    found = [
        preference(quality, place, number)
        for number, (quality, place) in enumerate((quality, place) for quality in (5, 4, 0) for place in range(16))
    ]
    assert found == sorted(set(found), reverse=True)
    assert all(0 <= one <= 65535 for one in found)
    assert preference(99, 1000, 10**6) <= 65535


async def test_an_address_that_comes_late_ranks_by_its_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """IPv6's duplicate address detection ends seconds after IPv4 is there: the order must not be the arrival's."""
    present = [LocalAddress("x", "127.0.0.3", 4, Quality.WIRED)]
    monkeypatch.setattr(module, "local_addresses", lambda: present)
    sockets = make(IceSettings())
    sockets.open()
    present.insert(0, LocalAddress("x", "::1", 6, Quality.WIRED))
    assert sockets.refresh()
    assert sockets.names == {"x"}
    late, early = (sockets._open[one][0].candidate.priority for one in ("::1", "127.0.0.3"))
    assert late > early
    sockets.close()


def test_kinds_of_addresses_in_their_order() -> None:
    assert sorted(["fd00::1", "192.0.2.1", "2001:db8::1"], key=module._place) == ["2001:db8::1", "192.0.2.1", "fd00::1"]


async def test_preferences_stay_unique_when_the_numbers_begin_again(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = iter([1, 257, 513])
    settings = IceSettings(("127.0.0.1", "127.0.0.2", "127.0.0.3"))
    sockets = Sockets(settings, numbers.__next__, lambda base, sock: None, lambda base: None)
    sockets.open()
    found = [base.candidate.priority for base, _ in sockets._open.values()]
    assert len(set(found)) == 3
    assert found == sorted(found, reverse=True)
    sockets.close()
