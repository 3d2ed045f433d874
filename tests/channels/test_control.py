from __future__ import annotations

from atmosphere.channels import wire
from atmosphere.channels.control import ControlSender


def test_messages_are_sent_at_once_while_there_is_room() -> None:
    sent: list[bytes] = []
    control = ControlSender(sent.append, lambda: True)
    control.send(wire.Blocked(4))
    assert sent == [wire.encode(wire.Blocked(4))]


def test_what_waits_is_coalesced_bounded_and_flushed() -> None:
    sent: list[bytes] = []
    room = False
    control = ControlSender(sent.append, lambda: room)
    for limit in range(10):
        control.send(wire.Grant(4, limit))
    control.send(wire.Blocked(4))
    control.send(wire.Stop(6))
    control.forget(6)
    control.flush()
    assert sent == []
    room = True
    control.flush()
    assert sent[:2] == [wire.encode(wire.Grant(4, 9)), wire.encode(wire.Blocked(4))]
    assert len(sent) == 2
