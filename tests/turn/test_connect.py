"""atmosphere.turn.connect: which protocol an endpoint gets."""

from __future__ import annotations

import pytest

from atmosphere.turn.connect import connect
from atmosphere.turn.endpoint import TurnEndpoint
from atmosphere.turn.protocol import StreamTurnProtocol, UdpTurnProtocol
from atmosphere.turn.uri import Transport
from atmosphere.turn.websocket import WebSocketTurnProtocol
from tests.turn.bridge import bridged
from tests.turn.test_protocol import Owner
from tests.until import until


@pytest.mark.parametrize(
    ("transport", "kind"), [("udp", UdpTurnProtocol), ("tcp", StreamTurnProtocol), ("ws", WebSocketTurnProtocol)]
)
async def test_each_transport_has_its_protocol(transport: Transport, kind: type) -> None:
    async with bridged(("127.0.0.1", 9)) as bridge:
        owner = Owner()
        end = TurnEndpoint(("127.0.0.1", bridge.port), transport, url=f"ws://127.0.0.1:{bridge.port}/turn")
        made = await connect(end, owner)
        assert type(made) is kind
        made.transport.close()
        await until(lambda: owner.told == ["lost"])
