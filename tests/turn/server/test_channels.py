from __future__ import annotations

from atmosphere.turn.server.channels import ChannelBindings

A, B, C = ("203.0.113.1", 1), ("203.0.113.1", 2), ("203.0.113.2", 1)


def test_number_and_peer_belong_together() -> None:
    channels = ChannelBindings(10)
    assert channels.bind(0x4000, A, 0) == "bound"
    assert channels.bind(0x4000, A, 300) == "bound"
    assert channels.by_peer[A].until == channels.by_number[0x4000].until == 900
    assert channels.bind(0x4000, B, 300) == channels.bind(0x4001, A, 300) == "taken"
    assert channels.check(0x4001, B, 300) == "bound"
    assert len(channels) == 1


def test_what_has_ended_may_be_given_anew() -> None:
    channels = ChannelBindings(10)
    channels.bind(0x4000, A, 0)
    channels.bind(0x4001, B, 0)
    assert channels.bind(0x4000, B, 600) == "bound"
    assert (len(channels), list(channels.by_peer), list(channels.by_number)) == (1, [B], [0x4000])


def test_there_is_a_limit() -> None:
    channels = ChannelBindings(2)
    channels.bind(0x4000, A, 0)
    channels.bind(0x4001, B, 10)
    assert channels.bind(0x4002, C, 599) == "full"
    assert channels.bind(0x4001, B, 599) == "bound"
    assert channels.bind(0x4002, C, 600) == "bound"
    assert set(channels.by_peer) == {B, C}
