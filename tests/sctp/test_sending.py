from __future__ import annotations

from atmosphere.sctp.interface import ChannelOptions
from atmosphere.sctp.sending import HANDSHAKE_TRIES, INITIAL_WINDOW, RTO_LEAST, RTO_MOST, SEGMENT
from tests.sctp.wire import Side, carry, kinds, two_sides


async def test_the_handshake_is_sent_again_and_given_up() -> None:
    side = Side(client=True)
    side.association.start()
    side.association.kick()
    for _ in range(HANDSHAKE_TRIES - 1):
        side.transport._t1_expired()
    assert kinds(side.take()) == ["InitChunk"] * (HANDSHAKE_TRIES + 1)
    side.transport._t1_expired()
    assert side.log.reason == "the peer does not answer"


async def test_the_retransmission_timer_backs_off_and_recovers() -> None:
    one, other = await two_sides()
    handle = one.association.open(ChannelOptions())
    one.association.send(handle, b"x" * 3000)
    one.take()
    delays = []
    for _ in range(5):
        delays.append(one.transport._t3_delay())
        one.transport._t3_expired()
        assert one.take() != []
    assert delays == sorted(delays)
    assert delays[-1] == RTO_MOST
    one.transport._t3_expired()
    await carry(one, other)
    assert one.transport._timeouts == 0
    assert other.log.messages == [(handle, b"x" * 3000)]
    assert not one.association.outstanding


async def test_a_kick_sends_again_and_keeps_half_the_window() -> None:
    one, other = await two_sides()
    handle = one.association.open(ChannelOptions())
    for _ in range(20):
        one.association.send(handle, bytes(16_000))
    await carry(one, other)
    window = one.transport._cwnd
    one.association.send(handle, b"lost")
    one.take()
    one.association.kick()
    assert one.transport._cwnd >= window // 2
    await carry(one, other)
    assert other.log.messages[-1] == (handle, b"lost")
    one.association.kick()
    assert one.take() == []


async def test_after_an_outage_nothing_stays_backed_off_and_the_window_grows_back() -> None:
    one, other = await two_sides()
    handle = one.association.open(ChannelOptions())
    for _ in range(20):
        one.association.send(handle, bytes(16_000))
    await carry(one, other)
    window = one.transport._cwnd
    for _ in range(20):
        one.association.send(handle, bytes(16_000))
    one.take()
    for _ in range(5):
        one.transport._t3_expired()
    one.take()
    assert one.transport._t3_delay() == RTO_MOST
    assert one.transport._ssthresh < window // 2
    one.association.kick()
    assert len(one.take()) >= INITIAL_WINDOW // SEGMENT
    assert one.transport._t3_delay() == one.transport._rto
    assert (one.transport._cwnd, one.transport._ssthresh) == (INITIAL_WINDOW, window)
    one.association.kick()
    await carry(one, other)
    assert len(other.log.messages) == 40
    assert not one.association.outstanding


async def test_a_probe_asks_for_an_acknowledgement_and_only_where_one_is_owed() -> None:
    one, other = await two_sides()
    handle = one.association.open(ChannelOptions())
    one.association.probe()
    await carry(one, other)
    one.association.send(handle, b"lost")
    one.take()
    window = one.transport._cwnd
    one.association.probe()
    assert one.transport._cwnd == window
    await carry(one, other)
    assert other.log.messages == [(handle, b"lost")]
    assert not one.association.outstanding
    one.association.probe()
    assert one.take() == []


async def test_a_kick_repeats_a_stream_reset_too() -> None:
    one, other = await two_sides()
    handle = one.association.open(ChannelOptions())
    await carry(one, other)
    one.association.close(handle)
    one.take()
    for _ in range(5):
        one.transport._reconfig_timer_expired()
    one.take()
    one.association.kick()
    assert kinds(one.take()) == ["ReconfigChunk"]
    assert one.transport._reconfig_failures == 1
    await carry(one, other)
    one.association.kick()
    await carry(one, other)
    assert one.log.closed_channels == [handle]


async def test_a_stream_reset_is_sent_until_it_is_answered() -> None:
    one, other = await two_sides()
    handle = one.association.open(ChannelOptions())
    await carry(one, other)
    one.association.close(handle)
    assert kinds(one.take()) == ["ReconfigChunk"]
    for _ in range(20):
        one.transport._reconfig_timer_expired()
    assert kinds(one.take()) == ["ReconfigChunk"] * 20
    one.transport._reconfig_timer_expired()
    await carry(one, other)
    assert one.log.closed_channels == other.log.closed_channels == [handle]
    one.transport._reconfig_timer_cancel()
    one.transport._reconfig_timer_expired()
    assert one.take() == []


async def test_round_trip_times_stay_sensible_when_the_clock_jumps() -> None:
    one, _ = await two_sides()
    for measured in (-5000.0, 0.0, 1e9):
        one.transport._update_rto(measured)
        assert RTO_LEAST <= one.transport._rto <= RTO_MOST


async def test_the_window_is_bounded_by_what_the_peer_takes() -> None:
    one, other = await two_sides()
    handle = one.association.open(ChannelOptions())
    other.transport._advertised_rwnd = 5000
    for _ in range(30):
        one.association.send(handle, bytes(16_000))
    await carry(one, other)
    assert one.transport._cwnd <= 5000 + 1160
    assert len(other.log.messages) == 30


async def test_a_loss_in_a_small_flight_is_mended_without_a_timer() -> None:
    one, other = await two_sides()
    handle = one.association.open(ChannelOptions())
    await carry(one, other)
    for message in (b"lost", b"arrives"):
        one.association.send(handle, message)
    del one.out[0]
    await carry(one, other)
    assert [data for _, data in other.log.messages] == [b"lost", b"arrives"]


async def test_a_lost_tail_is_probed_and_mended() -> None:
    one, other = await two_sides()
    handle = one.association.open(ChannelOptions())
    await carry(one, other)
    one.transport._cwnd = 20_000
    one.association.send(handle, bytes(4_600))
    del one.out[2:]
    await carry(one, other)
    assert other.log.messages == []
    one.transport._timeouts = 0
    one.transport._t3_restart()
    assert one.transport._probe_handle is not None
    one.transport._probe()
    assert kinds(one.out) == ["DataChunk"]
    window = one.transport._cwnd
    await carry(one, other)
    assert other.log.messages == [(handle, bytes(4_600))]
    assert one.transport._cwnd >= window // 2
    assert not one.association.outstanding
    one.transport._probe()
    assert one.take() == []


async def test_probes_stop_with_the_association() -> None:
    one, other = await two_sides()
    handle = one.association.open(ChannelOptions())
    await carry(one, other)
    one.association.send(handle, b"x")
    probe = one.transport._probe_handle
    assert probe is not None
    one.association.abort("enough")
    assert probe.cancelled()
