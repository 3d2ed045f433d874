from __future__ import annotations

import os
import random

import pytest

from atmosphere.sctp import chunks, packet, parameters
from atmosphere.sctp.interface import ChannelOptions
from atmosphere.sctp.packet import MTU
from atmosphere.sctp.pathmtu import MAX_PROBES, PROBE_TIMER, RAISE_TIMER, SHRUNK_TIMER, STEPS, WORTH, PathMtu
from tests.sctp.network import Network, Weather
from tests.support import seeds

WIDEST = STEPS[-1]


def search(path: PathMtu, width: int, now: float) -> float:
    """Answer every probe that fits; the time when the search is over."""
    while path.due < float("inf"):
        now = max(now, path.due)
        found = chunks.decode_all(path.probe(now))
        if not found:
            break
        assert [kind for kind, _, _ in found] == [chunks.HEARTBEAT, chunks.PAD]
        if packet.HEADER + sum(4 + len(value) for _, _, value in found) <= width:
            assert path.answered(found[0][2], now)
    return now


@pytest.mark.parametrize(
    ("width", "found"),
    [(MTU, MTU), (1263, MTU), (1264, 1264), (1435, 1432), (9000, 8912), (16335, 8912), (65000, 16336)],
)
def test_the_largest_step_that_fits_is_found(width: int, found: int) -> None:
    path = PathMtu(os.urandom)
    path.carried(WORTH - 1, 5.0)
    assert path.due == float("inf")
    path.carried(1, 5.0)
    over = search(path, width, 5.0)
    assert path.size == found and over - 5.0 <= MAX_PROBES * PROBE_TIMER
    path.carried(10 * WORTH, over + RAISE_TIMER - 1)
    assert path.due == float("inf")
    path.carried(WORTH, over + RAISE_TIMER)
    assert (path.due < float("inf")) == (found < WIDEST)


def test_a_path_that_has_become_narrow_is_searched_again_a_while_later() -> None:
    path = PathMtu(os.urandom)
    path.carried(WORTH, 0.0)
    search(path, 2000, 0.0)
    path.shrunk(10.0)
    assert path.size == MTU
    path.carried(WORTH, 10.0 + SHRUNK_TIMER - 0.1)
    assert path.due == float("inf")
    path.carried(WORTH, 10.0 + SHRUNK_TIMER)
    search(path, 1400, 80.0)
    assert path.size == 1332


def test_only_the_answer_to_the_last_probe_counts() -> None:
    path = PathMtu(os.urandom)
    assert not path.answered(parameters.encode(parameters.HEARTBEAT_INFO, b""), 0.0)
    path.carried(WORTH, 0.0)
    first = chunks.decode_all(path.probe(0.0))[0][2]
    path.probe(PROBE_TIMER)
    assert not path.answered(first, 1.1)
    assert not path.answered(b"", 1.1)
    assert path.size == MTU
    path.moved()
    assert not path.answered(first, 1.2)


# two associations


def wide(width: int, weather: Weather | None = None, seed: int = 1) -> tuple[Network, int]:
    network = Network(weather or Weather(delay=0.01), seed=seed)
    network.width = width
    network.presume(search=True)
    network.settle()
    return network, network.one.association.channels.open(ChannelOptions())


def send(network: Network, handle: int, count: int, start: int = 0, size: int = 60_000) -> list[tuple[int, bytes]]:
    sent = [(handle, number.to_bytes(4) * (size // 4)) for number in range(start, start + count)]
    for _, data in sent:
        network.one.send(handle, data)
    return sent


def size_of(network: Network) -> int:
    assert network.one.association.sender is not None
    return network.one.association.sender.builder.mtu


@pytest.mark.parametrize(("width", "found"), [(MTU, MTU), (1300, 1264), (1432, 1432), (9000, 8912), (60_000, WIDEST)])
def test_a_busy_path_gets_the_packets_that_fit(width: int, found: int) -> None:
    network, handle = wide(width)
    sent = send(network, handle, 20)
    network.run(30)
    assert network.other.messages == sent
    assert size_of(network) == found
    assert network.other.probes == []  # which sent hardly anything
    assert network.one.association.sender is not None and network.one.association.sender.resent == 0


def test_a_peer_that_is_not_one_of_ours_gets_packets_that_fit_anywhere() -> None:
    network = Network()
    network.start()
    network.run(5, lambda: network.one.association.established)
    handle = network.one.association.channels.open(ChannelOptions())
    send(network, handle, 20)
    network.run(30)
    assert network.one.probes == [] and size_of(network) == MTU


@pytest.mark.parametrize("kicked", [False, True], ids=["by a black hole", "by a move"])
def test_a_path_that_becomes_narrow_loses_nothing(kicked: bool) -> None:
    network, handle = wide(60_000)
    sent = send(network, handle, 20)
    network.run(30)
    assert size_of(network) == WIDEST
    sent += send(network, handle, 60, start=20)
    network.run(30, lambda: len(network.other.messages) > 30)
    network.width, at = MTU, network.now
    if kicked:
        network.one.association.kick(network.now)
        assert size_of(network) == MTU
    before = len(network.other.messages)
    network.run(30, lambda: len(network.other.messages) > before + 2)
    assert network.now - at < (0.2 if kicked else 3.0), network.dump()
    network.run(60)
    assert network.other.messages == sent and size_of(network) == MTU
    assert not network.one.association.outstanding


def test_large_packets_that_vanish_beside_small_ones_that_do_not() -> None:
    """No timer runs out, for something is acknowledged all the time."""
    network, handle = wide(1432)
    sent = send(network, handle, 20)
    network.run(30)
    small = network.one.association.channels.open(ChannelOptions())
    network.width = 1300
    sent += send(network, handle, 4, start=20)
    for _ in range(100):
        network.one.send(small, b"small")
        network.run(0.02)
    network.run(30)
    assert [message for message in network.other.messages if message[0] == handle] == sent
    assert size_of(network) == MTU


@pytest.mark.parametrize("seed", range(8))
def test_widths_that_change_all_the_time(seed: int) -> None:
    rng = random.Random(seed)
    network, handle = wide(20_000, Weather(loss=0.02, reorder=0.05, repeat=0.05), seed)
    sent = []
    for number in range(30):
        network.width = rng.choice((MTU, 1300, 1432, 9000, 20_000))
        if rng.random() < 0.3:
            network.one.association.kick(network.now)
            network.other.association.kick(network.now)
        sent += send(network, handle, rng.randrange(6), start=10 * number, size=rng.choice((400, 60_000)))
        network.run(rng.random())
    network.run(300)
    assert network.other.messages == sent, network.dump()
    assert not network.one.association.outstanding


@pytest.mark.parametrize("seed", seeds(1, 3))
def test_loss_is_not_taken_for_a_narrow_path_for_long(seed: int) -> None:
    network, handle = wide(20_000, Weather(delay=0.01, loss=0.01), seed)
    sent = send(network, handle, 300)
    network.run(300)
    assert network.other.messages == sent
    assert size_of(network) == WIDEST
