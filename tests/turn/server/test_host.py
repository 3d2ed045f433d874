from __future__ import annotations

from typing import get_type_hints

from atmosphere.turn.server.host import Host, Relay
from atmosphere.turn.server.relayed_socket import RelayedSocket
from atmosphere.turn.server.service import TurnService
from tests.turn.server.script import PaperHost, PaperRelay


def test_what_the_core_asks_for_is_there() -> None:
    hosts: tuple[type[Host], ...] = (TurnService, PaperHost)
    relays: tuple[type[Relay], ...] = (RelayedSocket, PaperRelay)
    for name in ("open", "ended"):
        assert {len(get_type_hints(getattr(one, name))) for one in hosts} == {len(get_type_hints(getattr(Host, name)))}
    assert all(callable(one.send) and callable(one.close) for one in relays)
