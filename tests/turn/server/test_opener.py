from __future__ import annotations

import errno

import pytest

from atmosphere.turn.server.errors import TurnError
from atmosphere.turn.server.host import Receive
from atmosphere.turn.server.opener import Opener
from atmosphere.turn.server.settings import TurnSettings
from tests.turn.server.script import LOCAL, PUBLIC, PaperHost, PaperRelay


def opener(host: PaperHost, first: int = 50000, last: int = 50009) -> Opener:
    settings = TurnSettings(addresses={LOCAL: PUBLIC}, min_port=first, max_port=last)
    return Opener(settings, host, lambda *arguments: None)


def test_every_port_of_the_range_is_used_and_no_other() -> None:
    host = PaperHost()
    opening = opener(host)
    opened = [opening.open(4, LOCAL)[0] for _ in range(10)]
    assert {one.address for one in opened} == {(PUBLIC, port) for port in range(50000, 50010)}
    with pytest.raises(TurnError, match="508"):
        opening.open(4, LOCAL)
    opening.close(opened[3])
    opening.close(opened[3])
    assert opening.open(4, LOCAL)[0].address == opened[3].address


def test_ports_of_other_programs_are_passed_over() -> None:
    host = PaperHost()
    host.taken = set(range(50000, 50009))
    assert opener(host).open(4, LOCAL)[0].address[1] == 50009


def test_a_pair_is_both_or_nothing() -> None:
    host = PaperHost()
    host.taken = {50001, 50003, 50005, 50007}
    first, second = opener(host).open(4, LOCAL, pair=True)
    assert (first.address[1], second.address[1]) == (50008, 50009)
    assert len(host.living) == 2


@pytest.mark.parametrize("broken", [errno.EMFILE, errno.EADDRNOTAVAIL])
def test_a_system_without_sockets_is_508_at_once(broken: int) -> None:
    host = PaperHost()
    host.broken = broken
    with pytest.raises(TurnError, match="508"):
        opener(host).open(4, LOCAL)


@pytest.mark.parametrize("broken", [errno.EMFILE, errno.ENOBUFS])
def test_nothing_is_left_where_the_second_of_a_pair_cannot_be_opened(broken: int) -> None:
    class Full(PaperHost):
        def open(self, local: str, port: int, receive: Receive) -> PaperRelay:
            if len(self.relays) % 2:
                self.relays.append(PaperRelay(local, port, receive, closed=True))
                raise OSError(broken, "no more")
            return super().open(local, port, receive)

    host = Full()
    opening = opener(host)
    for _ in range(20):
        with pytest.raises(TurnError, match="508"):
            opening.open(4, LOCAL, pair=True)
    assert host.living == []
    assert len(opening._ports[LOCAL]) == 0


def test_moving_to_another_address() -> None:
    host = PaperHost()
    opening = opener(host)
    before = opening.open(4, LOCAL)[0]
    opening.move(TurnSettings(addresses={"192.0.2.9": "198.51.100.9"}))
    after = opening.open(4, LOCAL)[0]
    assert (after.local, after.address[0]) == ("192.0.2.9", "198.51.100.9")
    opening.close(before)
    assert [relay.local for relay in host.living] == ["192.0.2.9"]
