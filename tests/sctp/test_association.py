from __future__ import annotations

import random

import pytest

from atmosphere.sctp import chunks, packet, parameters
from atmosphere.sctp.chunks import Init, Sack
from atmosphere.sctp.datachannels import MAX_PEER_CHANNELS
from atmosphere.sctp.interface import MAX_MESSAGE, ChannelOptions
from atmosphere.sctp.parameters import Features
from tests.sctp.network import Network, Side, Weather, connected

PLAIN = Features(False, False, False, False)
NO_INTERLEAVING = Features(interleaving=False)


def forge(side: Side, chunk: bytes, tag: int | None = None) -> None:
    """Let a packet of that chunk come to a side, as from its peer."""
    tag = side.association._handshake.tag if tag is None else tag
    made = packet.seal(packet.head(tag), chunk)
    side.association.receive(made, len(made), side.network.now)
    side.pump()


@pytest.mark.parametrize("features", [Features(), NO_INTERLEAVING, PLAIN], ids=["all", "DATA", "plain"])
def test_channels_and_messages(features: Features) -> None:
    network = connected(features=features)
    one, other = network.one, network.other
    options = ChannelOptions("é" * 300, "p", ordered=False)
    handle = one.association.channels.open(options)
    sent: list[bytes | str] = ["", b"", "text", b"bytes", "x" * 100_000, bytes(MAX_MESSAGE)]
    for message in sent:
        one.send(handle, message)
    network.run()
    assert ("on_channel_opened", (handle, options)) in other.told
    assert sorted(map(repr, other.messages)) == sorted(repr((handle, message)) for message in sent)
    assert ("on_open", (handle,)) in one.told
    other.send(handle, b"back")
    network.run()
    assert one.messages == [(handle, b"back")]
    assert not one.association.outstanding
    one.association.channels.close(handle)
    network.run()
    for side in (one, other):
        assert ("on_channel_closed", (handle, "closed")) in side.told or not features.reset


def test_what_is_presumed_needs_no_handshake() -> None:
    network = Network()
    handle = network.one.association.channels.open(ChannelOptions(), 7)
    network.other.association.channels.open(ChannelOptions(), 7)
    network.presume()
    assert network.one.packets == network.other.packets == 0
    network.one.send(handle, b"at once")
    network.settle()
    assert network.one.packets == 1
    network.step()
    assert network.other.messages == [(handle, b"at once")]


def test_data_may_come_before_the_association_stands_here() -> None:
    network = Network()
    network.one.association.channels.open(ChannelOptions(), 7)
    network.other.association.channels.open(ChannelOptions(), 7)
    network.one.association.presume(bytes(16))
    network.one.send(7, b"early")
    network.settle()
    network.step()
    network.other.association.presume(bytes(16))
    network.run()
    assert network.other.messages == [(7, b"early")]


def test_what_is_queued_before_the_handshake_is_sent_after_it() -> None:
    network = Network()
    one = network.one.association
    handle = one.channels.open(ChannelOptions("early"))
    network.one.send(handle, "hello")
    closed = one.channels.open(ChannelOptions("closed"))
    one.channels.close(closed)
    network.start()
    network.run()
    assert (handle, "hello") in network.other.messages
    assert network.one.names().count("on_established") == 1


def test_a_handshake_survives_loss_repetition_and_collision() -> None:
    for seed in range(30):
        network = Network(Weather(loss=0.3, repeat=0.3, reorder=0.3), seed)
        handle = network.one.association.channels.open(ChannelOptions("c"))
        network.one.send(handle, b"x")
        network.start()
        network.run(60, lambda network=network: bool(network.other.messages))  # type: ignore[misc]
        assert network.other.messages == [(handle, b"x")], network.dump()


def test_a_repeated_handshake_changes_nothing() -> None:
    network = Network()
    seen: list[tuple[Side, bytes]] = []
    carry = network.carry

    def note(side: Side, packet: bytes) -> None:
        seen.append((network.peer(side), packet))
        carry(side, packet)

    network.carry = note  # type: ignore[method-assign]
    network.start()
    network.run(until=lambda: network.one.association.established and network.other.association.established)
    handle = network.one.association.channels.open(ChannelOptions())
    network.one.send(handle, b"before")
    network.run()
    network.carry = carry  # type: ignore[method-assign]
    for side, data in seen * 2:
        side.association.receive(data, len(data), network.now)
        side.pump()
    network.one.send(handle, b"after")
    network.other.send(handle, b"answer")
    network.run()
    assert [data for _, data in network.other.messages] == [b"before", b"after"]
    assert network.one.messages == [(handle, b"answer")]
    assert network.one.association.established and network.other.association.established


def test_a_peer_that_begins_anew_ends_the_old_association() -> None:
    network = connected()
    again = Network(seed=99)
    again.one.association.start(network.now)
    ((init, size),) = again.one.association.transmit(network.now)
    other = network.other.association
    other.receive(init, size, network.now)
    ((answer, size),) = other.transmit(network.now)
    again.one.association.receive(answer, size, network.now)
    ((echo, size),) = again.one.association.transmit(network.now)
    assert other.established
    other.receive(echo, size, network.now)
    assert other.over == "the peer has begun anew"


@pytest.mark.parametrize("reason", ["", "as told"])
def test_an_abort_ends_both_sides_for_good(reason: str) -> None:
    network = connected()
    handle = network.one.association.channels.open(ChannelOptions())
    network.run()
    network.one.association.abort(reason or "x")
    network.settle()
    network.run()
    for side in (network.one, network.other):
        assert side.told[-1] == ("on_closed", (reason or "x",))
        assert ("on_channel_closed", (handle, reason or "x")) in side.told
        assert side.association.deadline() is None
        assert not side.association.outstanding and not side.association.established
        side.association.abort("again")
        side.association.handle_timer(network.now)
        forge(side, chunks.encode(chunks.ABORT))
        assert side.association.transmit(network.now) == []
    assert network.one.association.over == (reason or "x")


def test_an_abort_without_words_has_a_reason_too() -> None:
    network = connected()
    forge(
        network.one, chunks.encode(chunks.ABORT, flags=chunks.TAG_REFLECTED), network.other.association._handshake.tag
    )
    assert network.one.association.over == "aborted by the peer"
    silent = Network().one
    silent.association.abort("nobody to tell")
    assert silent.association.transmit(0.0) == []


def test_an_orderly_end_waits_for_what_is_on_its_way() -> None:
    network = connected(Weather(loss=0.2))
    handle = network.one.association.channels.open(ChannelOptions())
    for _ in range(20):
        network.one.send(handle, bytes(50_000))
    network.one.association.shutdown()
    network.settle()
    network.run(600)
    assert len(network.other.messages) == 20
    assert network.one.association.over == "closed"
    assert network.other.association.over in ("closed by the peer", "the peer does not answer")


def test_only_the_right_tag_is_heard() -> None:
    network = connected()
    tag = network.one.association._handshake.tag
    forge(network.one, chunks.encode(chunks.ABORT), tag ^ 1)
    forge(network.one, chunks.encode(chunks.ABORT), 0)
    forge(network.one, chunks.encode(chunks.SHUTDOWN_COMPLETE), tag)
    forge(network.one, chunks.encode(chunks.INIT, Init(5, 1000, 1, 1, 1).encode()) * 2, 0)
    forge(network.one, chunks.encode(chunks.INIT, Init(5, 1000, 1, 1, 1).encode()), tag)
    assert network.one.association.established


def test_unknown_chunks_are_treated_as_their_type_says() -> None:
    network = connected()
    before = network.one.packets
    heartbeat = chunks.encode(chunks.HEARTBEAT, b"are you there")
    for kind, answers in ((0x3F, 0), (0x7F, 1), (0xBF, 1), (0xFF, 1)):
        forge(network.one, chunks.encode(kind, b"?") + heartbeat)
        assert network.one.packets == before + answers, kind
        before = network.one.packets


def test_a_heartbeat_is_answered_with_what_it_says() -> None:
    network = connected()
    forge(
        network.one,
        chunks.encode(chunks.HEARTBEAT, parameters.encode(1, b"info")) + chunks.encode(chunks.PAD, bytes(9)),
    )
    forge(network.one, chunks.encode(chunks.HEARTBEAT_ACK, b""))
    forge(network.one, chunks.encode(chunks.ERROR, b""))
    network.run()
    assert network.other.association.established


@pytest.mark.parametrize(
    "chunk",
    [
        Sack(99, 1000).encode(),
        chunks.encode(chunks.DATA, bytes(20), 3),
        chunks.encode(chunks.I_DATA, bytes(5), 3),
    ],
)
def test_what_no_honest_peer_sends_ends_the_association(chunk: bytes) -> None:
    network = connected()
    forge(network.one, chunk)
    assert network.one.association.over
    network.run()
    assert network.other.association.over == network.one.association.over


@pytest.mark.parametrize(
    "chunk",
    [
        chunks.encode(chunks.SACK, bytes(3)),
        chunks.encode(chunks.RE_CONFIG, bytes(3)),
        chunks.encode(chunks.SHUTDOWN, bytes(3)),
        chunks.encode(chunks.I_FORWARD_TSN, bytes(3)),
        chunks.encode(chunks.FORWARD_TSN, bytes(4)),
        chunks.encode(chunks.COOKIE_ECHO, bytes(80)),
        chunks.encode(chunks.SHUTDOWN_ACK),
        b"\0\0\0",
    ],
)
def test_what_is_broken_is_dropped(chunk: bytes) -> None:
    network = connected()
    forge(network.one, chunk)
    handle = network.other.association.channels.open(ChannelOptions())
    network.other.send(handle, b"fine")
    network.run()
    assert network.one.messages == [(handle, b"fine")]


def test_chunks_of_an_association_that_does_not_stand_are_nothing() -> None:
    side = Network().one
    for kind in (chunks.DATA, chunks.SACK, chunks.FORWARD_TSN, chunks.RE_CONFIG, chunks.SHUTDOWN, chunks.I_DATA, 0x7F):
        forge(side, chunks.encode(kind, bytes(20)))
    assert side.told == [] and side.packets == 0 and not side.association.over


def test_a_thousand_channels_open_and_close() -> None:
    network = connected()
    handles = [network.one.association.channels.open(ChannelOptions(str(place))) for place in range(1000)]
    for handle in handles:
        network.one.send(handle, str(handle))
    network.run()
    assert sorted(network.other.messages) == [(handle, str(handle)) for handle in handles]
    for handle in handles:
        network.one.association.channels.close(handle)
    network.run()
    assert network.one.association.channels.count == network.other.association.channels.count == 0


def test_the_peer_cannot_open_channels_without_end() -> None:
    network = connected()
    for _ in range(MAX_PEER_CHANNELS + 3):
        network.one.association.channels.open(ChannelOptions())
    network.run()
    assert network.other.names().count("on_channel_opened") == MAX_PEER_CHANNELS
    assert network.one.names().count("on_channel_closed") == 3


def test_a_reader_that_reads_nothing_stops_the_sender_and_costs_no_more_than_the_window() -> None:
    network = connected(Weather(delay=0.001))
    handle = network.one.association.channels.open(ChannelOptions())
    unread = 0

    def keep(name: str, arguments: tuple[object, ...]) -> None:
        nonlocal unread
        if name == "on_message":
            unread += len(arguments[1])  # type: ignore[arg-type]
            network.other.association.read(unread)

    network.other.react = keep
    for _ in range(200):
        network.one.send(handle, bytes(60_000))
    network.run(30)
    assert 3_500_000 < unread < 4_400_000
    assert network.one.association.established
    unread = 0
    network.other.association.read(0)
    network.other.react = lambda name, arguments: None
    network.run(30)
    assert len(network.other.messages) == 200


def test_many_large_messages_at_once_do_not_fill_the_window_with_halves() -> None:
    network = connected(Weather(loss=0.02), seed=3)
    handles = [network.one.association.channels.open(ChannelOptions()) for _ in range(16)]
    for handle in handles:
        network.one.send(handle, bytes(MAX_MESSAGE))
    network.run(300)
    assert sorted(handle for handle, _ in network.other.messages) == handles, network.dump()


def test_a_path_that_changed_gets_everything_again_at_once() -> None:
    network = connected()
    handle = network.one.association.channels.open(ChannelOptions())
    network.run()
    network.lose = lambda packet: True
    network.one.send(handle, b"lost")
    network.run(
        20, lambda: network.one.association.sender is not None and network.one.association.sender.recovery.timeouts > 3
    )
    network.lose = lambda packet: False
    at = network.now
    network.one.association.kick(network.now)
    network.run(5, lambda: bool(network.other.messages))
    assert network.now - at < 0.05
    Network().one.association.kick(0.0)


def test_a_path_that_changed_gets_the_acknowledgements_again() -> None:
    """What told the peer what had come went over the old path and was lost there."""
    network = connected()
    handle = network.one.association.channels.open(ChannelOptions())
    network.one.send(handle, b"first")
    network.run()
    network.one.send(handle, bytes(5000))
    network.lose = lambda sent: sent[packet.HEADER] == chunks.SACK
    network.run(5, lambda: len(network.other.messages) == 2)
    network.lose = lambda packet: False
    at = network.now
    network.other.association.kick(network.now)
    network.run(5, lambda: not network.one.association.outstanding)
    assert network.now - at < 0.0075  # the way takes 5 ms: nobody asked for it


def test_asking_and_reading_before_there_is_anything_is_fine() -> None:
    Network().one.association.probe()
    Network().one.association.read(5)


@pytest.mark.parametrize("seed", range(4))
def test_mutated_packets_raise_nothing(seed: int) -> None:
    rng = random.Random(seed)
    network = connected(seed=seed)
    seen: list[bytes] = []

    def note(data: bytes) -> bool:
        seen.append(data)
        return False

    network.lose = note
    handle = network.one.association.channels.open(ChannelOptions("c"))
    for _ in range(5):
        network.one.send(handle, rng.randbytes(3000))
    network.one.association.channels.close(handle)
    network.run()
    for _ in range(3000):
        data = bytearray(rng.choice(seen))
        for _ in range(rng.randrange(1, 4)):
            data[rng.randrange(12, len(data))] = rng.choice((0, 1, 255, rng.randrange(256)))
        forge(network.other, bytes(data[12:]))
        if network.other.association.over:
            network = connected(seed=seed)
