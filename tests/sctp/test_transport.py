from __future__ import annotations

from atmosphere.sctp.interface import ChannelOptions
from tests.sctp.wire import carry, kinds, two_sides


async def test_what_is_outstanding_and_what_is_busy() -> None:
    one, other = await two_sides()
    handle = one.association.open(ChannelOptions())
    seen = [(one.transport.outstanding, one.transport.busy)]
    await carry(one, other)
    seen.append((one.transport.outstanding, one.transport.busy))
    one.association.send(handle, bytes(100_000))
    seen.append((one.transport.outstanding, one.transport.busy))
    await carry(one, other)
    seen.append((one.transport.outstanding, one.transport.busy))
    assert seen == [(True, False), (False, False), (True, True), (False, False)]


async def test_both_sides_may_close_at_once() -> None:
    one, other = await two_sides()
    handles = [one.association.open(ChannelOptions()) for _ in range(3)]
    await carry(one, other)
    for handle in handles:
        one.association.close(handle)
        other.association.close(handle)
    await carry(one, other)
    assert one.log.closed_channels == other.log.closed_channels == handles
    assert one.transport._data_channels == other.transport._data_channels == {}
    one.transport._data_channel_closed(handles[0])


async def test_a_stream_id_can_be_used_again() -> None:
    one, other = await two_sides()
    for message in (b"first", b"second"):
        one.association._next_id = 0
        handle = one.association.open(ChannelOptions())
        assert handle == 0
        one.association.send(handle, message)
        one.association.send(handle, message)
        await carry(one, other)
        one.association.close(handle)
        await carry(one, other)
    assert [data for _, data in other.log.messages] == [b"first"] * 2 + [b"second"] * 2


async def test_the_streams_are_what_both_allow() -> None:
    one, other = await two_sides()
    assert one.transport.stream_count == other.transport.stream_count == 65535
    one.transport._outbound_streams_count = 4
    assert [one.association.open(ChannelOptions()) for _ in range(2)] == [0, 2]
    try:
        one.association.open(ChannelOptions())
    except ValueError as error:
        assert "free" in str(error)
    else:
        raise AssertionError("there were only two")
    assert kinds(one.take())
