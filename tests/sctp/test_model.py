"""Two associations over a network that loses, repeats, reorders, delays and corrupts: what holds whatever it does."""

from __future__ import annotations

import random
from collections import Counter, defaultdict

import pytest

from atmosphere.sctp.interface import ChannelOptions
from atmosphere.sctp.parameters import Features
from atmosphere.sctp.receiver import SLACK, WINDOW
from tests.sctp.network import Network, Side, Weather, connected
from tests.support import seeds

WEATHERS = [
    Weather(),
    Weather(loss=0.01, delay=0.05, rate=1.25e6),
    Weather(loss=0.1, repeat=0.1, reorder=0.1, corrupt=0.02),
    Weather(loss=0.3, delay=0.1),
    Weather(reorder=0.5, repeat=0.3, delay=0.001),
    Weather(loss=0.02, rate=250_000, queue=0.05, delay=0.15),
]
OPTIONS = [
    ChannelOptions("reliable"),
    ChannelOptions("unordered", ordered=False),
    ChannelOptions("once", ordered=False, max_retransmits=0),
    ChannelOptions("thrice", max_retransmits=2),
    ChannelOptions("late", max_lifetime_ms=100),
]


class User:
    """Opens, sends and closes on one side, and knows what the other must get."""

    def __init__(self, network: Network, side: Side, rng: random.Random) -> None:
        self.network, self.side, self.rng = network, side, rng
        self.options: dict[int, ChannelOptions] = {}
        self.sent: dict[int, list[bytes]] = defaultdict(list)
        self.number = 0

    def act(self) -> None:
        live = self.side.association
        if len(self.options) < 3 or self.rng.random() < 0.03:
            options = self.rng.choice(OPTIONS)
            self.options[live.channels.open(options)] = options
        elif live.queue.buffered < 300_000:
            handle = self.rng.choice(list(self.options))
            size = self.rng.choice((1, 100, 1156, 1157, 5000, 70_000))
            self.number += 1
            data = self.number.to_bytes(4) + self.rng.randbytes(1) * size
            self.side.send(handle, data)
            self.sent[handle].append(data)


def verify(user: User, got: list[tuple[int, bytes | str]]) -> None:
    arrived: dict[int, list[bytes | str]] = defaultdict(list)
    for handle, data in got:
        arrived[handle].append(data)
    for handle, options in user.options.items():
        sent, came = user.sent[handle], arrived[handle]
        assert not Counter(came) - Counter(sent), "something came twice, or was never sent"
        if options.reliable:
            assert sorted(map(bytes, came)) == sorted(sent)  # type: ignore[arg-type]
        if options.ordered:
            order = [sent.index(data) for data in came]  # type: ignore[arg-type]
            assert order == sorted(order)


@pytest.mark.parametrize("features", [Features(), Features(interleaving=False)], ids=["I-DATA", "DATA"])
@pytest.mark.parametrize("weather", WEATHERS, ids=str)
@pytest.mark.parametrize("seed", seeds(2, 6))
def test_every_message_arrives_as_its_channel_promises(seed: int, weather: Weather, features: Features) -> None:
    rng = random.Random(seed)
    if weather.corrupt:
        features = features._replace(zero_checksum=False)  # there is no DTLS here that would notice
    network = connected(weather, seed, features=features)
    users = [User(network, side, rng) for side in (network.one, network.other)]
    for _ in range(250):
        for user in users:
            user.act()
            user.side.pump()
        until = network.now + rng.random() * 0.1
        network.run(0.2, lambda until=until: network.now >= until)  # type: ignore[misc]
        for side in (network.one, network.other):
            assert side.association.receiver is not None
            assert side.association.receiver.held < WINDOW + SLACK
    network.run(3600, lambda: not any(user.side.association.outstanding for user in users))
    assert not any(user.side.association.outstanding for user in users), network.dump()
    for user in users:
        assert user.side.association.established, user.side.association.over
        verify(user, network.peer(user.side).messages)


def test_a_day_passes_in_which_little_is_said_and_the_network_comes_and_goes() -> None:
    """24 hours of simulated time: timers neither run wild nor stop, and nothing grows."""
    network = connected(Weather(loss=0.05, delay=0.04), seed=5)
    rng = random.Random(5)
    handle = network.one.association.channels.open(ChannelOptions())
    sent: list[tuple[int, bytes | str]] = []
    end = network.now + 24 * 3600
    while network.now < end:
        network.weather.loss = rng.choice((0.0, 0.05, 1.0, 0.3))
        for _ in range(rng.randrange(4)):
            data = rng.randbytes(rng.randrange(1, 4000))
            network.one.send(handle, data)
            sent.append((handle, data))
        network.run(rng.random() * 120)
        if not network.step():
            network.now += 60
    network.weather.loss = 0.0
    network.run(60)
    assert network.other.messages == sent, network.dump()
    assert network.steps < 400_000
    assert network.one.association.sender is not None and not network.one.association.outstanding
