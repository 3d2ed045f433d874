from __future__ import annotations

import pytest

from atmosphere.sctp import dcep
from atmosphere.sctp.datachannels import BINARY, DCEP, LOW_MARK, MAX_PEER_CHANNELS, STRING, DataChannels, Told
from atmosphere.sctp.interface import MAX_MESSAGE, ChannelOptions
from atmosphere.sctp.ordering import Message
from atmosphere.sctp.outgoing import OutgoingQueue
from atmosphere.sctp.reset import StreamReset


def table(*, client: bool = True, first_id: int = 0) -> tuple[DataChannels, OutgoingQueue, list[Told], StreamReset]:
    queue, reset = OutgoingQueue(), StreamReset(1, 1)
    told: list[Told] = []
    channels = DataChannels(queue, told, client=client, first_id=first_id)
    channels.established(reset, 65535, can_reset=True)
    return channels, queue, told, reset


def waits(reset: StreamReset) -> bool:
    """Whether a reset is asked for."""
    return reset.has_work(1e9)


def empty(queue: OutgoingQueue) -> list[tuple[int, int, bytes, bool]]:
    """What was queued, as if it had been sent."""
    found = []
    while (message := queue.current(0.0)) is not None:
        queue.begin(message)
        found.append((message.stream, message.protocol, message.data, message.unordered))
        queue.spend(message, len(message.data))
    return found


def test_a_channel_is_announced_and_its_messages_keep_behind_that() -> None:
    channels, queue, told, _ = table()
    options = ChannelOptions("c", ordered=False)
    handle = channels.open(options)
    channels.send(handle, "early", 0.0)
    assert empty(queue) == [(0, DCEP, dcep.encode_open(options), False), (0, STRING, b"early", False)]
    channels.receive(Message(handle, DCEP, dcep.ACK))
    channels.receive(Message(handle, DCEP, dcep.ACK))
    assert told == [("on_open", (handle,))]
    channels.send(handle, b"later", 0.0)
    assert empty(queue) == [(0, BINARY, b"later", True)]


def test_limits_and_priorities_reach_the_queue() -> None:
    channels, queue, _, _ = table()
    for options in (ChannelOptions(max_retransmits=0), ChannelOptions(max_lifetime_ms=500), ChannelOptions()):
        channels.open(options, len(queue._lanes) + 10)
        channels.send(channels.open(options), b"x", 10.0)
    assert [(lane.messages[-1].most_sent, lane.messages[-1].expires) for lane in queue._lanes.values()] == [
        (1, None),
        (None, 10.5),
        (None, None),
    ]


def test_ids_of_our_parity_are_given_out_in_turn() -> None:
    channels, queue, _, _ = table(first_id=3)
    assert [channels.open(ChannelOptions()) for _ in range(3)] == [4, 6, 8]
    channels.ids = 12
    assert channels.open(ChannelOptions()) == 10
    with pytest.raises(ValueError, match="no channel id"):
        channels.open(ChannelOptions())
    assert table(client=False, first_id=3)[0].open(ChannelOptions()) == 3
    with pytest.raises(ValueError, match="taken"):
        channels.open(ChannelOptions(), 4)
    with pytest.raises(ValueError, match="range"):
        channels.open(ChannelOptions(), 65535)
    with pytest.raises(ValueError, match="too large"):
        channels.send(4, bytes(MAX_MESSAGE + 1), 0.0)
    with pytest.raises(ValueError, match="closed"):
        channels.send(5, b"", 0.0)
    assert empty(queue)


def test_a_channel_is_closed_in_both_directions() -> None:
    channels, queue, told, reset = table()
    handle = channels.open(ChannelOptions())
    channels.send(handle, b"first", 0.0)
    channels.close(handle)
    with pytest.raises(ValueError, match="closed"):
        channels.send(handle, b"x", 0.0)
    assert not waits(reset)
    empty(queue)
    channels.drained()
    assert waits(reset)
    channels.reset_done((handle,))
    assert told == []
    channels.peer_reset((handle,))
    assert told == [("on_channel_closed", (handle, "closed"))]
    channels.close(handle)
    channels.reset_done((handle, 99))


def test_the_peers_close_drops_what_waits() -> None:
    channels, queue, told, reset = table()
    handle = channels.open(ChannelOptions(), 5)
    channels.send(handle, b"nobody reads this", 0.0)
    channels.peer_reset(())
    assert waits(reset) and not queue
    channels.reset_done((handle,))
    assert told == [("on_channel_closed", (handle, "closed"))]


def test_without_resets_a_channel_just_ends() -> None:
    channels, queue, told, reset = table()
    channels.established(reset, 100, can_reset=False)
    handle = channels.open(ChannelOptions())
    channels.close(handle)
    empty(queue)
    channels.drained()
    assert told == [("on_channel_closed", (handle, "closed"))]


def test_room_is_told_once_there_is_some() -> None:
    channels, queue, told, _ = table()
    handle = channels.open(ChannelOptions(), 0)
    for _ in range(3):
        channels.send(handle, bytes(LOW_MARK // 2), 0.0)
    channels.drained()
    assert told == []
    message = queue.current(0.0)
    assert message is not None
    queue.begin(message)
    queue.spend(message, len(message.data))
    channels.drained()
    channels.drained()
    assert told == [("on_buffered_low", (handle,))]


def test_the_peers_channels_are_bounded() -> None:
    channels, queue, told, reset = table()
    for stream in range(1, 2 * MAX_PEER_CHANNELS + 5, 2):
        channels.receive(Message(stream, DCEP, dcep.encode_open(ChannelOptions(str(stream)))))
    assert len(told) == MAX_PEER_CHANNELS
    assert [data for _, _, data, _ in empty(queue)] == [dcep.ACK] * MAX_PEER_CHANNELS
    assert waits(reset)


def test_what_came_before_its_channel_is_kept() -> None:
    channels, _, told, _ = table()
    channels.receive(Message(7, BINARY, b"early"))
    channels.receive(Message(9, STRING, b"negotiated"))
    channels.receive(Message(7, DCEP, dcep.encode_open(ChannelOptions())))
    assert [name for name, _ in told] == ["on_channel_opened", "on_message"]
    channels.open(ChannelOptions(), 9)
    channels.deliver_early(9)
    assert told[-1] == ("on_message", (9, "negotiated"))
    channels.deliver_early(11)


def test_what_is_no_message_does_no_harm() -> None:
    channels, _, told, reset = table()
    channels.receive(Message(1, DCEP, dcep.encode_open(ChannelOptions())))
    told.clear()
    for protocol, data in ((DCEP, dcep.encode_open(ChannelOptions())), (DCEP, b"\3"), (DCEP, dcep.ACK), (99, b"x")):
        channels.receive(Message(1, protocol, data))
        channels.receive(Message(3, DCEP, b"\7"))
    assert told == [] and not waits(reset)
    channels.receive(Message(1, STRING, b"\xff"))
    assert waits(reset)


def test_the_end_of_all() -> None:
    channels, queue, told, _ = table()
    for _ in range(3):
        channels.close(channels.open(ChannelOptions()))
    channels.end("over")
    assert [arguments for _, arguments in told] == [(0, "over"), (2, "over"), (4, "over")]
    assert channels.count == 0 and not queue
